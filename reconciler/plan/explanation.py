"""Why an environment would or would not be rebuilt: its components, its defaults, and its step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.manifest.desired import Desired
from reconciler.plan.change import Step
from reconciler.plan.observed import Absent, Denied, Observation, Present, Unknown
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentView:
    """A named part of the request: its digest, and the recorded one (none where there is none)."""

    name: str
    digest: Digest | None
    recorded: Digest | None

    @property
    def same(self) -> bool:
        """Tell whether both are equal."""
        return self.digest == self.recorded


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Everything that decides about one environment.

    ``lock`` is the committed lock's digest, ``lock_state`` what it is worth: ``committed``, ``out of date`` or
    ``none``. ``seen`` says in a few words what the registry holds, ``verdict`` what follows from all of it.
    """

    name: str
    location: Location
    request: Digest
    recorded_request: Digest | None
    components: tuple[ComponentView, ...]
    filled: Mapping[str, Json]
    lock: Digest | None
    lock_state: str
    builder: str
    seen: str
    verdict: str
    step: Step


_VERDICTS = {
    "create": "it would be built: the registry has no such environment",
    "rebuild": "it would be built again",
    "rebase": "it would be put on what its base environment becomes; of its own only what that moves is made again",
    "reuse": "it would not be built: a build that is registered already serves",
    "metadata": "it would not be built: only its description would be registered anew",
    "archive": "it would be archived",
    "unchanged": "it would not be built: what is asked is what is registered",
    "blocked": "nothing would be done",
}


def explanation(desired: Desired, observation: Observation, step: Step) -> Explanation:
    """Explain one environment against what was observed of it and the step that was derived."""
    facts = observation.record.facts if isinstance(observation, Present) else None
    recorded: Mapping[str, Digest] = facts.components if facts is not None else {}
    components = tuple(
        ComponentView(name=name, digest=desired.digests.get(name), recorded=recorded.get(name))
        for name in sorted({*desired.digests, *recorded})
    )
    state = "none" if desired.lock is None else "out of date" if desired.current_lock is None else "committed"
    return Explanation(
        name=desired.name,
        location=desired.manifest.locate("name"),
        request=desired.request,
        recorded_request=facts.request if facts is not None else None,
        components=components,
        filled=dict(sorted(desired.filled.items())),
        lock=desired.lock.digest if desired.lock is not None else None,
        lock_state=state,
        builder=desired.builder,
        seen=_seen(observation),
        verdict=_VERDICTS[step.action.value],
        step=step,
    )


def _seen(observation: Observation) -> str:
    if isinstance(observation, Present):
        facts = observation.record.facts
        archived = ", archived" if facts.archived else ""
        return f"version {facts.version}{archived}, registered by {facts.manager}"
    if isinstance(observation, Absent):
        return "nothing"
    assert isinstance(observation, (Denied, Unknown))  # noqa: S101  # the union has no other member
    return observation.reason
