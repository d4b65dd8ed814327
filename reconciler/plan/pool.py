"""The builds that a change can go back to: versions whose artifacts are there, by request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.footing import Footing
from reconciler.plan.observed import Observation, Past, Present
from reconciler.values.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Builds of one manager, by request; and the locks of those whose bodies were read, by the lock's digest."""

    pasts: Mapping[Digest, tuple[Past, ...]]
    locks: Mapping[Digest, Lock]

    @classmethod
    def of(cls, environments: Mapping[str, Observation], manager: str) -> Pool:
        """Gather what is whole; what another manager registered is not trusted, what is damaged does not serve."""
        pasts: dict[Digest, list[Past]] = {}
        locks: dict[Digest, Lock] = {}
        for present in _whole(environments, manager):
            for past in (past_of(present), *present.past):
                pasts.setdefault(past.request, []).append(past)
            if present.bodies is not None and present.bodies.lock.digest == present.record.facts.lock:
                locks[present.record.facts.lock] = present.bodies.lock
        return cls(pasts={request: tuple(found) for request, found in pasts.items()}, locks=locks)

    def find(self, desired: Desired, footing: Footing | None, own: Iterable[Past] = ()) -> Past | None:
        """Find a build of the same request and platforms (and lock, where one is committed); own and newest first.

        On another environment only what is built on it as it is now serves.
        """
        platforms = set(desired.manifest.platforms)
        lock = desired.current_lock
        fitting = [
            past
            for past in (*own, *self.pasts.get(desired.request, ()))
            if past.request == desired.request
            and set(past.platforms) == platforms
            and (lock is None or past.lock == lock.digest)
            and (footing is None or footing.carries(past.below, platforms))
        ]
        return min(fitting, key=lambda past: (past.name != desired.name, past.name, -past.version), default=None)


def past_of(present: Present) -> Past:
    """Describe the observed record as a build that can be used again."""
    facts = present.record.facts
    return Past(
        name=facts.name,
        version=facts.version,
        record=present.digest,
        request=facts.request,
        lock=facts.lock,
        platforms=tuple(sorted(present.record.artifacts)),
        keys=present.record.build_keys,
        below=present.record.below,
    )


def _whole(environments: Mapping[str, Observation], manager: str) -> Iterable[Present]:
    for name in sorted(environments):
        present = environments[name]
        if not isinstance(present, Present) or present.missing or present.tampered:
            continue
        if present.record.facts.manager == manager:
            yield present
