"""What one manifest asks against what the registry holds of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reconciler.lock.difference import PackageChange, differences
from reconciler.lock.model import Lock
from reconciler.manifest.desired import SOLVER_COMPONENTS, Desired
from reconciler.plan.change import Action, Change, Policy, Reason, Step
from reconciler.plan.fields import request_changes
from reconciler.plan.footing import FIELD, Footing, base_change, is_of_below
from reconciler.plan.metadata import metadata_changes, metadata_of
from reconciler.plan.observed import Absent, Denied, Observation, Past, Present, Unknown
from reconciler.plan.pool import Pool, past_of
from reconciler.values.digest import Digest
from reconciler.values.location import Location

_BUILDS = frozenset({Reason.REQUEST, Reason.LOCK, Reason.PLATFORM, Reason.BASE, Reason.MISSING, Reason.TAMPERED})
_DAMAGE = frozenset({Reason.MISSING, Reason.TAMPERED})


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The policy and the registry that every manifest is compared under."""

    policy: Policy
    environments: Mapping[str, Observation]

    @cached_property
    def pool(self) -> Pool:
        """The builds that can be used again; gathered only when something changed."""
        return Pool.of(self.environments, self.policy.manager)

    def step(self, desired: Desired, seen: Observation, footing: Footing | None = None) -> Step:
        """Derive the step of one declared environment; ``footing`` is what it builds on, where that is another one."""
        if isinstance(seen, Present) and self._is_unchanged(desired, seen, footing):
            return _unchanged(desired, seen)
        refusal = self._refusal(desired, seen, footing)
        if refusal is not None:
            return _blocked(desired, seen, refusal, footing)
        if isinstance(seen, Present):
            return self._changed(desired, seen, footing)
        return self._new(desired, seen, footing)

    def _is_unchanged(self, desired: Desired, seen: Present, footing: Footing | None) -> bool:
        facts, policy = seen.record.facts, self.policy
        if facts.request != desired.request or facts.archived or facts.manager != policy.manager:
            return False
        if seen.missing or seen.tampered or seen.recovered or desired.refusal is not None or _is_moved(footing, seen):
            return False
        if desired.name in policy.refresh or seen.record.artifacts.keys() != set(desired.manifest.platforms):
            return False
        if policy.locked or desired.lock is not None:
            lock = desired.current_lock
            if lock is None and policy.locked:
                return False
            if lock is not None and lock.digest != facts.lock:
                return False
        return facts.metadata == metadata_of(desired.manifest)

    def _refusal(self, desired: Desired, seen: Observation, footing: Footing | None) -> str | None:
        if isinstance(seen, (Denied, Unknown)):
            return seen.reason or "the registry gave no answer"
        if isinstance(seen, Present) and seen.record.facts.manager != self.policy.manager and not self.policy.adopt:
            return f"registered by another manager, {seen.record.facts.manager}: --adopt takes it over"
        if desired.refusal is not None:
            return desired.refusal
        if footing is not None and footing.refusal:
            return footing.refusal
        if self.policy.locked and desired.current_lock is None:
            fault = "no lock is committed" if desired.lock is None else "the committed lock is out of date"
            return f"{fault}: run `reconciler lock {desired.name}`"
        return None

    def _new(self, desired: Desired, seen: Observation, footing: Footing | None) -> Step:
        reuse = self.pool.find(desired, footing)
        lock = desired.current_lock
        target = lock.digest if lock is not None else reuse.lock if reuse is not None else None
        body = self._body(target, lock)
        return Step(
            name=desired.name,
            action=Action.CREATE if reuse is None else Action.REUSE,
            location=desired.manifest.locate("name"),
            request=desired.request,
            lock=target,
            platforms=tuple(sorted(desired.manifest.platforms)),
            packages=None if body is None else differences(None, body),
            reuse=reuse,
            note=_arrival(desired, seen, reuse),
            desired=desired,
            observation=seen,
            lock_body=body,
        )

    def _changed(self, desired: Desired, seen: Present, footing: Footing | None) -> Step:
        changes = tuple(self._changes(desired, seen, footing))
        reasons = {change.reason for change in changes}
        reuse = self._reuse(desired, seen, reasons, footing)
        target = self._target(desired, seen, reuse, changes)
        old = seen.bodies.lock if seen.bodies is not None else None
        body = self._body(target, desired.current_lock, old)
        return Step(
            name=desired.name,
            action=_action(desired, seen, changes, reuse),
            location=_first(desired, changes),
            changes=changes,
            observed=seen.digest,
            request=desired.request,
            lock=target,
            platforms=tuple(sorted(desired.manifest.platforms)),
            packages=_packages(seen, target, old, body),
            reuse=reuse,
            note=_note(desired, seen, reuse, reasons),
            desired=desired,
            observation=seen,
            lock_body=body,
        )

    def _changes(self, desired: Desired, seen: Present, footing: Footing | None) -> list[Change]:
        facts, manifest, lock = seen.record.facts, desired.manifest, desired.current_lock
        changes = [Change(reason=Reason.MISSING, path=path, location=manifest.locate("name")) for path in seen.missing]
        changes += [Change(reason=Reason.TAMPERED, path=path) for path in seen.tampered]
        if seen.recovered:
            changes.append(Change(reason=Reason.MISSING, path="current", new=str(seen.digest)))
        if facts.request != desired.request:
            changes += request_changes(desired, seen)
        if footing is not None and _is_moved(footing, seen) and not any(map(is_of_below, changes)):
            changes.append(base_change(desired, footing, seen.record.below))
        if seen.record.artifacts.keys() != set(manifest.platforms):
            changes.append(_platform_change(desired, seen))
        if lock is not None and lock.digest != facts.lock:
            changes.append(Change(reason=Reason.LOCK, path="lock", old=str(facts.lock), new=str(lock.digest)))
        if desired.name in self.policy.refresh:
            changes.append(Change(reason=Reason.REFRESH, path="lock", old=str(facts.lock)))
        if facts.archived:
            changes.append(Change(reason=Reason.METADATA, path="archived", old=True, new=False))
        if facts.manager != self.policy.manager:
            changes.append(Change(reason=Reason.METADATA, path="manager", old=facts.manager, new=self.policy.manager))
        return [*changes, *metadata_changes(facts.metadata, manifest)]

    def _reuse(self, desired: Desired, seen: Present, reasons: set[Reason], footing: Footing | None) -> Past | None:
        if Reason.REFRESH in reasons or seen.missing or seen.tampered:
            return None
        if reasons & (_BUILDS - _DAMAGE):
            return self.pool.find(desired, footing, seen.past)
        return past_of(seen) if seen.recovered or seen.record.facts.archived else None

    @staticmethod
    def _target(desired: Desired, seen: Present, reuse: Past | None, changes: Sequence[Change]) -> Digest | None:
        reasons = {change.reason for change in changes}
        if desired.current_lock is not None:
            return desired.current_lock.digest
        if reuse is not None:
            return reuse.lock
        if Reason.REFRESH in reasons or Reason.PLATFORM in reasons or "lock" in (*seen.missing, *seen.tampered):
            return None
        if any(map(is_of_below, changes)):
            return None
        facts = seen.record.facts
        same_question = all(facts.components.get(name) == desired.digests.get(name) for name in SOLVER_COMPONENTS)
        return facts.lock if same_question or facts.request == desired.request else None

    def _body(self, target: Digest | None, *known: Lock | None) -> Lock | None:
        if target is None:
            return None
        for lock in known:
            if lock is not None and lock.digest == target:
                return lock
        return self.pool.locks.get(target)


