"""Manifests and indexes in the other family of media types: Docker's schema 2, or OCI's **[format]**.

Docker's are those of the distribution project's "Image Manifest Version 2, Schema 2" and of OCI's own table of what
means the same (image-spec 1.1, media-types.md, "Compatibility Matrix"). Only media types change, and the digests that
follow from them: no blob does. Annotations stay; Docker's form has no field for them, and no reader minds. What is
written is canonical, so that the same content converts to the same bytes; there and back gives ours as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from reconciler.errors import RegistryError
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.document import as_array, as_object
from reconciler.oci.manifest import parse_image, parse_index
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.digest import Digest

_TO_DOCKER = {
    media.INDEX: media.DOCKER_INDEX,
    media.MANIFEST: media.DOCKER_MANIFEST,
    media.CONFIG: media.DOCKER_CONFIG,
    media.LAYER_TAR: media.DOCKER_LAYER_TAR,
    media.LAYER_TAR_GZIP: media.DOCKER_LAYER_TAR_GZIP,
}
_OURS = frozenset({media.REQUEST, media.LOCK})
"""What side entries hold: data that no engine takes for a layer."""
_ONLY_OCI = ("artifactType", "subject")


class Family(Enum):
    """Whose media types."""

    OCI = "oci"
    DOCKER = "docker"


_TYPES: Mapping[Family, Mapping[str, str]] = MappingProxyType(
    {Family.DOCKER: _TO_DOCKER, Family.OCI: {docker: oci for oci, docker in _TO_DOCKER.items()}}
)


def convert_image(content: Content, family: Family) -> Content:
    """Write an image manifest with the family's media types; the same bytes where it has them already.

    A malformed one is a CorruptError. A layer that the family has no type for (compressed in another way, or one that
    comes from elsewhere) is a RegistryError.
    """
    parse_image(content)
    types = _TYPES[family]
    if content.media_type in types.values():
        return content
    try:
        value = _copied(content)
        value["config"] = _retyped(value["config"], types, "config")
        value["layers"] = [
            _retyped(layer, types, f"layers[{place}]") for place, layer in enumerate(as_array(value["layers"], ""))
        ]
    except ValueError as error:
        raise _refusal(content, family, error) from error
    return _written(value, types[content.media_type])


def convert_index(content: Content, family: Family, entries: Mapping[Digest, Content]) -> Content:
    """Write an index with the family's media types, its entries replaced by what they were converted to.

    The same bytes where nothing changes. Platforms and annotations stay. A malformed one is a CorruptError.
    """
    index, types = parse_index(content), _TYPES[family]
    is_same = all(entries[entry.digest].digest == entry.digest for entry in index.manifests)
    if is_same and content.media_type in types.values():
        return content
    try:
        value = _copied(content)
    except ValueError as error:
        raise _refusal(content, family, error) from error
    written = as_array(value["manifests"], "manifests")
    value["manifests"] = [
        {**as_object(fields, "manifests"), **_named(entries[entry.digest])}
        for fields, entry in zip(written, index.manifests, strict=True)
    ]
    return _written(value, types.get(content.media_type, content.media_type))


def _copied(content: Content) -> dict[str, Json]:
    """Copy a document's fields; those that Docker's form lacks, and whose loss would mean something, are refused."""
    for field in _ONLY_OCI:
        if field in content.document:
            raise ValueError(f"it has the field {field}")
    return dict(content.document)


def _retyped(descriptor: Json, types: Mapping[str, str], path: str) -> Json:
    fields = as_object(descriptor, path)
    found = str(fields["mediaType"])
    annotations = as_object(fields.get("annotations", {}), path)
    if found in _OURS and types is _TYPES[Family.DOCKER]:
        return {**fields, "mediaType": media.DOCKER_LAYER_TAR, "annotations": {**annotations, media.MEANT: found}}
    if annotations.get(media.MEANT) in _OURS and types is _TYPES[Family.OCI]:
        return _as_meant(fields, annotations)
    if found in types.values():
        return descriptor
    if found not in types:
        raise ValueError(f"{path} is {found}")
    return {**fields, "mediaType": types[found]}


def _as_meant(fields: Mapping[str, Json], annotations: Mapping[str, Json]) -> Json:
    rest: Json = {key: value for key, value in annotations.items() if key != media.MEANT}
    others = {key: value for key, value in fields.items() if key != "annotations"}
    return others | ({"annotations": rest} if rest else {}) | {"mediaType": annotations[media.MEANT]}


def _named(content: Content) -> dict[str, Json]:
    return {"mediaType": content.media_type, "digest": str(content.digest), "size": len(content.data)}


def _written(value: dict[str, Json], media_type: str) -> Content:
    return Content(media_type=media_type, data=to_canonical({**value, "mediaType": media_type}))


def _refusal(content: Content, family: Family, reason: ValueError) -> RegistryError:
    return RegistryError(
        f"{content.digest} can't be written with {family.value} media types: {reason}",
        hint="copy it as it is, without --media-types",
    )
