"""Who uses what `gc` may delete: a lock of the whole folder, and one of each environment that something runs in.

Whoever opens a cache holds the folder's lock, shared with others, to the end of its process; who deletes holds it
alone. So nothing goes between being found and being used. What runs in an environment may do so for days: it holds that
environment's mark instead, an open file that it inherits, as do the processes that it starts.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import finalize

from reconciler.errors import StoreError
from reconciler.store.durable import disk_errors
from reconciler.store.locks import acquire, locked

LOCK = ".lock"
_WAIT_S = 3600.0
_REFUSED = frozenset([errno.EROFS, errno.EACCES, errno.EPERM])


def use(folder: Path, owner: object) -> None:
    """Hold the folder's lock with others while ``owner`` lives; who deletes for an hour is a ConflictError.

    Where the folder can't be written to, nothing is deleted there either.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = acquire(path, timeout_s=_WAIT_S, shared=True)
    except (StoreError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError) and cause.errno in _REFUSED:
            return
        raise
    finalize(owner, os.close, file)


@contextmanager
def alone(folder: Path, *, wait_s: float) -> Iterator[None]:
    """Hold the folder's lock against everybody; a ConflictError where others use it longer than ``wait_s``."""
    with locked(folder / LOCK, timeout_s=wait_s):
        yield


def mark_used(path: Path) -> None:
    """Say that something is used now; where that can't be written it is only taken for older than it is."""
    with suppress(OSError):
        os.utime(path)


def inherit(mark: Path) -> None:
    """Hold an environment's mark for this process and for what takes its place; it must be there."""
    with disk_errors(mark, "hold"):
        file = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW)
        fcntl.flock(file, fcntl.LOCK_SH)
        os.set_inheritable(file, True)  # noqa: FBT003  # the system's own signature


def is_used(mark: Path) -> bool:
    """Tell whether anything holds an environment's mark."""
    writable = os.access(mark, os.W_OK)
    try:
        file = os.open(mark, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
