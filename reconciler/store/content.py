"""Bytes by their digest on the local disk, hashed again whenever they are read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci.descriptor import Descriptor
from reconciler.store.durable import create_file, disk_errors, link_file, make_folders, sweep, sync_file
from reconciler.values.digest import Digest

_CHUNK = 1 << 20


class ContentStore:
    """A folder with ``sha256/<hex>`` files; several processes may write to it at once."""

    def __init__(self, path: Path) -> None:
        self._folder = path / "sha256"

    def path_of(self, digest: Digest) -> Path:
        """Say where content is, whether or not it is there."""
        return self._folder / digest.hex

    def put(self, data: bytes) -> Digest:
        """Keep content, durable when this returns; what is there and damaged is replaced, what is whole never is."""
        digest = Digest.of(data)
        self._put(digest, len(data), lambda: (data,))
        return digest

    def put_stream(self, descriptor: Descriptor, read: Callable[[], Iterable[bytes]]) -> None:
        """Keep content as :meth:`put` does, without holding it in memory.

        It is read only where it is not there and whole already, and at most to its size; what differs from size or
        digest is a CorruptError that leaves nothing behind.
        """
        self._put(descriptor.digest, descriptor.size, lambda: verified(descriptor, read()))

    def adopt(self, descriptor: Descriptor, file: Path) -> bool:
        """Keep the content of a file by giving it a second name; tell whether it is kept now.

        It is not where the file is gone or is not what the descriptor says.
        """
        path = self.path_of(descriptor.digest)
        if holds(path, descriptor.digest, descriptor.size):
            return True
        if not holds(file, descriptor.digest, descriptor.size):
            return False
        make_folders(self._folder)
        sync_file(file)
        link_file(file, path)
        return True

    def read(self, digest: Digest) -> bytes:
        """Give content. A NotFoundError where there is none, a CorruptError where it is not what was kept."""
        path = self.path_of(digest)
        data = _read(path)
        if data is None:
            raise NotFoundError(f"no content {digest} in {path.parent}")
        if Digest.of(data) != digest:
            raise CorruptError(f"{path} is not what its name says", hint="delete the file; it is made again")
        return data

    def link(self, digest: Digest, path: Path) -> None:
        """Give kept content a second name elsewhere, durable, over what is there."""
        link_file(self.path_of(digest), path)

    def sweep(self) -> int:
        """Remove what interrupted writers left; tell how many files."""
        return sweep(self._folder)

    def _put(self, digest: Digest, size: int, read: Callable[[], Iterable[bytes]]) -> None:
        path = self.path_of(digest)
        if not holds(path, digest, size):
            make_folders(self._folder)
            # Whoever comes second finds the file of the first, so that all second names are of one file.
            create_file(path, read(), keep=lambda: holds(path, digest, size))


def holds(path: Path, digest: Digest, size: int) -> bool:
    """Tell whether a plain file of this size is there with that content; it is never in memory as a whole."""
    with disk_errors(path, "read"):
        file = _open(path)
        if file is None:
            return False
        with os.fdopen(file, "rb", buffering=0) as stream:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size != size:
                return False
            hashed = sha256()
            while chunk := stream.read(_CHUNK):
                hashed.update(chunk)
            return hashed.hexdigest() == digest.hex


def _read(path: Path) -> bytes | None:
    with disk_errors(path, "read"):
        file = _open(path)
        if file is None:
            return None
        with os.fdopen(file, "rb") as stream:
            return stream.read()


def _open(path: Path) -> int | None:
    """Open a file; none where there is none or a link, which is no content."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def verified(descriptor: Descriptor, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass chunks on while they are hashed and counted; more than the size is never passed on."""
    left, hashed = descriptor.size, sha256()
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise CorruptError(f"blob {descriptor.digest} is longer than its {descriptor.size} bytes")
        hashed.update(chunk)
        yield chunk
    if left:
        raise CorruptError(f"blob {descriptor.digest} ends {left} bytes before its {descriptor.size} bytes")
    if hashed.hexdigest() != descriptor.digest.hex:
        raise CorruptError(f"blob {descriptor.digest} has other content")
