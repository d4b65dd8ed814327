"""A base made of packages, as an image: its layers are on this machine, or where a record has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from reconciler.assembly.config import DEFAULT_PATH
from reconciler.errors import NotFoundError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor, Stream
from reconciler.oci.image import ImageConfig, to_manifest
from reconciler.oci.manifest import parse_image
from reconciler.ports import BaseImage, Layer
from reconciler.values.canonical import to_canonical
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

ENVIRONMENT: Mapping[str, str] = {"PATH": DEFAULT_PATH, "LANG": "C.UTF-8"}
COMMAND = ("sh",)


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeImage:
    """Implements :class:`reconciler.ports.Images` for the one image that was made."""

    name: str
    manifest: Content
    config: Content
    layers: Mapping[Digest, Stream]

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give the manifest."""
        del repository
        if str(reference) != str(self.manifest.digest):
            raise NotFoundError(f"{self.name} has no {reference}")
        return self.manifest

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream the configuration or a layer."""
        del repository
        if descriptor.digest == self.config.digest:
            return self.config.chunks()
        if descriptor.digest not in self.layers:
            raise NotFoundError(f"{self.name} has no {descriptor.digest}")
        return self.layers[descriptor.digest].chunks()


def image_of(name: str, platform: Platform, layers: Sequence[Layer]) -> BaseImage:
    """Put layers, from the lowest, under one manifest, with what a shell and Python need to start."""
    config = ImageConfig(
        platform=platform,
        diff_ids=tuple(layer.diff_id for layer in layers),
        environment=ENVIRONMENT,
        command=COMMAND,
    ).to_content()
    streams = tuple(layer.stream for layer in layers)
    manifest = to_manifest(config, [stream.descriptor for stream in streams])
    made = MadeImage(name=name, manifest=manifest, config=config, layers={stream.digest: stream for stream in streams})
    return BaseImage(reference=name, registry=made, repository=name, manifest=manifest, config=config, streams=streams)


def image_over(base: BaseImage, layer: Layer) -> BaseImage:
    """Put one more layer over an image, whose own layers stay where they are; it starts as it did."""
    below = base.streams or tuple(
        Stream(descriptor=one, read=partial(base.registry.fetch_blob, base.repository, one), mount_from=base.mount)
        for one in parse_image(base.manifest).layers
    )
    value = json.loads(base.config.data)
    value["rootfs"]["diff_ids"].append(str(layer.diff_id))
    config = Content(media_type=media.CONFIG, data=to_canonical(value))
    streams = (*below, layer.stream)
    manifest = to_manifest(config, [stream.descriptor for stream in streams])
    held = {stream.digest: stream for stream in streams}
    made = MadeImage(name=base.reference, manifest=manifest, config=config, layers=held)
    return replace(base, registry=made, repository=base.reference, manifest=manifest, config=config, streams=streams)
