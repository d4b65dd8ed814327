"""What a record's side entries hold: the request's components by value, and the lock **[format]**."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from reconciler.errors import CorruptError
from reconciler.lock.model import Lock
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor, Image
from reconciler.oci.document import as_integer, as_object, parse_object
from reconciler.oci.image import side_entry
from reconciler.oci.manifest import parse_image
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.digest import Digest

BODY_FORMAT = 1
MAX_BODY = 64 << 20
"""Bytes of a request's components or of a lock: thousands of packages for every platform."""
UPGRADE = "upgrade the reconciler"
Body = TypeVar("Body")
_OURS = "application/vnd.reconciler."


def components_content(components: Mapping[str, Json]) -> Image:
    """Wrap a request's components as a side entry."""
    return side_entry(media.REQUEST, to_canonical({"version": BODY_FORMAT, "components": dict(components)}))


def lock_content(lock: Lock) -> Image:
    """Wrap a lock as a side entry."""
    value: dict[str, Json] = {"version": BODY_FORMAT, "inputs": str(lock.inputs), "platforms": lock.to_json()}
    return side_entry(media.LOCK, to_canonical(value))


def blob_of(entry: Content) -> Descriptor:
    """Find the blob of a side entry's manifest; what is no side entry is a CorruptError."""
    layers = parse_image(entry).layers
    if len(layers) != 1:
        raise CorruptError(f"side entry {entry.digest}: {len(layers)} layers instead of one")
    # In Docker's form an annotation says it, see oci/conversion.py.
    found = layers[0].annotations.get(media.MEANT, layers[0].media_type)
    if found in (media.REQUEST, media.LOCK, media.STATE):
        return replace(layers[0], media_type=found)
    if found.startswith(_OURS):
        raise CorruptError(f"side entry {entry.digest} is of a newer form, {found}", hint=UPGRADE)
    raise CorruptError(f"side entry {entry.digest}: {found} is none of ours")


def parse_components(data: bytes) -> Mapping[str, Json]:
    """Read the components of a request; what is malformed or of a newer form is a CorruptError."""
    return _parse(data, "request", lambda value: as_object(value.get("components"), "components"))


def parse_lock_body(data: bytes) -> Lock:
    """Read a lock; what is malformed or of a newer form is a CorruptError."""
    from reconciler.lock.document import lock_from_json  # noqa: PLC0415  # only who reads locks pays for its checks

    return _parse(data, "lock", lock_from_json)


def _parse(data: bytes, kind: str, read: Callable[[dict[str, Json]], Body]) -> Body:
    try:
        value = parse_object(data, limit=MAX_BODY)
        version = as_integer(value.get("version"), "version")
        if version == BODY_FORMAT:
            return read(value)
    except ValueError as error:
        raise CorruptError(f"{kind} {Digest.of(data)}: {error}") from error
    raise CorruptError(f"{kind} {Digest.of(data)} is of form {version}, known is {BODY_FORMAT}", hint=UPGRADE)
