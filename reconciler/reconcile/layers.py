"""Layers that records have already: a layer made once is found again by its key, without what went into it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from reconciler.assembly.key import LAYER_KEY
from reconciler.errors import CorruptError, RegistryError
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Content, Descriptor, Stream
from reconciler.oci.manifest import parse_image
from reconciler.plan.change import Plan
from reconciler.plan.observed import Present
from reconciler.ports import Layer, Layers, Registry
from reconciler.record import Record
from reconciler.values.digest import Digest

MAX_CONFIG = 4 << 20
"""Bytes of an image configuration that is read for the digests of its layers."""
MAX_RECORDS = 64
"""Records of other environments that are looked through for a layer: each costs requests, and few would not do."""


@dataclass(kw_only=True)
class RecordLayers:
    """The layers of these records, by environment; they are read when one is first asked for.

    The caller gives records of our manager alone: a key is only as good as who wrote it.
    """

    registry: Registry
    records: Sequence[Record]
    _found: Mapping[Digest, tuple[str, Layer]] | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def find(self, key: Digest) -> Layer | None:
        """Give a layer with that key that is there and whole; a record that can't be read has none."""
        with self._guard:
            if self._found is None:
                self._found = {
                    key: (record.facts.name, layer)
                    for record in reversed(self.records)  # of two the first counts
                    for key, layer in self._layers(record).items()
                }
        name, layer = self._found.get(key, ("", None))
        return layer if layer is not None and self._is_whole(name, layer) else None

    def _is_whole(self, name: str, layer: Layer) -> bool:
        """Tell whether it can be had: a folder's is hashed, a registry that verified it is only asked."""
        try:
            if self.registry.remote:
                return self.registry.has_blob(name, layer.stream.descriptor)
            for _ in layer.stream.chunks():
                pass
        except RegistryError:
            return False
        return True

    def _layers(self, record: Record) -> Mapping[Digest, Layer]:
        found: dict[Digest, Layer] = {}
        for artifact in record.artifacts.values():
            try:
                found |= layers_of(self.registry, record.facts.name, artifact.digest)
            except RegistryError:
                continue
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class InTurn:
    """Asks one after the other."""

    sources: Sequence[Layers]

    def find(self, key: Digest) -> Layer | None:
        """Give the first layer that is found."""
        return next((found for source in self.sources if (found := source.find(key)) is not None), None)


def layers_of_run(registry: Registry, plan: Plan, manager: str) -> RecordLayers:
    """Give the layers of every record that was read for a plan and is our manager's own, as far as it has an image."""
    found = [step.observation.record for step in plan.steps if isinstance(step.observation, Present)]
    images = [record for record in found if record.facts.manager == manager and record.facts.base is not None]
    return RecordLayers(registry=registry, records=images[:MAX_RECORDS])


def layers_of(registry: Registry, name: str, manifest: Digest) -> Mapping[Digest, Layer]:
    """Give the layers of an artifact that bear a key."""
    image = parse_image(registry.fetch(name, manifest))
    keyed = [layer for layer in image.layers if LAYER_KEY in layer.annotations]
    if not keyed:
        return {}
    config = parse_config(_config(registry, name, image.config))
    if len(config.diff_ids) != len(image.layers):
        raise CorruptError(f"image {manifest} of {name}: {len(config.diff_ids)} digests for {len(image.layers)} layers")
    pairs = zip(image.layers, config.diff_ids, strict=True)
    return {_key(layer): _layer(registry, name, layer, diff_id) for layer, diff_id in pairs if layer in keyed}


def _config(registry: Registry, name: str, descriptor: Descriptor) -> Content:
    if descriptor.size > MAX_CONFIG:
        raise CorruptError(f"the configuration {descriptor.digest} of {name} has {descriptor.size} bytes")
    data = b"".join(registry.fetch_blob(name, descriptor))
    return Content(media_type=descriptor.media_type, data=data)


def _key(layer: Descriptor) -> Digest:
    try:
        return Digest.parse(layer.annotations[LAYER_KEY])
    except ValueError as error:
        raise CorruptError(f"layer {layer.digest}: {LAYER_KEY}: {error}") from error


def _layer(registry: Registry, name: str, layer: Descriptor, diff_id: Digest) -> Layer:
    plain = replace(layer, platform=None)
    read = partial(registry.fetch_blob, name, plain)
    return Layer(stream=Stream(descriptor=plain, read=read, mount_from=name), diff_id=diff_id)
