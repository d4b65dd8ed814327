"""Bytes by their digest on the local disk, hashed again whenever they are read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from reconciler.errors import CorruptError, NotFoundError
from reconciler.store.durable import create_file, disk_errors, link_file, make_folders, sweep, write_file
from reconciler.values.digest import Digest


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
        path = self.path_of(digest)
        if not holds(path, digest):
            make_folders(self._folder)
            # Whoever comes second finds the file of the first, so that all second names are of one file.
            if not create_file(path, data) and not holds(path, digest):
                write_file(path, data)
        return digest

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


def holds(path: Path, digest: Digest) -> bool:
    """Tell whether a plain file is there with that content."""
    data = _read(path)
    return data is not None and Digest.of(data) == digest


def _read(path: Path) -> bytes | None:
    with disk_errors(path, "read"):
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a link is no content
                return None
            raise
        with os.fdopen(file, "rb") as stream:
            return stream.read()
