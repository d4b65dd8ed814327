"""What the registry holds of an environment: read, verified, and told apart from what it would not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum

from reconciler.errors import CorruptError, DeniedError, NotFoundError, ReconcilerError, RegistryError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.manifest import parse_image
from reconciler.plan.observed import Absent, Denied, Observation, Past, Present, Unknown
from reconciler.ports import Registry
from reconciler.reconcile.tags import CURRENT, version_tag, versions
from reconciler.record import Bodies, Record, blob_of, parse_components, parse_lock_body, parse_record
from reconciler.values.digest import Digest

MAX_BODY = 64 << 20
"""Bytes of a request or a lock; what claims to be larger is refused."""
PAST_LIMIT = 100
"""How many earlier versions are asked when something changed."""


class Depth(IntEnum):
    """How much of a record's content is asked for."""

    ENTRIES = 1
    """Every artifact and side entry is there."""
    MANIFESTS = 2
    """Each is read and is what its digest says; every blob that it names is there."""
    BLOBS = 3
    """Every blob is read too."""


def observe(registry: Registry, name: str, *, depth: Depth = Depth.ENTRIES) -> Observation:
    """Tell what ``current`` of an environment is; never raises for what the registry answers."""
    try:
        return _observe(registry, name, depth)
    except DeniedError as error:
        return Denied(str(error))
    except RegistryError as error:
        return Unknown(str(error), corrupt=isinstance(error, CorruptError))
    except ReconcilerError as error:
        return Unknown(str(error))


def _observe(registry: Registry, name: str, depth: Depth) -> Observation:
    try:
        content = registry.fetch(name, CURRENT)
        record = parse_record(content)
    except NotFoundError as error:
        return _recover(registry, name, depth, error)
    except CorruptError as error:
        recovered = _recover(registry, name, depth, error)
        if isinstance(recovered, Absent):
            raise
        return recovered
    return _complete(registry, name, Present(record=record, digest=content.digest), depth)


def _recover(registry: Registry, name: str, depth: Depth, cause: RegistryError) -> Observation:
    """Read the highest version that can be read; ``current`` missing is not Absent while there is one."""
    numbers = versions(registry.tags(name))
    damaged = (CURRENT,) if isinstance(cause, CorruptError) else ()
    for number in numbers:
        try:
            content = registry.fetch(name, version_tag(number))
            present = Present(record=parse_record(content), digest=content.digest, recovered=True)
        except (NotFoundError, CorruptError):
            damaged = (*damaged, version_tag(number))
            continue
        found = _complete(registry, name, present, depth)
        return replace(found, tampered=(*damaged, *found.tampered))
    if numbers:
        raise CorruptError(
            f"no record of {name} in {registry.address} can be read",
            hint="restore the registry from a copy; nothing is built over damaged records",
        ) from cause
    return Absent()


def _complete(registry: Registry, name: str, present: Present, depth: Depth) -> Present:
    missing: list[str] = []
    tampered: list[str] = []
    for label, entry in entries(present.record):
        if depth is Depth.ENTRIES:
            if registry.resolve(name, entry.digest) is None:
                missing.append(label)
            continue
        try:
            _check_entry(registry, name, entry, depth)
        except NotFoundError:
            missing.append(label)
        except CorruptError:
            tampered.append(label)
    return replace(present, missing=tuple(missing), tampered=tuple(tampered))


def _check_entry(registry: Registry, name: str, entry: Descriptor, depth: Depth) -> None:
    image = parse_image(registry.fetch(name, entry.digest))
    for blob in (image.config, *image.layers):
        if depth is Depth.BLOBS:
            for _ in registry.fetch_blob(name, blob):
                pass
        elif not registry.has_blob(name, blob):
            raise NotFoundError(f"blob {blob.digest} of {name} is not there")


def entries(record: Record) -> Iterator[tuple[str, Descriptor]]:
    """List a record's entries by what people call them: the platform, ``request``, ``lock``."""
    for platform, descriptor in sorted(record.artifacts.items()):
        yield str(platform), descriptor
    yield "request", record.request_entry
    yield "lock", record.lock_entry


def read_bodies(registry: Registry, name: str, record: Record) -> Bodies:
    """Read a record's components and lock. What is not there or damaged is a RegistryError."""
    return Bodies(
        components=parse_components(_read_side(registry, name, record.request_entry)),
        lock=parse_lock_body(_read_side(registry, name, record.lock_entry)),
    )


def _read_side(registry: Registry, name: str, entry: Descriptor) -> bytes:
    blob = blob_of(registry.fetch(name, entry.digest))
    if blob.size > MAX_BODY:
        raise CorruptError(f"a side entry of {name} in {registry.address} claims {blob.size} bytes")
    return b"".join(registry.fetch_blob(name, blob))


def with_bodies(registry: Registry, name: str, present: Present) -> Present:
    """Add the bodies; where they can't be read, say which entry is missing or tampered instead."""
    try:
        return replace(present, bodies=read_bodies(registry, name, present.record))
    except NotFoundError:
        return replace(present, missing=_with(present.missing, "lock"))
    except CorruptError:
        return replace(present, tampered=_with(present.tampered, "lock"))


def _with(labels: tuple[str, ...], label: str) -> tuple[str, ...]:
    return labels if label in labels else (*labels, label)


def past(registry: Registry, name: str, request: Digest) -> tuple[Past, ...]:
    """Find earlier versions that were made for this request and whose artifacts are still there, newest first."""
    found: list[Past] = []
    for number in versions(registry.tags(name))[:PAST_LIMIT]:
        try:
            content = registry.fetch(name, version_tag(number))
            record = parse_record(content)
        except RegistryError:
            continue
        if record.facts.request != request:
            continue
        if all(registry.resolve(name, entry.digest) is not None for _, entry in entries(record)):
            found.append(past_of(name, record, content.digest))
    return tuple(found)


def past_of(name: str, record: Record, digest: Digest) -> Past:
    """Describe a record as something to go back to."""
    return Past(
        name=name,
        version=record.facts.version,
        record=digest,
        request=record.facts.request,
        lock=record.facts.lock,
        platforms=tuple(sorted(record.artifacts)),
    )


def history(registry: Registry, name: str) -> tuple[tuple[Record, Digest], ...]:
    """List the tagged records, newest first; what can't be read is a RegistryError."""
    found = []
    for number in versions(registry.tags(name)):
        content = registry.fetch(name, version_tag(number))
        found.append((parse_record(content), content.digest))
    return tuple(found)
