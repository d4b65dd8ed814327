"""Archives of ``docker save``: which images are in one, and the manifest that each would have in a registry. Pure.

``manifest.json`` names for each image its configuration, its layers and its tags (the Docker image specification 1.2,
"Combined Image JSON + Filesystem Changeset Format"). It has neither sizes nor digests: these are found out from the
bytes. The manifest is OCI's, and a pure function of configuration and layers, so that its digest can stand in a lock.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.document import as_array, as_object, as_text, parse_array, refuse_lookalikes
from reconciler.oci.image import to_manifest
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

MANIFEST = "manifest.json"
_FIELDS = frozenset({"Config", "RepoTags", "Layers"})
_HEX = re.compile(r"[0-9a-f]{64}")
_OWN = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """An image of an archive: the names of its configuration and of its layers there, and its tags."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What a layer's bytes were found to be: their size and digest, and the digest of what they unpack to."""

    digest: Digest
    size: int
    diff_id: Digest
    is_gzip: bool

    @property
    def descriptor(self) -> Descriptor:
        """The layer as a manifest names it."""
        media_type = media.LAYER_TAR_GZIP if self.is_gzip else media.LAYER_TAR
        return Descriptor(media_type=media_type, digest=self.digest, size=self.size)


def parse_saved(data: bytes) -> tuple[Saved, ...]:
    """Read ``manifest.json``; anything else is a ValueError with the field's path."""
    return tuple(_saved(item, f"[{place}]") for place, item in enumerate(parse_array(data)))


def _saved(value: Json, path: str) -> Saved:
    fields = as_object(value, path)
    refuse_lookalikes(fields, _FIELDS, path)
    tags = fields.get("RepoTags")
    return Saved(
        config=posixpath.normpath(as_text(fields.get("Config"), f"{path}.Config")),
        layers=tuple(map(posixpath.normpath, _texts(fields.get("Layers"), f"{path}.Layers"))),
        tags=tuple(_texts([] if tags is None else tags, f"{path}.RepoTags")),
    )


def _texts(value: Json, path: str) -> Iterable[str]:
    return (as_text(item, f"{path}[{place}]") for place, item in enumerate(as_array(value, path)))


def choose(images: Sequence[Saved], tag: str) -> Saved | None:
    """Give the image with a tag (``REPO:TAG``), or the only one where ``tag`` is empty; none where there is none."""
    if not tag:
        return images[0] if len(images) == 1 else None
    return next((image for image in images if _plain(tag) in map(_plain, image.tags)), None)


def _plain(tag: str) -> str:
    """Leave out what Docker's tools leave out or write, as they like."""
    for own in _OWN:
        tag = tag.removeprefix(own)
    return tag.removeprefix("library/")


def configuration_of(image: Saved, data: bytes) -> Content:
    """Take an image's configuration; where its name is a digest it has to be that of the bytes, else a CorruptError."""
    content = Content(media_type=media.CONFIG, data=data)
    name = posixpath.basename(image.config).removesuffix(".json")
    if _HEX.fullmatch(name) and content.digest.hex != name:
        raise CorruptError(f"{image.config} is not what its name says")
    return content


def manifest_of(config: Content, layers: Sequence[Measured]) -> Content:
    """Make the manifest; layers that are not what the configuration says are a CorruptError."""
    wanted = parse_config(config).diff_ids
    if len(wanted) != len(layers):
        raise CorruptError(f"its configuration names {len(wanted)} layers, and it has {len(layers)}")
    for place, (layer, diff_id) in enumerate(zip(layers, wanted, strict=True)):
        if layer.diff_id != diff_id:
            raise CorruptError(f"layer {place} is not what its configuration says")
    return to_manifest(config, [layer.descriptor for layer in layers])