def _unchanged(desired: Desired, seen: Present) -> Step:
    facts = seen.record.facts
    return Step(
        name=desired.name,
        action=Action.UNCHANGED,
        location=desired.manifest.locate("name"),
        observed=seen.digest,
        request=facts.request,
        lock=facts.lock,
        platforms=desired.manifest.platforms,
        packages=(),
        desired=desired,
        observation=seen,
        lock_body=seen.bodies.lock if seen.bodies is not None else None,
    )


def _blocked(desired: Desired, seen: Observation, note: str, footing: Footing | None) -> Step:
    below = footing if footing is not None and note == footing.refusal else None
    field = FIELD if below is not None else _blocking_field(desired, note)
    return Step(
        name=desired.name,
        action=Action.BLOCKED,
        location=desired.manifest.locate(field),
        observed=seen.digest if isinstance(seen, Present) else None,
        request=desired.request,
        platforms=tuple(sorted(desired.manifest.platforms)),
        note=note,
        desired=desired,
        observation=seen,
        cause=below.cause if below is not None else None,
    )


def _blocking_field(desired: Desired, note: str) -> str:
    """Name the field that blocks: the refused one, else the environment as a whole."""
    return desired.refusal_field or "name" if note == desired.refusal else "name"


def _packages(
    seen: Present, target: Digest | None, old: Lock | None, new: Lock | None
) -> tuple[PackageChange, ...] | None:
    if target == seen.record.facts.lock:
        return ()
    return None if old is None or new is None else differences(old, new)


