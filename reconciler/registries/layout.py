"""A registry as a folder of OCI image layouts, one a repository (image-spec 1.1, image-layout.md).

::

    FOLDER/NAME/oci-layout, index.json, blobs/sha256/<hex>      any OCI tool reads it
    FOLDER/.locks/                                              one lock a repository for its writers, one for its index
    FOLDER/.locks/.gc                                           held by every writer with others, by `gc` alone

Blobs are hard links into a store that all repositories share. A repository is absent only where its folder is: a
folder with something missing or broken in it is a CorruptError, never an empty repository.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci.descriptor import Blob, Content, Descriptor, Stream
from reconciler.ports import Feature
from reconciler.registries.checks import (
    OWN,
    check_repository,
    check_source,
    check_tag,
    is_repository,
    manifest_of,
    refuse_dangling,
)
from reconciler.registries.inspection import Inspection
from reconciler.registries.opened import OpenedLayout, has_plain_blob, leads_nowhere, make_layout, open_layout, remove
from reconciler.registries.unreached import LOCK, Unreached
from reconciler.store.content import ContentStore, holds
from reconciler.store.durable import disk_errors, sweep, write_file
from reconciler.store.locks import locked
from reconciler.values.digest import Digest

_WAIT_S = 3600.0
_INDEX_WAIT_S = 60.0


class LayoutRegistry:
    """The registry in ``folder``, with its blobs linked into ``store``; it is made when something is written."""

    def __init__(
        self, folder: Path, *, store: ContentStore, address: str | None = None, wait_s: float | None = _WAIT_S
    ) -> None:
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._store = store
        self._wait_s = wait_s
        self._swept = False
        self.address = address or str(folder)
        self.remote = False

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest; its hash, and what its tag's entry says of it, are checked."""
        with self._open(repository) as layout:
            if layout is None:
                raise NotFoundError(f"{self.address}: no repository {repository}")
            descriptor = None
            if isinstance(reference, str):
                descriptor = layout.index().find(reference)
                if descriptor is None:
                    raise NotFoundError(f"{layout.path}: no tag {reference[:140]!a}")
                reference = descriptor.digest
            data = layout.manifest(reference)
            if data is not None:
                return manifest_of(data, reference, str(layout.path), descriptor)
            if descriptor is None:
                raise NotFoundError(f"{layout.path}: no manifest {reference}")
            raise CorruptError(f"{layout.path}/index.json names {reference}, which is not there", hint="apply heals it")

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Tell which manifest a tag names, also where its content is gone; or whether a digest is there."""
        if isinstance(reference, Digest) and has_plain_blob(self._path(repository), reference):
            return reference
        with self._open(repository) as layout:
            if layout is None:
                return None
            if isinstance(reference, Digest):
                return reference if layout.size(reference) is not None else None
            descriptor = layout.index().find(reference)
            return descriptor.digest if descriptor is not None else None

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; at most the declared size is given, and what differs is a CorruptError at the latest then."""
        with self._open(repository) as layout:
            if layout is None or layout.size(descriptor.digest) is None:
                raise NotFoundError(f"{self.address}: no blob {descriptor.digest} in {repository}")
            yield from layout.blob(descriptor)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """Tell whether a blob of that digest and size is there; it is not hashed."""
        with self._open(repository) as layout:
            return layout is not None and layout.size(descriptor.digest) == descriptor.size

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        """Store a blob, durable when this returns; one that is there and damaged is replaced.

        It is streamed, and not read at all where it is there and whole, in this repository or in another one.
        Repositories share their blobs, so ``mount_from`` saves nothing.
        """
        if mount_from is not None:
            check_source(mount_from)
        self._ensure(repository)
        self._put(repository, blob)

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        """Store a manifest or index and move all these tags to it by one rename of ``index.json``."""
        for tag in tags:
            check_tag(tag)
        self._ensure(repository)
        refuse_dangling(repository, content, self.has_blob)
        self._put(repository, content)
        if not tags:
            return
        with self._index_lock(repository), self._open(repository) as layout:
            if layout is None:
                raise CorruptError(f"{self._folder / repository} went away while it was written", hint="run again")
            index = layout.index()
            written = content.describe()
            if any(_differs(index.find(tag), written) for tag in tags):
                write_file(layout.path / "index.json", index.with_tags(tags, written).to_bytes())

    def delete(self, repository: str, reference: str | Digest) -> None:
        """Take a tag, or a manifest with every tag that names it, out of ``index.json``; then the manifest's file."""
        with self._index_lock(repository), self._open(repository) as layout:
            index = layout.index() if layout is not None else None
            if layout is None or index is None:
                raise NotFoundError(f"{self.address}: no repository {repository}")
            if isinstance(reference, Digest):
                if layout.manifest(reference) is None:
                    raise NotFoundError(f"{layout.path}: no manifest {reference}")
                gone = index.named(reference)
            else:
                if index.find(reference) is None:
                    raise NotFoundError(f"{layout.path}: no tag {reference[:140]!a}")
                gone = [reference]
            if gone:
                write_file(layout.path / "index.json", index.without_tags(gone).to_bytes())
            if isinstance(reference, Digest):
                (layout.path / "blobs" / "sha256" / reference.hex).unlink(missing_ok=True)

    def tags(self, repository: str) -> tuple[str, ...]:
        """List tags, sorted; empty where there is no such repository."""
        with self._open(repository) as layout:
            return () if layout is None else tuple(sorted(layout.index().tags))

    def repositories(self) -> tuple[str, ...] | None:
        """List repositories, sorted: whatever stands under a repository's name, whole or not."""
        with disk_errors(self._folder, "list"):
            try:
                names = [path.name for path in self._folder.iterdir()]
            except FileNotFoundError:
                if not leads_nowhere(self._folder):
                    return ()
                raise CorruptError(
                    f"{self._folder} is behind a link to nothing", hint="name the registry's folder"
                ) from None
            except NotADirectoryError as error:
                raise CorruptError(f"{self._folder} is no folder", hint="name the registry's folder") from error
        return tuple(sorted(name for name in names if is_repository(name)))

    def claim(self, repository: str) -> None:
        """Do nothing: a folder is made when something is written, and one that may not be read says so itself."""
        check_repository(repository)

    def features(self, repository: str) -> tuple[Feature, ...]:
        """Tell what a folder can do: everything, where its files may be written."""
        check_repository(repository)
        folder = self._folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        writable = os.access(folder, os.W_OK)
        hint = "" if writable else f"get the right to write to {folder}"
        return (
            Feature(name="push", supported=writable, hint=hint),
            *(Feature(name=name, supported=True) for name in ("list tags", "list repositories", "delete")),
        )

    def inspection(self) -> Inspection:
        """Look at the files themselves."""
        return Inspection(self._folder, self._store)

    def unreached(self) -> Unreached:
        """Look for what nothing reaches."""
        return Unreached(folder=self._folder, store=self._store)

    @contextmanager
    def writing(self, repository: str) -> Iterator[None]:
        """Keep other writers of this repository out, threads and processes; tidy up what interrupted ones left.

        Not to be entered twice by one thread. Who waits for an hour gets a ConflictError.
        """
        check_repository(repository)
        with (
            locked(self._folder / ".locks" / f"{repository}.lock", timeout_s=self._wait_s),
            locked(self._folder / LOCK, timeout_s=self._wait_s, shared=True),
        ):
            self._sweep(repository)
            yield

    def _open(self, repository: str) -> AbstractContextManager[OpenedLayout | None]:
        return open_layout(self._path(repository))

    def _path(self, repository: str) -> Path:
        path = self._paths.get(repository)
        if path is None:
            check_repository(repository)
            path = self._paths[repository] = self._folder / repository
        return path

    @contextmanager
    def _index_lock(self, repository: str) -> Iterator[None]:
        # Apart from the lock of ``writing``, so that a holder of that one can push, and held for a moment only.
        with locked(self._folder / ".locks" / f"{repository}.index", timeout_s=_INDEX_WAIT_S):
            yield

    def _ensure(self, repository: str) -> None:
        if self._is_whole(repository):
            return
        with self._index_lock(repository):
            if not self._is_whole(repository):
                remove(self._folder / repository)
                make_layout(self._folder / repository)

    def _is_whole(self, repository: str) -> bool:
        try:
            with self._open(repository) as layout:
                if layout is not None:
                    layout.index()
                return layout is not None
        except CorruptError:
            if repository not in OWN:
                raise
            return False  # losing what is in it loses nothing, so that it is made anew

    def _put(self, repository: str, blob: Blob) -> None:
        descriptor = blob.describe()
        path = self._folder / repository / "blobs" / "sha256" / blob.digest.hex
        if holds(path, blob.digest, descriptor.size):
            return
        file = Path(blob.file) if isinstance(blob, Stream) and blob.file is not None else None
        if file is None or not self._store.adopt(descriptor, file):
            self._store.put_stream(descriptor, blob.chunks)
        self._store.link(blob.digest, path)

    def _sweep(self, repository: str) -> None:
        for folder in ("", "blobs/sha256"):
            sweep(self._folder / repository / folder)
        if not self._swept:
            self._store.sweep()
            self._swept = True


def _differs(found: Descriptor | None, wanted: Descriptor) -> bool:
    return found is None or (found.digest, found.media_type, found.size) != (
        wanted.digest,
        wanted.media_type,
        wanted.size,
    )
