"""Checking a registry up: does it answer, what may we do and what can it do, what is recorded, what is damaged.

Nothing is written. Each matter is looked at as far as the registry lets itself be looked at.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from reconciler.errors import (
    CorruptError,
    DeniedError,
    NotFoundError,
    ReconcilerError,
    StoreError,
    UnavailableError,
    UsageError,
)
from reconciler.oci.manifest import references
from reconciler.plan.ability import judge_feature
from reconciler.plan.diagnosis import Diagnosis, Group, Mark, Remark, Remedy, counted, judge_state
from reconciler.plan.state import State
from reconciler.ports import Executor, Inspected, Progress, Registry, Reporter, Stage
from reconciler.reconcile.contents import Contents, reason
from reconciler.reconcile.examination import Context, Examined, examine
from reconciler.reconcile.ledger import REPOSITORY, read_tagged, state_tag
from reconciler.reconcile.storage import judge_stored, unnamed
from reconciler.reconcile.wheelcheck import examine_wheels
from reconciler.values.digest import Digest
from reconciler.values.names import RESERVED_PREFIX

_ANEW = "`reconciler apply` writes it anew; losing it loses nothing"
_MILLI = 1000
_RIGHTS = "push"


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What a checkup works with: ``ours`` is our manager where that is known, ``clock`` gives seconds.

    ``inspected`` is the registry's storage, where that can be looked at.
    """

    registry: Registry
    executor: Executor
    reporter: Reporter
    clock: Callable[[], float]
    ours: str | None = None
    inspected: Inspected | None = None


def check_up(means: Means, names: Sequence[str] = ()) -> Diagnosis:
    """Look at everything, or at these environments' contents alone; a name that is nowhere is a UsageError."""
    return _Checkup(means, names).run()


