"""Files by their sha256, kept for all processes of this machine and hashed while they are written."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, ClassVar

from reconciler.errors import CorruptError, NotFoundError
from reconciler.store.durable import disk_errors, make_folders, replace_stream, sweep
from reconciler.store.usage import mark_used


@dataclass(frozen=True, kw_only=True, slots=True)
class FileStore:
    """The files below ``path``. Nothing is forced to the disk: a file's content is hashed again when it is used."""

    path: Path
    ending: ClassVar[str] = ""
    kind: ClassVar[str] = "file"

    def path_of(self, sha256: str) -> Path:
        """Say where a file is, whether or not it is there."""
        return self.path / f"{sha256}{self.ending}"

    def holds(self, sha256: str, size: int) -> bool:
        """Tell whether a file of that size is there; one that was cut short is not."""
        path = self.path_of(sha256)
        with disk_errors(path, "read"):
            try:
                return path.stat().st_size == size
            except FileNotFoundError:
                return False

    def put(self, sha256: str, size: int, chunks: Iterable[bytes], *, name: str) -> None:
        """Keep a file, whole or not at all; ``name`` is what an error calls it.

        What has another size or hash is a CorruptError as soon as that is certain; an error of ``chunks`` is passed on.
        """
        make_folders(self.path)
        replace_stream(self.path_of(sha256), _verified(sha256, size, chunks, name))

    def open(self, sha256: str) -> BinaryIO:
        """Open a file; one that is not there is a NotFoundError."""
        path = self.path_of(sha256)
        with disk_errors(path, "read"):
            try:
                file = path.open("rb")
            except FileNotFoundError as error:
                raise NotFoundError(f"no {self.kind} {sha256} in {self.path}") from error
            except IsADirectoryError as error:
                raise OSError(errno.EISDIR, "is a folder") from error
        mark_used(path)
        return file

    def forget(self, sha256: str) -> None:
        """Remove a file that turned out to be damaged; one that is not there is none the less."""
        path = self.path_of(sha256)
        with disk_errors(path, "remove"):
            path.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what interrupted writers left; tell how many files."""
        return sweep(self.path)


def _verified(wanted: str, size: int, chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    hashed, left = sha256(), size
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise CorruptError(f"{name} is longer than the {size} bytes that the lock says")
        hashed.update(chunk)
        yield chunk
    if left:
        raise CorruptError(f"{name} ends {left} bytes before the {size} bytes that the lock says")
    if hashed.hexdigest() != wanted:
        raise CorruptError(f"{name} is another file than the lock says: its sha256 is {hashed.hexdigest()}")
