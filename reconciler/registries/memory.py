"""A registry in memory, for tests and trials; it keeps to the same rules as one on disk."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.ports import Feature
from reconciler.registries.checks import check_repository, check_source, check_tag, manifest_of, refuse_dangling
from reconciler.values.digest import Digest


class MemoryRegistry:
    """Blobs, manifests and tags by repository, safe for threads."""

    def __init__(self, address: str = "memory", *, remote: bool = False) -> None:
        self.address = address
        self.remote = remote
        self.blobs: dict[str, dict[Digest, bytes]] = {}
        """By repository and digest; tests damage them."""
        self.tagged: dict[str, dict[str, Descriptor]] = {}
        self._guard = threading.RLock()
        self._writers: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest, verified."""
        check_repository(repository)
        descriptor = self._tagged(repository, reference) if isinstance(reference, str) else None
        digest = descriptor.digest if descriptor is not None else reference
        with self._guard:
            data = self.blobs.get(repository, {}).get(digest) if isinstance(digest, Digest) else None
        if data is None or not isinstance(digest, Digest):
            if descriptor is not None:
                raise CorruptError(f"{repository}: {reference} names {digest}, which is not there")
            raise NotFoundError(f"{repository}: no manifest {reference}")
        _verify(repository, digest, data)
        return manifest_of(data, digest, repository, descriptor)

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Tell which manifest a tag or a digest names, none where it is not there."""
        check_repository(repository)
        with self._guard:
            if isinstance(reference, Digest):
                return reference if reference in self.blobs.get(repository, {}) else None
            found = self.tagged.get(repository, {}).get(reference)
            return found.digest if found is not None else None

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Give a blob in one piece, verified."""
        check_repository(repository)
        with self._guard:
            data = self.blobs.get(repository, {}).get(descriptor.digest)
        if data is None:
            raise NotFoundError(f"{repository}: no blob {descriptor.digest}")
        if len(data) != descriptor.size:
            raise CorruptError(f"{repository}: {descriptor.digest} has {len(data)} bytes instead of {descriptor.size}")
        _verify(repository, descriptor.digest, data)
        yield data

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """Tell whether a blob of that digest and size is there."""
        check_repository(repository)
        with self._guard:
            data = self.blobs.get(repository, {}).get(descriptor.digest)
        return data is not None and len(data) == descriptor.size

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        """Store a blob, verified."""
        check_repository(repository)
        if mount_from is not None:
            check_source(mount_from)
        data = b"".join(blob.chunks())
        _verify(repository, blob.digest, data)
        with self._guard:
            self.blobs.setdefault(repository, {})[blob.digest] = data

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        """Store a manifest or index and move these tags to it, in one step."""
        check_repository(repository)
        for tag in tags:
            check_tag(tag)
        with self._guard:
            refuse_dangling(repository, content, self.has_blob)
            self.blobs.setdefault(repository, {})[content.digest] = content.data
            self.tagged.setdefault(repository, {}).update(dict.fromkeys(tags, content.describe()))

    def delete(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag, or a manifest with every tag that names it."""
        check_repository(repository)
        with self._guard:
            tagged = self.tagged.get(repository, {})
            if isinstance(reference, str):
                if tagged.pop(reference, None) is None:
                    raise NotFoundError(f"{repository}: no tag {reference[:140]}")
                return
            if self.blobs.get(repository, {}).pop(reference, None) is None:
                raise NotFoundError(f"{repository}: no manifest {reference}")
            for tag in [tag for tag, found in tagged.items() if found.digest == reference]:
                del tagged[tag]

    def tags(self, repository: str) -> tuple[str, ...]:
        """List tags, sorted."""
        check_repository(repository)
        with self._guard:
            return tuple(sorted(self.tagged.get(repository, ())))

    def repositories(self) -> tuple[str, ...] | None:
        """List repositories, sorted."""
        with self._guard:
            return tuple(sorted(self.blobs))

    def claim(self, repository: str) -> None:
        """Do nothing: every repository is there and may be written."""
        check_repository(repository)

    def features(self, repository: str) -> tuple[Feature, ...]:
        """Say that it can do everything."""
        check_repository(repository)
        return tuple(
            Feature(name=name, supported=True) for name in ("push", "list tags", "list repositories", "delete")
        )

    @contextmanager
    def writing(self, repository: str) -> Iterator[None]:
        """Keep other threads that write this repository out."""
        check_repository(repository)
        with self._guard:
            lock = self._writers[repository]
        with lock:
            yield

    def _tagged(self, repository: str, tag: str) -> Descriptor:
        with self._guard:
            found = self.tagged.get(repository, {}).get(tag)
        if found is None:
            raise NotFoundError(f"{repository}: no tag {tag[:140]}")
        return found


def _verify(repository: str, digest: Digest, data: bytes) -> None:
    if Digest.of(data) != digest:
        raise CorruptError(f"{repository}: what is kept as {digest} has other content")
