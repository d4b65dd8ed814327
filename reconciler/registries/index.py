"""``index.json`` of an OCI image layout: which tag names which manifest (image-spec 1.1, image-layout.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.document import as_array, as_integer, as_object, parse_object
from reconciler.oci.manifest import parse_descriptor
from reconciler.values.canonical import Json, to_canonical

MAX_INDEX = 32 << 20
"""Bytes of an ``index.json``: a hundred thousand tags."""
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_REF_NAME = "org.opencontainers.image.ref.name"
_SCHEMA_VERSION = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutIndex:
    """The entries as they were read, and the manifest of each tag."""

    value: Mapping[str, Json]
    tags: Mapping[str, Descriptor]

    def with_tags(self, tags: Iterable[str], descriptor: Descriptor) -> LayoutIndex:
        """Move tags to a manifest; every other entry stays as it is."""
        moved = frozenset(tags)
        entries = [entry for entry in as_array(self.value["manifests"], "") if _ref_name(entry) not in moved]
        entries.extend(_tagged(descriptor, tag).to_json() for tag in sorted(moved))
        return LayoutIndex(
            value={**self.value, "manifests": entries},
            tags={**self.tags, **dict.fromkeys(moved, descriptor)},
        )

    def to_bytes(self) -> bytes:
        """Write the file."""
        return to_canonical(dict(self.value))


def empty_index() -> LayoutIndex:
    """Give the index of a new layout."""
    return LayoutIndex(value={"schemaVersion": _SCHEMA_VERSION, "mediaType": media.INDEX, "manifests": []}, tags={})


def parse_layout_index(data: bytes) -> LayoutIndex:
    """Read ``index.json``; anything that is not whole, strict and unambiguous is a ValueError that says where."""
    value = parse_object(data, limit=MAX_INDEX)
    if as_integer(value.get("schemaVersion"), "schemaVersion") != _SCHEMA_VERSION:
        raise ValueError(f"schemaVersion: {value['schemaVersion']} instead of {_SCHEMA_VERSION}")
    if value.get("mediaType", media.INDEX) != media.INDEX:
        raise ValueError(f"mediaType: {str(value['mediaType'])[:80]!r} instead of {media.INDEX!r}")
    tags: dict[str, Descriptor] = {}
    for place, entry in enumerate(as_array(value.get("manifests"), "manifests")):
        descriptor = parse_descriptor(entry, f"manifests[{place}]")
        tag = descriptor.annotations.get(_REF_NAME)
        if tag is None:
            continue
        if tag in tags:
            raise ValueError(f"manifests[{place}].annotations.{_REF_NAME}: a second {tag[:140]!r}")
        tags[tag] = descriptor
    return LayoutIndex(value=value, tags=tags)


def check_layout(data: bytes) -> None:
    """Check the file ``oci-layout``; another version, or no such file at all, is a ValueError."""
    if data == LAYOUT:
        return
    version = parse_object(data).get("imageLayoutVersion")
    if version != "1.0.0":
        raise ValueError(f"imageLayoutVersion: {str(version)[:40]!r}, known is '1.0.0'")


def _ref_name(entry: Json) -> Json:
    annotations = as_object(entry, "").get("annotations")
    return annotations.get(_REF_NAME) if isinstance(annotations, dict) else None


def _tagged(descriptor: Descriptor, tag: str) -> Descriptor:
    return Descriptor(
        media_type=descriptor.media_type,
        digest=descriptor.digest,
        size=descriptor.size,
        platform=descriptor.platform,
        annotations={_REF_NAME: tag},
    )
