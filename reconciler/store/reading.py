"""Bytes from a folder that others may have written to: no link is followed, no device or pipe is opened to wait on."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 1 << 20
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


@contextmanager
def open_folder(path: str, *, parent: int | None = None) -> Iterator[int]:
    """Open a folder that is no link, below ``parent`` where it is given; else an OSError."""
    descriptor = os.open(path, FOLDER_FLAGS, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_plain(name: str, *, parent: int, limit: int) -> bytes:
    """Read a plain file in an open folder. No plain file is an OSError, one over ``limit`` bytes too (EFBIG)."""
    file = os.open(name, _FILE, dir_fd=parent)
    try:
        size = _plain_size(file)
        if size > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes")
        # One byte more than there should be tells, without another read, that this is all.
        data = os.read(file, size + 1)
        if len(data) == size:
            return data
        while len(data) <= limit and (more := os.read(file, min(limit + 1 - len(data), _CHUNK))):
            data += more
    finally:
        os.close(file)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes")
    return data


def iterate_plain(name: str, *, parent: int) -> Iterator[bytes]:
    """Stream a plain file in an open folder, which may be closed once the first chunk is there."""
    file = os.open(name, _FILE, dir_fd=parent)
    try:
        _plain_size(file)
        while chunk := os.read(file, _CHUNK):
            yield chunk
    finally:
        os.close(file)


def size_of(name: str, *, parent: int) -> int | None:
    """Tell the size of a plain file in an open folder, none where there is none."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _plain_size(file: int) -> int:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "no plain file")
    return found.st_size
