"""Images as archives: a layout (image-layout.md), and what ``docker load`` takes. Pure; layers are streamed.

An archive is a function of the images in it: members sorted, at time 0, owned by root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.oci.descriptor import Blob, Content, Descriptor, Image
from reconciler.oci.manifest import Index
from reconciler.oci.member import Member, file_of
from reconciler.oci.saved import MANIFEST
from reconciler.oci.tar import with_folders, write_tar
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.platform import Platform

NAME = "org.opencontainers.image.ref.name"
"""The annotation of a layout's index that is a tag (image-layout.md)."""
_LAYOUT = b'{"imageLayoutVersion": "1.0.0"}'


def layout_members(images: Mapping[Platform, Image], tag: str) -> Iterator[Member]:
    """Give the files of a layout with these images under one tag.

    One image stands under the tag itself, several under an index of their platforms.
    """
    blobs: dict[str, Blob] = {}
    for image in images.values():
        whole: tuple[Blob, ...] = (image.manifest, *image.blobs, *image.streams)
        blobs |= {blob.digest.hex: blob for blob in whole}
    named = _named(images)
    if isinstance(named, Content):
        blobs[named.digest.hex] = named
    top = replace(named.describe() if isinstance(named, Content) else named, annotations={NAME: tag})
    index = Index(manifests=(top,), annotations={}).to_content()
    yield file_of("oci-layout", _LAYOUT)
    yield file_of("index.json", index.data)
    yield from (_member(f"blobs/sha256/{name}", blob) for name, blob in blobs.items())


def _named(images: Mapping[Platform, Image]) -> Content | Descriptor:
    described = [images[platform].manifest.describe(platform=platform) for platform in sorted(images)]
    return described[0] if len(described) == 1 else Index(manifests=tuple(described), annotations={}).to_content()


def to_oci_archive(images: Mapping[Platform, Image], tag: str) -> Iterator[bytes]:
    """Write a layout as a tar archive."""
    return write_tar(with_folders(layout_members(images, tag)))


def to_docker_archive(image: Image, tags: Sequence[str]) -> Iterator[bytes]:
    """Write what ``docker load`` takes: ``manifest.json``, the configuration, the layers as they are compressed."""
    config = image.blobs[0]
    layers: tuple[Blob, ...] = (*image.streams, *image.blobs[1:])
    named: list[Json] = [_layer_name(layer) for layer in layers]
    described: dict[str, Json] = {"Config": f"{config.digest.hex}.json", "RepoTags": [*tags], "Layers": named}
    members = [
        file_of(MANIFEST, to_canonical([described])),
        file_of(f"{config.digest.hex}.json", config.data),
        *(_member(name, layer) for name, layer in {_layer_name(layer): layer for layer in layers}.items()),
    ]
    return write_tar(with_folders(members))


def _layer_name(blob: Blob) -> str:
    return f"{blob.digest.hex}.tar"


def _member(path: str, blob: Blob) -> Member:
    return Member(path=path, size=blob.describe().size, read=blob.chunks)
