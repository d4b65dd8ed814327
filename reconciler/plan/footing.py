"""What an environment stands on once the steps of those below it are done. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from reconciler.manifest.desired import Desired
from reconciler.plan.change import Action, Change, Reason, Step
from reconciler.plan.observed import Present
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

FIELD = "docker.base_environment"
_STILL = frozenset({Action.UNCHANGED, Action.METADATA})
"""What leaves the artifacts as they are."""
_NOTHING = _STILL | {Action.BLOCKED}
_DAMAGE = frozenset({Reason.MISSING, Reason.TAMPERED, Reason.METADATA})


@dataclass(frozen=True, kw_only=True, slots=True)
class Footing:
    """The environment below: its name, and its build keys after its step, none where that step is to tell them.

    ``refusal`` says why nothing can be built on it in this plan, and ``cause`` is its step where that is blocked.
    ``unknown`` says that nothing will become of it, and
    that nobody knows what it is: no reason to touch what stands on it.
    """

    name: str
    keys: Mapping[Platform, Digest] | None = None
    refusal: str = ""
    unknown: bool = False
    cause: Step | None = None

    def carries(self, below: Mapping[Platform, Digest], platforms: Collection[Platform]) -> bool:
        """Tell whether artifacts with these keys below them stand on it as it is going to be."""
        if self.keys is None:
            return False
        return all(platform in below and below[platform] == self.keys.get(platform) for platform in platforms)


def footing_of(desired: Desired, steps: Sequence[Step], names: Collection[str] | None) -> Footing | None:
    """Say what an environment stands on; ``steps`` are those of its chain, from the nearest, ``names`` who takes part.

    None where it builds on no other environment.
    """
    name = desired.manifest.docker.base_environment
    if name is None:
        return None
    if not steps:
        return Footing(name=name, refusal=f"base_environment names {name}, which no manifest declares")
    nearest = steps[0]
    if nearest.action is Action.BLOCKED:
        refusal = f"{name}, which it builds on, is blocked"
        unknown = not isinstance(nearest.observation, Present)
        return Footing(name=name, keys=_keys(nearest), refusal=refusal, unknown=unknown, cause=nearest)
    waiting = [step.name for step in reversed(steps) if step.action not in _NOTHING and step.name not in (names or ())]
    if names is not None and waiting:
        command = " ".join([*waiting, desired.name])
        refusal = f"{waiting[-1]}, which it builds on, has changes of its own: run `reconciler apply {command}`"
        return Footing(name=name, refusal=refusal)
    return Footing(name=name, keys=_keys(nearest))


def _keys(step: Step) -> Mapping[Platform, Digest] | None:
    """Give the build keys that an environment has after its step, as far as that is known before it."""
    if step.action is Action.REUSE:
        return step.reuse.keys if step.reuse is not None else None
    if not isinstance(step.observation, Present):
        return None
    again = step.action in {Action.REBUILD, Action.BLOCKED} and {change.reason for change in step.changes} <= _DAMAGE
    return step.observation.record.build_keys if again or step.action in _STILL else None


def base_change(desired: Desired, footing: Footing, below: Mapping[Platform, Digest]) -> Change:
    """Say that what is below is another build: the keys by platform, or the key where there is one platform."""
    now = footing.keys
    return Change(
        reason=Reason.BASE,
        path=FIELD,
        old=_shown(below),
        new=f"{footing.name} as its own step leaves it" if now is None else _shown(now, desired.manifest.platforms),
        location=desired.manifest.locate(FIELD),
    )


def is_of_below(change: Change) -> bool:
    """Tell whether a change is of the environment below alone."""
    return change.path == FIELD


def _shown(keys: Mapping[Platform, Digest], platforms: Collection[Platform] | None = None) -> Json:
    chosen = {str(platform): str(key) for platform, key in sorted(keys.items()) if platform in (platforms or keys)}
    return next(iter(chosen.values()), None) if len(chosen) <= 1 else {**chosen}
