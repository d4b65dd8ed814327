"""Whole images in a registry: found, pushed, brought over from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci.descriptor import Blob, Content, Descriptor, Image, Stream
from reconciler.oci.manifest import parse_image
from reconciler.ports import Executor, Registry
from reconciler.reconcile.tagging import offer_tag
from reconciler.reconcile.tags import build_tag
from reconciler.values.digest import Digest

MAX_CONFIG = 4 << 20
"""Bytes of an image configuration."""
_FEW = 2
"""Blobs that are moved one after the other: a side entry has no more, and threads would gain nothing."""
Item = TypeVar("Item")


def find_artifact(
    registry: Registry, name: str, key: Digest, known: Digest | None = None, *, executor: Executor | None = None
) -> Content | None:
    """Find what was built for this key, every byte verified; what is damaged counts as not there.

    A remote registry verified what it took, and is only asked whether each blob is there. ``known`` is what a record
    says that the artifact is. A record can't be altered and a tag can, so it is believed first.
    """
    try:
        manifest = registry.fetch(name, known or build_tag(key))
        image = parse_image(manifest)
        each((image.config, *image.layers), lambda blob: _check(registry, name, blob), executor)
    except (NotFoundError, CorruptError):
        return None
    return manifest


class Pushed:
    """Where this run has put which blob, so that another environment takes it from there."""

    def __init__(self) -> None:
        self._places: dict[Digest, str] = {}

    def note(self, digest: Digest, name: str) -> None:
        """Remember that a blob is in a repository now."""
        self._places.setdefault(digest, name)

    def find(self, digest: Digest) -> str | None:
        """Give a repository that has it; none where this run put it nowhere."""
        return self._places.get(digest)


def push_image(  # noqa: PLR0913  # where, what, how
    registry: Registry,
    name: str,
    image: Image,
    tag: str | None = None,
    *,
    executor: Executor | None = None,
    pushed: Pushed | None = None,
) -> Content:
    """Write an image: its blobs, side by side where there is an executor, then its manifest, by digest and a tag.

    What stands in ``pushed`` is mounted from there.
    """
    places = pushed or Pushed()

    def push(blob: Blob) -> None:
        known = (blob.mount_from if isinstance(blob, Stream) else None) or places.find(blob.digest)
        registry.push_blob(name, blob, mount_from=known if known != name else None)
        places.note(blob.digest, name)

    blobs: tuple[Blob, ...] = (*image.streams, *image.blobs)
    each(blobs, push, executor)
    if tag is None:
        registry.push(name, image.manifest)
    else:
        offer_tag(registry, name, image.manifest, tag)
    return image.manifest


def copy_image(  # noqa: PLR0913  # from where, to where, what
    registry: Registry, source: str, name: str, digest: Digest, tag: str, *, executor: Executor | None = None
) -> Content:
    """Bring an image from another repository of the registry; blobs are mounted where the registry can."""
    manifest = registry.fetch(source, digest)
    image = parse_image(manifest)

    def push(blob: Blob) -> None:
        registry.push_blob(name, blob, mount_from=source)

    each([stream_of(registry, source, blob) for blob in (image.config, *image.layers)], push, executor)
    offer_tag(registry, name, manifest, tag)
    return manifest


def read_image(registry: Registry, name: str, digest: Digest) -> Image:
    """Give an image that is registered: its manifest and configuration, and its layers to be read when needed."""
    manifest = registry.fetch(name, digest)
    image = parse_image(manifest)
    if image.config.size > MAX_CONFIG:
        raise CorruptError(f"the configuration {image.config.digest} of {name} has {image.config.size} bytes")
    data = b"".join(registry.fetch_blob(name, image.config))
    config = Content(media_type=image.config.media_type, data=data)
    streams = tuple(stream_of(registry, name, layer) for layer in image.layers)
    return Image(manifest=manifest, blobs=(config,), streams=streams)


def stream_of(registry: Registry, name: str, blob: Descriptor) -> Stream:
    """Give a blob of a registry to be read from there when it is needed."""
    return Stream(descriptor=blob, read=partial(registry.fetch_blob, name, blob))


def each(items: Sequence[Item], work: Callable[[Item], None], executor: Executor | None) -> None:
    """Do the work for each, side by side where there is an executor and more than a few; the first error ends it."""
    if executor is None or len(items) <= _FEW:
        for item in items:
            work(item)
        return
    for _ in executor.map(work, items):
        pass


def _check(registry: Registry, name: str, blob: Descriptor) -> None:
    if not registry.remote:
        for _ in registry.fetch_blob(name, blob):
            pass
    elif not registry.has_blob(name, blob):
        raise NotFoundError(f"blob {blob.digest} of {name} is not there")
