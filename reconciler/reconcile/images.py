"""Whole images in a registry: found, pushed, brought over from elsewhere."""

from __future__ import annotations

from functools import partial

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci.descriptor import Content, Image, Stream
from reconciler.oci.manifest import parse_image
from reconciler.ports import Registry
from reconciler.reconcile.tags import build_tag
from reconciler.values.digest import Digest


def find_artifact(registry: Registry, name: str, key: Digest, known: Digest | None = None) -> Content | None:
    """Find what was built for this key, every byte verified; what is damaged counts as not there.

    ``known`` is what a record says that it is. A record can't be altered and a tag can, so it is believed first.
    """
    try:
        manifest = registry.fetch(name, known or build_tag(key))
        image = parse_image(manifest)
        for blob in (image.config, *image.layers):
            for _ in registry.fetch_blob(name, blob):
                pass
    except (NotFoundError, CorruptError):
        return None
    return manifest


def push_image(registry: Registry, name: str, image: Image, tag: str | None = None) -> Content:
    """Write an image: its blobs, then its manifest, by digest and under a tag."""
    for blob in image.blobs:
        registry.push_blob(name, blob)
    registry.push(name, image.manifest, tags=(tag,) if tag else ())
    return image.manifest


def copy_image(registry: Registry, source: str, name: str, digest: Digest, tag: str) -> Content:
    """Bring an image from another repository of the registry; blobs are mounted where the registry can."""
    manifest = registry.fetch(source, digest)
    image = parse_image(manifest)
    for blob in (image.config, *image.layers):
        stream = Stream(descriptor=blob, read=partial(registry.fetch_blob, source, blob))
        registry.push_blob(name, stream, mount_from=source)
    registry.push(name, manifest, tags=(tag,))
    return manifest
