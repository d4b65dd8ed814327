"""What a record's side entries hold, read and compared with what the record says of it.

A record names its request and its lock twice: by the entry that holds them, and by the identity of what is in there.
An entry whose bytes are whole but of another identity is as damaged as one that is cut: it was never applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import CorruptError, NotFoundError
from reconciler.lock.model import Lock
from reconciler.manifest.desired import build_key, request_of
from reconciler.oci.descriptor import Descriptor
from reconciler.plan.observed import Present
from reconciler.ports import Registry
from reconciler.record import Bodies, Record, blob_of, parse_components, parse_lock_body
from reconciler.values.canonical import Json, digest_of

MAX_BODY = 64 << 20
"""Bytes of a request or a lock; what claims to be larger is refused."""


def read_bodies(registry: Registry, name: str, record: Record) -> Bodies:
    """Read a record's components and lock. What is not there, damaged or not the record's is a RegistryError."""
    return Bodies(components=read_components(registry, name, record), lock=read_lock(registry, name, record))


def read_components(registry: Registry, name: str, record: Record) -> Mapping[str, Json]:
    """Read a record's components; errors as in :func:`read_bodies`."""
    components = parse_components(read_side(registry, name, record.request_entry))
    digests = {key: digest_of(value) for key, value in components.items()}
    if request_of(digests) != record.facts.request or digests != record.facts.components:
        raise CorruptError(f"{name}: the record holds another request than it says", hint="apply registers it again")
    return components


def read_lock(registry: Registry, name: str, record: Record) -> Lock:
    """Read a record's lock, also where its request is damaged; errors as in :func:`read_bodies`."""
    lock, facts = parse_lock_body(read_side(registry, name, record.lock_entry)), record.facts
    if lock.digest != facts.lock:
        raise CorruptError(f"{name}: the record holds another lock than it says", hint="apply registers it again")
    for platform, key in record.build_keys.items():
        part = lock.platforms.get(platform)
        builder = (facts.builder, facts.recipe)
        if part is None or build_key(facts.request, platform, part.digest, builder, record.below.get(platform)) != key:
            raise CorruptError(f"{name}: the record has another build key for {platform} than follows from its lock")
    return lock


def read_side(registry: Registry, name: str, entry: Descriptor) -> bytes:
    """Read the blob of a side entry; what is not there or damaged is a RegistryError."""
    blob = blob_of(registry.fetch(name, entry.digest))
    if blob.size > MAX_BODY:
        raise CorruptError(f"a side entry of {name} in {registry.address} claims {blob.size} bytes")
    return b"".join(registry.fetch_blob(name, blob))


def with_bodies(registry: Registry, name: str, present: Present) -> Present:
    """Add the bodies; where they can't be read, say which entry is missing or tampered instead."""
    if present.bodies is not None:
        return present
    record = present.record
    try:
        components = read_components(registry, name, record)
    except (NotFoundError, CorruptError) as error:
        return _without(present, "request", error)
    try:
        lock = read_lock(registry, name, record)
    except (NotFoundError, CorruptError) as error:
        return _without(present, "lock", error)
    return replace(present, bodies=Bodies(components=components, lock=lock))


def _without(present: Present, label: str, error: NotFoundError | CorruptError) -> Present:
    if label in present.missing or label in present.tampered:
        return present
    if isinstance(error, NotFoundError):
        return replace(present, missing=(*present.missing, label))
    return replace(present, tampered=(*present.tampered, label))
