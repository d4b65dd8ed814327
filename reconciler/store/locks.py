"""A lock between processes that dies with whoever holds it.

It is the kernel's (``flock``), bound to an open file: no process identifier is written down, so none can be
mistaken, and a lock that is held is never taken away. Lock files stay where they are.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import ConflictError
from reconciler.store.durable import disk_errors, make_folders

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.1


@contextmanager
def locked(path: Path, *, timeout_s: float | None = None, shared: bool = False) -> Iterator[None]:
    """Hold the lock at ``path``, waiting for it; forever where there is no timeout.

    It can't be taken twice, not by the same thread either, unless all of them take it ``shared``. Not in time is a
    ConflictError, a disk that refuses a StoreError.
    """
    make_folders(path.parent)
    file = acquire(path, timeout_s=timeout_s, shared=shared)
    try:
        yield
    finally:
        os.close(file)


def acquire(path: Path, *, timeout_s: float | None, shared: bool) -> int:
    """Take a lock as :func:`locked` does, and give the open file: the lock ends when that is closed."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        file = _try(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        if file is not None:
            return file
        if deadline is not None and time.monotonic() >= deadline:
            raise ConflictError(
                f"another process held the lock {path} for {timeout_s:g} s",
                hint="wait until the other run is done; the lock ends with it",
            )
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _try(path: Path, kind: int) -> int | None:
    with disk_errors(path, "lock"):
        file = _open(path, kind)
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            if _is_at(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        # Someone removed the file while we waited: its lock excludes nobody.
        os.close(file)
        return None


def _open(path: Path, kind: int) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        # A lock that others may take too is held as well on a file that is not ours to write.
        if kind != fcntl.LOCK_SH or error.errno not in (errno.EACCES, errno.EROFS) or not path.exists():
            raise
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(file), there)
