"""Putting together what is left of a version whose record is lost, from the tags of its entries.

Only for an environment that a manager's state knows as its own: what is left does not say whose it was. It gives a
rebuild its lock and its number, so that no package moves; it is never registered as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import CorruptError, NotFoundError
from reconciler.lock.model import Lock
from reconciler.manifest.desired import request_of
from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor
from reconciler.plan.observed import Present, Witness
from reconciler.ports import Registry
from reconciler.reconcile.bodies import read_side
from reconciler.reconcile.tags import platform_tag, side_tag
from reconciler.record import Bodies, Facts, Record, parse_components, parse_lock_body
from reconciler.values.canonical import Json, digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import SUPPORTED, Platform

_LOST = Digest.of(b"")
"""Stands for a digest that is lost with the record; nothing that is asked for has it."""
_NOTHING = Descriptor(media_type=media.MANIFEST, digest=_LOST, size=0)


def salvage(registry: Registry, name: str, version: int, witness: Witness) -> Present:
    """Put together a version as far as it is there, under the number below it, so that it is made under its own."""
    components = _read_components(registry, name, version)
    lock = _read_lock(registry, name, version)
    digests = {key: digest_of(value) for key, value in components.items()}
    artifacts = _artifacts(registry, name, version) or dict.fromkeys(lock.platforms if lock else (), _NOTHING)
    facts = Facts(
        name=name,
        version=version - 1,
        request=request_of(digests),
        lock=lock.digest if lock else _LOST,
        components=digests,
        builder="",
        recipe=0,
        manager=witness.manager,
        manifest="",
    )
    record = Record(
        facts=facts,
        artifacts=artifacts,
        build_keys=dict.fromkeys(artifacts, _LOST),
        request_entry=_entry(registry, name, side_tag(version, "request")) or _NOTHING,
        lock_entry=_entry(registry, name, side_tag(version, "lock")) or _NOTHING,
    )
    return Present(
        record=record,
        digest=witness.record,
        recovered=True,
        salvaged=True,
        missing=() if lock else ("lock",),
        bodies=Bodies(components=components, lock=lock) if lock else None,
    )


def _entry(registry: Registry, name: str, tag: str) -> Descriptor | None:
    try:
        return registry.fetch(name, tag).describe()
    except (NotFoundError, CorruptError):
        return None


def _artifacts(registry: Registry, name: str, version: int) -> dict[Platform, Descriptor]:
    platforms = [Platform.parse(text) for text in SUPPORTED]
    found = {platform: _entry(registry, name, platform_tag(version, platform)) for platform in platforms}
    return {platform: entry for platform, entry in found.items() if entry is not None}


def _read_components(registry: Registry, name: str, version: int) -> Mapping[str, Json]:
    entry = _entry(registry, name, side_tag(version, "request"))
    try:
        return parse_components(read_side(registry, name, entry)) if entry else {}
    except (NotFoundError, CorruptError):
        return {}


def _read_lock(registry: Registry, name: str, version: int) -> Lock | None:
    entry = _entry(registry, name, side_tag(version, "lock"))
    try:
        return parse_lock_body(read_side(registry, name, entry)) if entry else None
    except (NotFoundError, CorruptError):
        return None
