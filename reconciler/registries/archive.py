"""Images in archives on disk, read as from a registry that can't be written to: OCI layouts, and ``docker save``.

Both implement :class:`reconciler.ports.Images`. An archive holds images by tag and digest, whatever the repository.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.document import MAX_MANIFEST
from reconciler.oci.manifest import parse_descriptor
from reconciler.oci.saved import MANIFEST, Measured, Saved, choose, configuration_of, manifest_of, parse_saved
from reconciler.oci.untar import decompress
from reconciler.registries import checks
from reconciler.registries.index import MAX_INDEX, LayoutIndex, check_layout, parse_layout_index
from reconciler.store.archive import Archive
from reconciler.store.content import verified
from reconciler.values.digest import Digest

_LATEST = "latest"
_GZIP = b"\x1f\x8b"
_ANEW = "make the archive anew, or fetch it again"


class OciArchive:
    """An OCI layout in an archive (image-layout.md)."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest, verified; without a tag ``latest``, else the only one."""
        del repository
        descriptor = self._described(reference) if isinstance(reference, str) else None
        digest = reference if isinstance(reference, Digest) else descriptor.digest if descriptor else None
        if digest is None:
            raise NotFoundError(f"{self._archive.shown}: it has no tag {reference!s:.140}")
        data = self._archive.read(_blob(digest), limit=MAX_MANIFEST)
        if Digest.of(data) != digest:
            raise CorruptError(f"{self._archive.shown}: {_blob(digest)} is not what its name says")
        return checks.manifest_of(data, digest, self._archive.shown, descriptor)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob, verified."""
        del repository
        return verified(descriptor, self._archive.chunks(_blob(descriptor.digest)))

    def _described(self, tag: str) -> Descriptor | None:
        index = self._index()
        if tag or (found := index.find(_LATEST)) is None:
            entries = index.value["manifests"]
            assert isinstance(entries, list)  # noqa: S101  # it was read as one
            if tag or not entries:
                return index.find(tag)
            if len(entries) > 1:
                raise _unclear(self._archive, index.tags)
            return parse_descriptor(entries[0], "manifests[0]")
        return found

    def _index(self) -> LayoutIndex:
        try:
            with _reading(self._archive, "oci-layout"):
                check_layout(self._archive.read("oci-layout", limit=MAX_MANIFEST))
            with _reading(self._archive, "index.json"):
                return parse_layout_index(self._archive.read("index.json", limit=MAX_INDEX))
        except NotFoundError as error:
            raise CorruptError(
                f"{error.message}, and is no OCI layout", hint="what `docker save` writes is named docker-archive:FILE"
            ) from error


class DockerArchive:
    """Images that ``docker save`` wrote, or that are written like them."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._guard = threading.Lock()
        self._made: dict[Saved, Content] = {}
        self._layers: dict[str, Measured] = {}
        self._names: dict[Digest, str] = {}

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give the manifest of an image, by ``REPO:TAG`` or digest; without a tag that of the only image."""
        del repository
        images = self._images()
        with self._guard:  # each byte is hashed once, whoever asks
            if isinstance(reference, Digest):
                return self._by_digest(images, reference)
            if not reference and len(images) > 1:
                raise _unclear(self._archive, [tag for image in images for tag in image.tags])
            image = choose(images, reference)
            if image is None:
                raise NotFoundError(f"{self._archive.shown}: it has no image {reference[:140]}")
            return self._manifest(image)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob, verified; one of an image that was not asked for is not there."""
        del repository
        name = self._names.get(descriptor.digest)
        if name is None:
            raise NotFoundError(f"{self._archive.shown}: it has no blob {descriptor.digest}")
        return verified(descriptor, self._archive.chunks(name))

    def _images(self) -> Sequence[Saved]:
        try:
            with _reading(self._archive, MANIFEST):
                return parse_saved(self._archive.read(MANIFEST, limit=MAX_MANIFEST))
        except NotFoundError as error:
            raise CorruptError(
                f"{error.message}, and is not what `docker save` writes",
                hint="an OCI layout is named oci-archive:FILE",
            ) from error

    def _by_digest(self, images: Sequence[Saved], digest: Digest) -> Content:
        for image in images:
            if (found := self._manifest(image)).digest == digest:
                return found
        raise NotFoundError(f"{self._archive.shown}: it has no image {digest}")

    def _manifest(self, image: Saved) -> Content:
        if image not in self._made:
            try:
                self._made[image] = self._make(image)
            except NotFoundError as error:
                raise CorruptError(f"{error.message}, which {MANIFEST} names", hint=_ANEW) from error
        return self._made[image]

    def _make(self, image: Saved) -> Content:
        with _reading(self._archive, image.config):
            config = configuration_of(image, self._archive.read(image.config, limit=MAX_MANIFEST))
            self._names[config.digest] = image.config
            return manifest_of(config, [self._measured(name) for name in image.layers])

    def _measured(self, name: str) -> Measured:
        if name not in self._layers:
            self._layers[name] = found = _measure(self._archive.chunks(name))
            self._names[found.digest] = name
        return self._layers[name]


def _measure(chunks: Iterator[bytes]) -> Measured:
    """Hash a layer as it is and as it unpacks."""
    first = next(chunks, b"")
    is_gzip, packed, plain, size = first.startswith(_GZIP), sha256(), sha256(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for chunk in chain([first], chunks):
            packed.update(chunk)
            size += len(chunk)
            yield chunk

    for chunk in decompress(media.LAYER_TAR_GZIP, counted()) if is_gzip else counted():
        if is_gzip:
            plain.update(chunk)
    digest = Digest.parse(f"sha256:{packed.hexdigest()}")
    diff_id = Digest.parse(f"sha256:{plain.hexdigest()}") if is_gzip else digest
    return Measured(digest=digest, size=size, diff_id=diff_id, is_gzip=is_gzip)


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{digest.hex}"


def _unclear(archive: Archive, tags: Sequence[str] | object) -> NotFoundError:
    there = ", ".join(sorted(str(tag)[:140] for tag in tags)[:5]) if tags else "none of them has a tag"  # type: ignore[attr-defined]
    return NotFoundError(f"{archive.shown}: it has several images, and no tag says which ({there})")


@contextmanager
def _reading(archive: Archive, name: str) -> Iterator[None]:
    """Say of what is wrong where it stands."""
    try:
        yield
    except ValueError as error:
        raise CorruptError(f"{archive.shown}: {name[:120]}: {error}") from error
    except CorruptError as error:
        if error.message.startswith(archive.shown):
            raise
        raise CorruptError(f"{archive.shown}: {error.message}", hint=error.hint) from error
