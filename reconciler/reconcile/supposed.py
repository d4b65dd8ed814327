"""What a registry would hold if a revision had been applied to an empty one: for comparing two commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor
from reconciler.plan.metadata import metadata_of
from reconciler.plan.observed import Absent, Observation, Observed, Present
from reconciler.record import Bodies, Facts, Record, to_index
from reconciler.values.digest import Digest

NOTHING = Digest.of(b"")


def as_if_applied(desired: Sequence[Desired], names: Iterable[str], manager: str, registry: str) -> Observed:
    """Suppose that what is declared is registered, at its committed lock, and nothing else of ``names``."""
    nothing: dict[str, Observation] = {name: Absent() for name in names}
    return Observed(registry=registry, environments=nothing | {item.name: _present(item, manager) for item in desired})


def _present(desired: Desired, manager: str) -> Present:
    lock = desired.current_lock or Lock(inputs=desired.inputs, platforms={})
    entry = Descriptor(media_type=media.MANIFEST, digest=NOTHING, size=0)
    facts = Facts(
        name=desired.name,
        version=1,
        request=desired.request,
        lock=lock.digest,
        components=desired.digests,
        builder=desired.builder,
        recipe=1,
        manager=manager,
        manifest=desired.manifest.path,
        metadata=metadata_of(desired.manifest),
    )
    record = Record(
        facts=facts,
        artifacts=dict.fromkeys(desired.manifest.platforms, entry),
        build_keys=dict.fromkeys(desired.manifest.platforms, NOTHING),
        request_entry=entry,
        lock_entry=entry,
        below=dict.fromkeys(desired.manifest.platforms if desired.below is not None else (), NOTHING),
    )
    bodies = Bodies(components=desired.components, lock=lock)
    return Present(record=record, digest=to_index(record).digest, bodies=bodies)