@dataclass(slots=True)
class _Checkup:
    means: Means
    names: Sequence[str]
    groups: list[Group] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    unnamed: list[tuple[int, int]] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        return self.means.registry

    def run(self) -> Diagnosis:
        """Go from one matter to the next; what can't be answered at all ends it."""
        try:
            denied = self._ask()
        except (UnavailableError, CorruptError, StoreError) as error:
            return self._end(error)
        try:
            self._judge_features(denied)
            self._judge_states()
            self._judge_wheels()
            self._judge_environments()
            self._judge_storage()
        except (UnavailableError, DeniedError) as error:
            return self._end(error)
        return Diagnosis(registry=self.registry.address, groups=tuple(self.groups))

    def _end(self, error: ReconcilerError) -> Diagnosis:
        remark = Remark(mark=Mark.PROBLEM, subject=self.registry.address, text=error.message, hint=error.hint or "")
        title = "rights" if isinstance(error, DeniedError) else "registry"
        self._add(title, [remark])
        return Diagnosis(registry=self.registry.address, groups=tuple(self.groups), ended_by=error)

    def _add(self, title: str, remarks: Sequence[Remark]) -> None:
        self.groups.append(Group(title=title, remarks=tuple(remarks)))

    # -- the registry -------------------------------------------------------------------------------------------

    def _ask(self) -> DeniedError | None:
        """Ask it something; that reading is denied may mean that nothing is there yet, see `_judge_features`."""
        began, denied = self.means.clock(), None
        try:
            if not self.registry.remote:
                self.registry.repositories()
            self.registry.tags(REPOSITORY)
        except DeniedError as error:
            denied = error
        except CorruptError as error:
            if not self._is_state(error):
                raise
        text = f"answers in {(self.means.clock() - began) * _MILLI:.0f} ms"
        self._add("registry", [Remark(mark=Mark.OK, subject=self.registry.address, text=text)])
        return denied

    def _is_state(self, error: CorruptError) -> bool:
        """Tell whether the state alone is damaged: then the registry itself can be listed."""
        try:
            self.registry.repositories()
        except CorruptError as other:
            return other.message != error.message
        return True

    def _judge_features(self, denied: DeniedError | None) -> None:
        found = self.registry.features(REPOSITORY)
        if denied is not None and not any(one.name == _RIGHTS and one.supported for one in found):
            raise denied
        remarks = {one.name: judge_feature(one.name, one.detail, one.hint, supported=one.supported) for one in found}
        self._add("rights", [remark for name, remark in remarks.items() if name == _RIGHTS])
        self._add("features", [remark for name, remark in remarks.items() if name != _RIGHTS])

    # -- state records ------------------------------------------------------------------------------------------

    def _judge_states(self) -> None:
        try:
            tags = [tag for tag in self.registry.tags(REPOSITORY) if tag.startswith("m-")]
        except DeniedError:
            tags = []  # it may be written to: nothing is there yet
        except (CorruptError, StoreError) as error:
            self._add("state records", [_state_problem("", error.message, _ANEW)])
            return
        contents = Contents(self.registry, REPOSITORY)
        remarks = [self._judge_state(tag, contents) for tag in tags]
        hint = f"remove {self._place_of_state()}, then `reconciler apply` writes it anew; losing it loses nothing"
        remarks += [_state_problem(damage.part, damage.text, hint) for damage in contents.damages]
        if self.means.inspected is not None:
            stored = tuple(self.means.inspected.inspect(REPOSITORY, contents.known))
            remarks += judge_stored(REPOSITORY, stored, contents.known)
            self.unnamed.append(unnamed(stored, contents.known))
        nothing = Remark(mark=Mark.NOTE, subject=REPOSITORY, text="none yet; the first apply writes one")
        self._add("state records", remarks or [nothing])

    def _judge_state(self, tag: str, contents: Contents) -> Remark:
        digest = self.registry.resolve(REPOSITORY, tag)
        try:
            state = read_tagged(self.registry, tag)
        except (CorruptError, NotFoundError, StoreError) as error:
            contents.known.update(self._reached_by(tag, digest))
            return _state_problem(tag, reason(error), _ANEW)
        if state_tag(state.manager) != tag:
            return _state_problem(tag, f"it is the state of {state.manager}", _ANEW)
        self.states.append(state)
        if digest is not None:
            contents.read_tag(tag, digest, remedy=Remedy.APPLY)
        return judge_state(tag, state)

    def _reached_by(self, tag: str, digest: Digest | None) -> Iterator[Digest]:
        """Give what a damaged state is made of, as far as it can be told: apply writes it in the same place."""
        if digest is not None:
            yield digest
        with suppress(CorruptError, NotFoundError, StoreError):
            yield from (one.digest for one in references(self.registry.fetch(REPOSITORY, tag)))

    def _place_of_state(self) -> str:
        inspected = self.means.inspected
        return inspected.place(REPOSITORY) if inspected else f"{REPOSITORY} from {self.registry.address}"

    # -- built wheels -------------------------------------------------------------------------------------------

    def _judge_wheels(self) -> None:
        """Say what is there; most registries have none."""
        found = examine_wheels(self.registry, self.means.inspected)
        if found is not None:
            self.unnamed.append(found.unnamed)
            self._add("built wheels", found.remarks)

    # -- environments -------------------------------------------------------------------------------------------

    def _judge_environments(self) -> None:
        wanted = self._wanted()
        context = Context(
            registry=self.registry, states=tuple(self.states), ours=self.means.ours, inspected=self.means.inspected
        )
        found = dict(self.means.executor.map(lambda name: self._examine(context, name), wanted))
        examined = [found[name] for name in wanted]
        self.unnamed += [one.unnamed for one in examined]
        remarks = [remark for one in examined for remark in one.remarks]
        self._add("environments", [_sum(examined), *remarks])

    def _examine(self, context: Context, name: str) -> Examined:
        report = self.means.reporter.report
        report(Progress(name=name, stage=Stage.CHECKING))
        found = examine(context, name)
        damaged = any(remark.mark is Mark.PROBLEM for remark in found.remarks)
        report(Progress(name=name, stage=Stage.FAILED if damaged else Stage.DONE))
        return found

    def _wanted(self) -> tuple[str, ...]:
        names = {name for state in self.states for name in state.records}
        with suppress(DeniedError):
            names.update(self.registry.repositories() or ())
        every = tuple(sorted(name for name in names if not name.startswith(RESERVED_PREFIX)))
        for name in self.names:
            if name not in every and not self._has_tags(name):
                near = difflib.get_close_matches(name, every, n=1)
                hint = f"did you mean `{near[0]}`?" if near else "`reconciler list` shows what is"
                raise UsageError(f"no environment `{name}` is registered in {self.registry.address}", hint=hint)
        return tuple(sorted(set(self.names))) or every

    def _has_tags(self, name: str) -> bool:
        try:
            return bool(self.registry.tags(name))
        except CorruptError:
            return True

    # -- storage ------------------------------------------------------------------------------------------------

    def _judge_storage(self) -> None:
        if self.means.inspected is None:
            return
        stored = tuple(self.means.inspected.inspect_shared())
        remarks = list(judge_stored("shared", stored, frozenset()))
        count, size = (sum(column) for column in zip((0, 0), *self.unnamed, strict=True))
        if count:
            text = f"{count} that nothing names, {counted(size, 'byte')}; they harm nothing"
            hint = "`reconciler gc --delete` deletes them an hour after they were written"
            remarks.append(Remark(mark=Mark.NOTE, subject="blobs", text=text, hint=hint))
        whole = Remark(mark=Mark.OK, subject="files", text="nothing odd, left over or unnamed")
        self._add("storage", remarks or [whole])


def _state_problem(part: str, text: str, hint: str) -> Remark:
    return Remark(mark=Mark.PROBLEM, subject=REPOSITORY, part=part, text=text, hint=hint)


def _sum(examined: Sequence[Examined]) -> Remark:
    """Say how much was read; remarks follow for what is not whole."""
    damaged = sum(any(remark.mark is Mark.PROBLEM for remark in one.remarks) for one in examined)
    count, versions = len(examined), counted(sum(one.versions for one in examined), "version")
    read = f"{versions}, {sum(one.contents for one in examined)} manifests and blobs"
    text = f"{count - damaged} whole of {count}; {read}, {sum(one.size for one in examined)} bytes"
    return Remark(mark=Mark.OK if not damaged else Mark.NOTE, subject="environments", text=text)
