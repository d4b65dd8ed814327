"""One environment of a registry, examined: everything is read, and what is wrong is said with what mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reconciler.errors import CorruptError, DeniedError, NotFoundError, StoreError
from reconciler.plan.diagnosis import (
    Damage,
    Mark,
    Place,
    Remark,
    Remedy,
    apply_hint,
    judge_current,
    listed,
    remark_of,
)
from reconciler.plan.state import State
from reconciler.ports import Inspected, Registry
from reconciler.reconcile.contents import Contents
from reconciler.reconcile.descent import Descent
from reconciler.reconcile.storage import judge_stored, unnamed
from reconciler.reconcile.tagged import read_record
from reconciler.reconcile.tags import CURRENT, version_tag
from reconciler.record import Record
from reconciler.values.digest import Digest

_COPIED = frozenset({Remedy.RESTORE, Remedy.APPLY_OR_RESTORE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What environments are examined with.

    ``states`` are those of all managers that can be read, ``ours`` is who we are where that is known, ``inspected`` is
    the storage where it can be reached.
    """

    registry: Registry
    states: Sequence[State] = ()
    ours: str | None = None
    inspected: Inspected | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """Remarks on an environment, and how much of it was read: versions, contents, bytes.

    ``unnamed`` counts the blobs in its storage that nothing names, and their bytes.
    """

    name: str
    remarks: tuple[Remark, ...]
    versions: int = 0
    contents: int = 0
    size: int = 0
    unnamed: tuple[int, int] = (0, 0)


def examine(context: Context, name: str) -> Examined:
    """Read all of an environment. Only a registry that does not answer any more is an error."""
    registry, inspected = context.registry, context.inspected
    holders = [state for state in context.states if name in state.records]
    holder = next((state for state in holders if state.manager == context.ours), holders[0] if holders else None)
    place = Place(
        registry=registry.address,
        name=name,
        remote=registry.remote,
        manager=holder.manager if holder else None,
        ours=context.ours,
        folder=inspected.place(name) if inspected else "",
    )
    try:
        tags = registry.tags(name)
        return _Examination(context, name, tags, holders, holder, place).run()
    except (CorruptError, StoreError, DeniedError) as error:
        remark = Remark(mark=Mark.PROBLEM, subject=name, text=error.message, hint=error.hint or "")
        return Examined(name=name, remarks=(remark,))


class _Examination:
    def __init__(  # noqa: PLR0913, PLR0917  # what `examine` found out
        self,
        context: Context,
        name: str,
        tags: Sequence[str],
        holders: Sequence[State],
        holder: State | None,
        place: Place,
    ) -> None:
        self._registry = context.registry
        self._inspected = context.inspected
        self._name = name
        self._holders = holders
        self._descent = Descent(context.registry, name, tags, holder)
        self._contents = Contents(context.registry, name)
        start = self._descent.start
        if start is not None:
            place = replace(place, manager=start.record.facts.manager, archived=start.record.facts.archived)
        self._place = place
        self._left = {state.manager: self._read_left(state.records[name]) for state in holders}

    def run(self) -> Examined:
        """Read and judge all of it."""
        descent = self._descent
        if descent.foreign and not self._holders:
            remark = self._say(Mark.NOTE, "", "no record of an environment is in it; it was not looked at")
            return Examined(name=self._name, remarks=(remark,))
        damages = list(descent.damages())
        self._read(frozenset(damage.tag for damage in damages))
        damages += self._contents.damages
        known = self._contents.known
        stored = tuple(self._inspected.inspect(self._name, known)) if self._inspected else ()
        odd = frozenset(one.digest for one in stored if one.fault and one.digest in known)
        remarks = [self._remark(replace(damage, odd=damage.digest in odd)) for damage in damages]
        remarks += [*self._judge_current(), *self._judge_versions(), *judge_stored(self._name, stored, known)]
        return Examined(
            name=self._name,
            remarks=tuple(remarks),
            versions=len(descent.numbers),
            contents=len(known),
            size=self._contents.size,
            unnamed=unnamed(stored, known),
        )

    def _read(self, blamed: frozenset[str]) -> None:
        descent, contents = self._descent, self._contents
        contents.known.update(state.records[self._name] for state in self._holders)
        if descent.start is not None:
            contents.read(descent.start.record, version_tag(descent.start.record.facts.version), mended=True)
            contents.known.add(descent.start.digest)
        for record, digest in descent.records.values():
            contents.read(record, version_tag(record.facts.version), mended=False)
            contents.known.add(digest)
        remedy = Remedy.RESTORE if descent.start is not None else Remedy.APPLY_OR_RESTORE
        for tag, named in sorted(descent.named.items()):
            if named is None:
                continue
            if tag in descent.broken or tag in blamed:
                contents.known.add(named)
            else:
                contents.read_tag(tag, named, remedy=remedy)

    def _remark(self, damage: Damage) -> Remark:
        inspected, digest = self._inspected, damage.digest
        if inspected is None or digest is None:
            return remark_of(damage, self._place)
        copy = inspected.copy_of(self._name, digest) if damage.remedy in _COPIED else None
        return remark_of(damage, replace(self._place, file=inspected.place(self._name, digest), copy=copy or ""))

    # -- current and versions -----------------------------------------------------------------------------------

    def _judge_current(self) -> Iterator[Remark]:
        descent = self._descent
        if CURRENT not in descent.tags:
            yield from self._judge_absent()
            return
        if CURRENT not in descent.records:
            return
        record, digest = descent.records[CURRENT]
        for state in self._holders:
            verdict = judge_current(state, digest, record, self._left[state.manager])
            if verdict is not None:
                mark, text = verdict
                yield self._say(mark, CURRENT, text, apply_hint(self._place))

    def _judge_absent(self) -> Iterator[Remark]:
        numbers, hint = self._descent.numbers, apply_hint(self._place)
        if self._holders:
            left = f"version {numbers[0]} is the highest" if numbers else "nothing is left of it"
            text = f"is gone, {left}; {listed(state.manager for state in self._holders)} registered it"
            yield self._say(Mark.PROBLEM, CURRENT, text, hint)
        elif numbers:
            text = f"is not there, version {numbers[0]} is the highest: an apply was cut off, or it was removed"
            yield self._say(Mark.NOTE, CURRENT, text, hint)
        elif self._descent.tags:
            yield self._say(Mark.NOTE, "", "has no version yet: an apply was cut off, or is under way", hint)

    def _judge_versions(self) -> Iterator[Remark]:
        descent = self._descent
        start = descent.start
        if start is not None and CURRENT in descent.records:
            higher = [version_tag(number) for number in descent.numbers if number > start.record.facts.version]
            if higher:
                text = "above `current`: an apply was cut off, is under way, or `current` was moved back"
                yield self._say(Mark.NOTE, listed(higher), text, apply_hint(self._place))
        for tag in descent.gaps():
            yield self._say(Mark.NOTE, tag, "the version before it is gone, tag and record; its history begins here")
        left = descent.unfinished()
        if left:
            text = "of a version that is not there: an apply was cut off, or is under way"
            yield self._say(Mark.NOTE, listed(left), text)

    # -- small --------------------------------------------------------------------------------------------------

    def _say(self, mark: Mark, part: str, text: str, hint: str = "") -> Remark:
        return Remark(mark=mark, subject=self._name, part=part, text=text, hint=hint)

    def _read_left(self, digest: Digest) -> Record | None:
        """Read the record that a state names, where it can be read."""
        try:
            return read_record(self._registry, self._name, digest)[0]
        except (NotFoundError, CorruptError, StoreError):
            return None
