"""Layers by what went into them, made once for all processes of this machine.

A layer is two files: its bytes, and what they are. The second is written last and says the first's size and digest; a
layer whose bytes are found to be others when they are read is forgotten, and made again by who asks next. As in every
cache nothing is forced to the disk: what a power loss tears is noticed by its digest. A registry that is a folder gives
the bytes a second name instead of copying them, so that they are never written to again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from reconciler.assembly.key import LAYER_KEY
from reconciler.errors import DamagedCacheError
from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor, Stream
from reconciler.oci.member import Packed
from reconciler.ports import Layer
from reconciler.store.durable import disk_errors, make_folders, replace_stream, sweep
from reconciler.store.locks import locked
from reconciler.store.usage import mark_used
from reconciler.values.digest import Digest

Compress = Callable[[Iterable[bytes | Packed]], Iterator[bytes]]
NOTHING: Mapping[str, str] = MappingProxyType({})
_CHUNK = 1 << 20
_BYTES, _ABOUT, _LOCK = ".tar.gz", ".json", ".lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """A layer on this disk. ``read`` gives its bytes; where they are others, a DamagedCacheError at their end."""

    key: Digest
    diff_id: Digest
    digest: Digest
    size: int
    annotations: Mapping[str, str]
    file: str = field(compare=False)
    read: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)

    @property
    def layer(self) -> Layer:
        """The layer as an image takes it, its key on its descriptor."""
        descriptor = Descriptor(
            media_type=media.LAYER_TAR_GZIP,
            digest=self.digest,
            size=self.size,
            annotations={**self.annotations, LAYER_KEY: str(self.key)},
        )
        return Layer(stream=Stream(descriptor=descriptor, read=self.read, file=self.file), diff_id=self.diff_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerStore:
    """The layers below ``path``, compressed by ``compress``."""

    path: Path
    compress: Compress

    def find(self, key: Digest, *, saying: Collection[str] = ()) -> StoredLayer | None:
        """Give the layer with that key, none where nobody made it or it is not whole. Its bytes are not read yet.

        One whose descriptor does not say all of ``saying`` is from before it was said, and serves nobody.
        """
        about = self._path(key, _ABOUT)
        with disk_errors(about, "read"):
            try:
                stored = self._stored(key, about.read_bytes())
                whole = self._path(key, _BYTES).stat().st_size == stored.size
            except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
                return None
            if not whole or not stored.annotations.keys() >= {*saying}:
                return None
            mark_used(about)
            return stored

    def make(
        self,
        key: Digest,
        chunks: Callable[[], Iterator[bytes | Packed]],
        *,
        annotations: Mapping[str, str] = NOTHING,
        saying: Collection[str] = (),
    ) -> StoredLayer:
        """Give the layer with that key, made from an archive's ``chunks`` where it is not there.

        ``annotations`` are what else its descriptor says; they are read when the last of the chunks was. One process
        makes it, others wait for it. What ``chunks`` raises leaves nothing behind, a disk that refuses is a
        StoreError.
        """
        make_folders(self.path)
        with locked(self._path(key, _LOCK)):
            found = self.find(key, saying=saying)
            return found if found is not None else self._make(key, chunks, annotations)

    def sweep(self) -> int:
        """Remove what interrupted writers left; tell how many files."""
        return sweep(self.path)

    def _make(
        self, key: Digest, chunks: Callable[[], Iterator[bytes | Packed]], annotations: Mapping[str, str]
    ) -> StoredLayer:
        plain, packed, size = sha256(), sha256(), 0

        def hashed() -> Iterator[bytes | Packed]:
            for chunk in chunks():
                plain.update(chunk.plain if isinstance(chunk, Packed) else chunk)
                yield chunk

        def compressed() -> Iterator[bytes]:
            nonlocal size
            for block in self.compress(hashed()):
                packed.update(block)
                size += len(block)
                yield block

        replace_stream(self._path(key, _BYTES), compressed())
        found = {"diff_id": f"sha256:{plain.hexdigest()}", "digest": f"sha256:{packed.hexdigest()}", "size": size}
        data = json.dumps({**found, "annotations": dict(annotations)}).encode()
        replace_stream(self._path(key, _ABOUT), (data,))
        return self._stored(key, data)

    def _stored(self, key: Digest, data: bytes) -> StoredLayer:
        about = json.loads(data)
        digest, size = Digest.parse(about["digest"]), int(about["size"])
        return StoredLayer(
            key=key,
            diff_id=Digest.parse(about["diff_id"]),
            digest=digest,
            size=size,
            annotations={str(name): str(text) for name, text in about["annotations"].items()},
            file=str(self._path(key, _BYTES)),
            read=lambda: self._read(key, digest, size),
        )

    def _read(self, key: Digest, digest: Digest, size: int) -> Iterator[bytes]:
        path, hashed, left = self._path(key, _BYTES), sha256(), size
        with disk_errors(path, "read"), path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                hashed.update(chunk)
                left -= len(chunk)
                yield chunk
        if left or hashed.hexdigest() != digest.hex:
            with suppress(OSError):
                self._path(key, _ABOUT).unlink()
            raise DamagedCacheError(f"{path} is damaged", hint="run the command again; the layer is made again")

    def _path(self, key: Digest, ending: str) -> Path:
        return self.path / f"{key.hex}{ending}"
