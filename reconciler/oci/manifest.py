"""Image indexes and image manifests (image-spec 1.1, image-index.md and manifest.md).

What is parsed here is untrusted. The two kinds must not be taken for one another, so a document with the fields of
both, or whose ``mediaType`` is not the one that it was given as, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.document import as_array, as_integer, as_object, as_text, as_texts, refuse_lookalikes
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

MAX_SIZE = (1 << 63) - 1
_SCHEMA_VERSION = 2
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
# It ends up in tags.
_PLATFORM_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
_DESCRIPTOR_FIELDS = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"}
)
_DOCUMENT_FIELDS = frozenset(
    {"schemaVersion", "mediaType", "artifactType", "manifests", "config", "layers", "subject", "annotations"}
)
_INDEX_HAS_NOT = ("config", "layers", "fsLayers")
_MANIFEST_HAS_NOT = ("manifests", "fsLayers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """An image index: its entries in order, and its annotations."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_content(self) -> Content:
        """Write the index in canonical form."""
        value: dict[str, Json] = {
            "schemaVersion": _SCHEMA_VERSION,
            "mediaType": media.INDEX,
            "manifests": [entry.to_json() for entry in self.manifests],
        }
        return _to_content(media.INDEX, value, self.annotations)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageManifest:
    """An image manifest: its configuration, its layers from the lowest, and its annotations."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_content(self) -> Content:
        """Write the manifest in canonical form."""
        value: dict[str, Json] = {
            "schemaVersion": _SCHEMA_VERSION,
            "mediaType": media.MANIFEST,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        return _to_content(media.MANIFEST, value, self.annotations)


def parse_index(content: Content) -> Index:
    """Read an image index; one that is malformed, or something else, is a CorruptError with the field's path."""
    try:
        value = _parse(content, media.INDEXES, "an image index")
        _refuse_fields(value, _INDEX_HAS_NOT, "an image index")
        return Index(
            manifests=_descriptors(value.get("manifests"), "manifests"),
            annotations=_annotations(value, ""),
        )
    except ValueError as error:
        raise CorruptError(f"index {content.digest}: {error}") from error


def parse_image(content: Content) -> ImageManifest:
    """Read an image manifest; one that is malformed, or something else, is a CorruptError with the field's path."""
    try:
        value = _parse(content, media.MANIFESTS, "an image manifest")
        _refuse_fields(value, _MANIFEST_HAS_NOT, "an image manifest")
        return ImageManifest(
            config=parse_descriptor(value.get("config"), "config"),
            layers=_descriptors(value.get("layers"), "layers"),
            annotations=_annotations(value, ""),
        )
    except ValueError as error:
        raise CorruptError(f"image manifest {content.digest}: {error}") from error


def parse_descriptor(value: object, path: str) -> Descriptor:
    """Read a descriptor; a malformed one is a ValueError that begins with the field's path.

    Of a platform, operating system and architecture are read. ``urls`` and ``data`` are not: content comes from the
    registry, by digest, or not at all.
    """
    fields = as_object(value, path)
    refuse_lookalikes(fields, _DESCRIPTOR_FIELDS, path)
    size = as_integer(fields.get("size"), f"{path}.size")
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"{path}.size: {size} is no size")
    return Descriptor(
        media_type=_media_type(fields.get("mediaType"), f"{path}.mediaType"),
        digest=_digest(fields.get("digest"), f"{path}.digest"),
        size=size,
        platform=_platform(fields["platform"], f"{path}.platform") if "platform" in fields else None,
        annotations=_annotations(fields, path),
    )


def parse_manifest(data: bytes) -> Content:
    """Take bytes for the manifest or index that they say to be, by field or else by form; a ValueError where none."""
    content = Content(media_type=media.INDEX, data=data)
    found = content.document.get("mediaType")
    if found is None:
        fields = content.document.keys()
        found = media.INDEX if "manifests" in fields else media.MANIFEST if "layers" in fields else None
    if found == media.INDEX:
        return content
    if not isinstance(found, str) or found not in media.INDEXES | media.MANIFESTS:
        raise ValueError(f"mediaType: {str(found)[:80]!r}")
    return Content(media_type=found, data=data)


def references(content: Content) -> Iterable[Descriptor]:
    """List what a manifest or an index names; a malformed one is a CorruptError."""
    if content.media_type in media.INDEXES:
        return parse_index(content).manifests
    image = parse_image(content)
    return (image.config, *image.layers)


def _to_content(media_type: str, value: dict[str, Json], annotations: Mapping[str, str]) -> Content:
    if annotations:
        value["annotations"] = dict(annotations)
    return Content(media_type=media_type, data=to_canonical(value))


def _parse(content: Content, allowed: frozenset[str], kind: str) -> dict[str, Json]:
    if content.media_type not in allowed:
        raise ValueError(f"{content.media_type[:80]} is not {kind}")
    value = content.document
    refuse_lookalikes(value, _DOCUMENT_FIELDS, kind)
    if as_integer(value.get("schemaVersion"), "schemaVersion") != _SCHEMA_VERSION:
        raise ValueError(f"schemaVersion: {value['schemaVersion']} instead of {_SCHEMA_VERSION}")
    # OCI lets the field out; Docker does not, and where it stands it has to agree (CVE-2021-41190).
    if ("mediaType" in value or content.media_type not in (media.INDEX, media.MANIFEST)) and (
        value.get("mediaType") != content.media_type
    ):
        raise ValueError(f"mediaType: {str(value.get('mediaType'))[:80]!r} instead of {content.media_type!r}")
    return value


def _refuse_fields(value: Mapping[str, Json], names: tuple[str, ...], kind: str) -> None:
    for name in names:
        if name in value:
            raise ValueError(f"{name}: {kind} has no such field")


def _descriptors(value: Json, path: str) -> tuple[Descriptor, ...]:
    return tuple(parse_descriptor(item, f"{path}[{place}]") for place, item in enumerate(as_array(value, path)))


def _annotations(value: Mapping[str, Json], path: str) -> Mapping[str, str]:
    if "annotations" not in value:
        return {}
    return as_texts(value["annotations"], f"{path}.annotations" if path else "annotations")


def _digest(value: Json, path: str) -> Digest:
    try:
        return Digest.parse(as_text(value, ""))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _media_type(value: Json, path: str) -> str:
    text = as_text(value, path)
    if _MEDIA_TYPE.fullmatch(text) is None:
        raise ValueError(f"{path}: not a media type: {text[:80]!r}")
    return text


def _platform(value: Json, path: str) -> Platform:
    fields = as_object(value, path)
    return Platform(_part(fields.get("os"), f"{path}.os"), _part(fields.get("architecture"), f"{path}.architecture"))


def _part(value: Json, path: str) -> str:
    text = as_text(value, path)
    if _PLATFORM_PART.fullmatch(text) is None:
        raise ValueError(f"{path}: {text[:40]!r}")
    return text
