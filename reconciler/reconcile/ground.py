"""What an environment is built on, where that is another one: as it is registered, when its own step is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.errors import BuildError
from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired, build_key
from reconciler.plan.footing import FIELD
from reconciler.plan.observed import Present
from reconciler.ports import Builder, Registry
from reconciler.reconcile.bodies import read_lock
from reconciler.reconcile.observe import Depth, observe
from reconciler.record import Record
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """The environment below: its lock, and by platform its build keys and the manifests of its artifacts."""

    lock: Lock
    keys: Mapping[Platform, Digest]
    artifacts: Mapping[Platform, Digest]


def ground_of(registry: Registry, desired: Desired) -> Ground | None:
    """Read what an environment is built on; none where it builds on no other.

    What is not registered as its manifest declares it is a BuildError.
    """
    lower = desired.below
    if lower is None:
        return None
    seen = observe(registry, lower.name, depth=Depth.RECORD)
    if not isinstance(seen, Present) or not _is_declared(seen.record, desired, lower):
        raise BuildError(
            f"{lower.name}, which it builds on, is not registered as it is declared",
            where=desired.manifest.locate(FIELD),
            hint=f"run `reconciler apply {lower.name} {desired.name}`",
        )
    record = seen.record
    return Ground(
        lock=read_lock(registry, lower.name, record),
        keys=record.build_keys,
        artifacts={platform: entry.digest for platform, entry in record.artifacts.items()},
    )


def build_keys(desired: Desired, lock: Lock, builder: Builder, ground: Ground | None) -> dict[Platform, Digest]:
    """Give the build key of each platform, on what is below it."""
    made_by, below = (builder.name, builder.recipe), ground.keys if ground else {}
    return {
        platform: build_key(desired.request, platform, lock.platforms[platform].digest, made_by, below.get(platform))
        for platform in sorted(desired.manifest.platforms)
    }


def _is_declared(record: Record, desired: Desired, lower: Desired) -> bool:
    facts = record.facts
    return (
        facts.request == lower.request
        and not facts.archived
        and set(desired.manifest.platforms) <= record.artifacts.keys()
    )
