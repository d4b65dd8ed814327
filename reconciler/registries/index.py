"""``index.json`` of an OCI image layout: which tag names which manifest (image-spec 1.1, image-layout.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.document import as_array, as_integer, as_object, parse_object
from reconciler.oci.manifest import MAX_SIZE, parse_descriptor
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.digest import Digest

MAX_INDEX = 32 << 20
"""Bytes of an ``index.json``: a hundred thousand tags."""
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_REF_NAME = "org.opencontainers.image.ref.name"
_SCHEMA_VERSION = 2
_PLAIN = {"mediaType", "digest", "size", "annotations"}
_PLAIN_ANNOTATIONS = {_REF_NAME}
_MEDIA_TYPES = (media.MANIFEST, media.INDEX)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayoutIndex:
    """The entries as they were read, and those that have a tag by it; each was checked."""

    value: Mapping[str, Json]
    tags: Mapping[str, Json]

    def find(self, tag: str) -> Descriptor | None:
        """Give the manifest that a tag names, none where there is no such tag."""
        entry = self.tags.get(tag)
        return None if entry is None else parse_descriptor(entry, tag)

    def named(self, digest: Digest) -> list[str]:
        """List the tags that name a manifest."""
        return [tag for tag, entry in self.tags.items() if as_object(entry, tag).get("digest") == str(digest)]

    def with_tags(self, tags: Iterable[str], descriptor: Descriptor) -> LayoutIndex:
        """Move tags to a manifest; every other entry stays as it is."""
        moved = {tag: _tagged(descriptor, tag).to_json() for tag in sorted(tags)}
        entries = [entry for entry in as_array(self.value["manifests"], "") if _ref_name(entry) not in moved]
        return LayoutIndex(
            value={**self.value, "manifests": [*entries, *moved.values()]},
            tags={**self.tags, **moved},
        )

    def without_tags(self, tags: Iterable[str]) -> LayoutIndex:
        """Take tags away; every other entry stays as it is."""
        gone = set(tags)
        entries = [entry for entry in as_array(self.value["manifests"], "") if _ref_name(entry) not in gone]
        return LayoutIndex(
            value={**self.value, "manifests": entries},
            tags={tag: entry for tag, entry in self.tags.items() if tag not in gone},
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
    tags: dict[str, Json] = {}
    for place, entry in enumerate(as_array(value.get("manifests"), "manifests")):
        if not _is_plain(entry):
            parse_descriptor(entry, f"manifests[{place}]")
        tag = _ref_name(entry)
        if not isinstance(tag, str):
            continue
        if tag in tags:
            raise ValueError(f"manifests[{place}].annotations.{_REF_NAME}: a second {tag[:140]!r}")
        tags[tag] = entry
    return LayoutIndex(value=value, tags=tags)


def check_layout(data: bytes) -> None:
    """Check the file ``oci-layout``; another version, or no such file at all, is a ValueError."""
    if data == LAYOUT:
        return
    version = parse_object(data).get("imageLayoutVersion")
    if version != "1.0.0":
        raise ValueError(f"imageLayoutVersion: {str(version)[:40]!r}, known is '1.0.0'")


def _is_plain(entry: Json) -> bool:
    """Tell at once whether an entry is sound; only of those that we write, and not of every sound one.

    A repository with a long history has hundreds, and each observation reads them all.
    """
    if type(entry) is not dict or entry.keys() != _PLAIN:
        return False
    digest, size, annotations = entry["digest"], entry["size"], entry["annotations"]
    return (
        entry["mediaType"] in _MEDIA_TYPES
        and type(digest) is str
        and _DIGEST.fullmatch(digest) is not None
        and type(size) is int
        and 0 <= size <= MAX_SIZE
        and type(annotations) is dict
        and annotations.keys() == _PLAIN_ANNOTATIONS
        and type(annotations[_REF_NAME]) is str
    )


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
