"""A registry with a local cache in front: what was read once is read again only where it may be something else.

Content is kept by its digest and hashed again before it is believed, so that a damaged cache costs a request and
nothing else. Whether something is there is always asked of the registry. What must be seen as it is there now (drift,
the write protocol) is read through :attr:`CachedRegistry.fresh`, which asks for everything and keeps what it got.
"""

from __future__ import annotations

import binascii
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from copy import copy

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.ports import Cache, Feature, Registry
from reconciler.registries.checks import check_repository, manifest_of
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

MAX_BLOB = 1 << 20
"""Bytes of a blob that is kept."""
MAX_MANIFEST = 128 << 10
"""Bytes of a manifest that is kept: a record has some thousand, and one of thousands of layers is read seldom."""
_BATCH = 8 << 20
"""Bytes that are kept in memory before they are written."""
_OURS = "application/vnd.reconciler."


class CachedRegistry:
    """``registry`` with ``cache`` in front; ``blobs`` is a cache of its own for what is larger than a manifest.

    Safe for threads. What was read is written to the cache in batches: when enough is waiting, on :meth:`flush`, and
    when the registry is let go or the process ends.
    """

    def __init__(self, registry: Registry, cache: Cache, *, blobs: Cache | None = None) -> None:
        self._registry = registry
        self._manifests = _Kept(cache)
        self._blobs = self._manifests if blobs is None else _Kept(blobs)
        self._believes = True
        for kept in {self._manifests, self._blobs}:
            weakref.finalize(kept, _write, kept.cache, kept.waiting)

    @property
    def address(self) -> str:
        """How people and records name this registry."""
        return self._registry.address

    @property
    def remote(self) -> bool:
        """Whether each question costs a request."""
        return self._registry.remote

    @property
    def fresh(self) -> CachedRegistry:
        """The same registry, asked for everything; what it answers is kept for those who need not ask."""
        other = copy(self)
        other._believes = False  # noqa: SLF001  # a copy of this object
        return other

    def flush(self) -> None:
        """Write what waits to the cache, before this process becomes another."""
        self._manifests.flush()
        self._blobs.flush()

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest, verified.

        By digest it may come from the cache. By tag the registry is asked once: which manifest that is, where this
        one is known, else for the manifest itself.
        """
        check_repository(repository)
        known = self._known(repository, reference) if self._believes else None
        if known is not None:
            return known
        content = self._registry.fetch(repository, reference)
        if len(content.data) <= MAX_MANIFEST:
            self._manifests.put(self._key("manifest", repository, content.digest), _to_text(content.data))
            if isinstance(reference, str):
                self._manifests.put(self._key("tag", repository, reference), str(content.digest))
        return content

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Ask the registry which manifest a tag or a digest names."""
        return self._registry.resolve(repository, reference)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; a small one may come from the cache."""
        if descriptor.size > MAX_BLOB:
            return self._registry.fetch_blob(repository, descriptor)
        return self._fetch_small(repository, descriptor)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """Ask the registry whether a blob is there."""
        return self._registry.has_blob(repository, descriptor)

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        """Store a blob in the registry."""
        self._registry.push_blob(repository, blob, mount_from=mount_from)

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        """Store a manifest or index in the registry and move these tags to it."""
        self._registry.push(repository, content, tags=tags)

    def delete(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag or a manifest from the registry, and from the cache."""
        self._registry.delete(repository, reference)
        self._manifests.put(self._key("tag" if isinstance(reference, str) else "manifest", repository, reference), "")

    def tags(self, repository: str) -> tuple[str, ...]:
        """Ask the registry for its tags."""
        return self._registry.tags(repository)

    def repositories(self) -> tuple[str, ...] | None:
        """Ask the registry for its repositories."""
        return self._registry.repositories()

    def claim(self, repository: str) -> None:
        """Make sure that the repository is there and that we may write to it."""
        self._registry.claim(repository)

    def features(self, repository: str) -> tuple[Feature, ...]:
        """Find out what the registry can do."""
        return self._registry.features(repository)

    def writing(self, repository: str) -> AbstractContextManager[None]:
        """Keep other writers out, where the registry can."""
        return self._registry.writing(repository)

    # -- what is known ------------------------------------------------------------------------------------------

    def _known(self, repository: str, reference: str | Digest) -> Content | None:
        if isinstance(reference, Digest):
            return self._manifest(repository, reference)
        before = _to_digest(self._manifests.get(self._key("tag", repository, reference)))
        content = self._manifest(repository, before) if before is not None else None
        if content is None:
            return None
        now = self._registry.resolve(repository, reference)
        if now == before:
            return content
        return self._manifest(repository, now) if now is not None else None

    def _manifest(self, repository: str, digest: Digest) -> Content | None:
        data = _to_bytes(self._manifests.get(self._key("manifest", repository, digest)), digest)
        if data is None:
            return None
        try:
            return manifest_of(data, digest, repository, None)
        except CorruptError:
            return None

    def _fetch_small(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        check_repository(repository)
        key = self._key("blob", repository, descriptor.digest)
        data = _to_bytes(self._blobs.get(key), descriptor.digest) if self._believes else None
        if data is None or len(data) != descriptor.size:
            data = b"".join(self._registry.fetch_blob(repository, descriptor))
            # Whoever looks at everything reads more than anyone asks for again: then only what is ours is kept.
            if self._believes or descriptor.media_type.startswith(_OURS):
                self._blobs.put(key, _to_text(data))
        yield data

    def _key(self, kind: str, repository: str, reference: str | Digest) -> str:
        return f"{kind} {self.address} {repository} {reference}"


class _Kept:
    """A cache, and what waits to be written to it."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.waiting: dict[str, Json] = {}
        self._size = 0
        self._guard = threading.Lock()

    def get(self, key: str) -> Json | None:
        waiting = self.waiting.get(key)
        return self.cache.get(key) if waiting is None else waiting

    def put(self, key: str, value: str) -> None:
        if self.get(key) == value:
            return
        with self._guard:
            self.waiting[key] = value
            self._size += len(value)
        if self._size > _BATCH:
            self.flush()

    def flush(self) -> None:
        with self._guard:
            _write(self.cache, self.waiting)
            self._size = 0


def _write(cache: Cache, waiting: dict[str, Json]) -> None:
    cache.put_many(waiting)
    waiting.clear()


def _to_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _to_bytes(value: Json | None, digest: Digest) -> bytes | None:
    """Read what was kept; what is not there, or not what the digest says, is none."""
    if not isinstance(value, str):
        return None
    with suppress(ValueError):
        data = binascii.a2b_base64(value)
        return data if Digest.of(data) == digest else None
    return None


def _to_digest(value: Json | None) -> Digest | None:
    with suppress(ValueError):
        return Digest.parse(value) if isinstance(value, str) else None
    return None