def _action(desired: Desired, seen: Present, changes: Sequence[Change], reuse: Past | None) -> Action:
    if reuse is not None:
        return Action.REUSE
    building = [change for change in changes if change.reason in _BUILDS or change.reason is Reason.REFRESH]
    if not building:
        return Action.METADATA
    if not any(map(is_of_below, building)):
        return Action.REBUILD
    own = [change for change in building if not is_of_below(change)]
    follows = all(change.reason is Reason.LOCK and _same_packages(desired, seen) for change in own)
    return Action.REBASE if follows else Action.REBUILD


def _same_packages(desired: Desired, seen: Present) -> bool:
    """Tell whether the committed lock differs from the recorded one in what is below alone."""
    old, new = seen.bodies.lock if seen.bodies is not None else None, desired.current_lock
    if old is None or new is None or old.platforms.keys() != new.platforms.keys():
        return False
    return all(old.platforms[platform].packages == part.packages for platform, part in new.platforms.items())


def _is_moved(footing: Footing | None, seen: Present) -> bool:
    """Tell whether what is below becomes another one than the artifacts are built on."""
    if footing is None or footing.unknown:
        return False
    return not footing.carries(seen.record.below, seen.record.artifacts)


def _platform_change(desired: Desired, seen: Present) -> Change:
    return Change(
        reason=Reason.PLATFORM,
        path="platforms",
        old=[str(platform) for platform in sorted(seen.record.artifacts)],
        new=[str(platform) for platform in sorted(desired.manifest.platforms)],
        location=desired.manifest.locate("platforms"),
    )


def _first(desired: Desired, changes: tuple[Change, ...]) -> Location:
    return next((change.location for change in changes if change.location), desired.manifest.locate("name"))


def _arrival(desired: Desired, seen: Observation, reuse: Past | None) -> str:
    what = "new environment" if reuse is None else _reused(desired, reuse)
    return f"{what}; {seen.note}" if isinstance(seen, Absent) and seen.note else what


def _reused(desired: Desired, reuse: Past) -> str:
    if reuse.name == desired.name:
        return f"goes back to version {reuse.version}"
    if reuse.name == desired.manifest.renamed_from:
        return f"renamed from {reuse.name}"
    return f"same definition as {reuse.name}:{reuse.version}"


def _note(desired: Desired, seen: Present, reuse: Past | None, reasons: set[Reason]) -> str:
    if seen.record.facts.archived:
        return f"restored, was archived at version {seen.record.facts.version}"
    if Reason.REFRESH in reasons and desired.current_lock is not None:
        return f"its lock is committed: `reconciler lock --upgrade {desired.name}` moves it"
    if seen.recovered and (reuse is None or reuse.record == seen.digest):
        return "`current` is gone, the highest version takes its place"
    if reuse is not None:
        return _reused(desired, reuse)
    return ""
