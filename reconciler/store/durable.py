"""Files that are there whole or not at all, also after a crash or a power loss.

Every write goes to a temporary file, is forced to the disk, takes its name in one step, and then the folder is
forced to the disk too. A temporary file is locked by whoever writes it, so that one without a lock is known to be
left over, whatever became of its process and in whichever container it ran.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reconciler.errors import StoreError

TEMPORARY = ".tmp-"
_MODE = 0o666
_CHUNK = 1 << 20
_LINK_TRIES = 1000
"""Under a writer that does nothing but replace the source, about every seventh try fails."""
_REMEDIES = {
    errno.ENOSPC: "free some space or inodes there and run again",
    errno.EDQUOT: "free some of the quota and run again",
    errno.EROFS: "the file system is mounted read-only; use another folder or mount it writable",
    errno.EACCES: "check the owner and the permissions",
    errno.EPERM: "check the owner, the permissions and the file's attributes",
    errno.EMFILE: "too many open files in this process; raise `ulimit -n` and run again",
    errno.ENFILE: "too many open files on this machine; close some and run again",
    errno.EIO: "the disk reports a failure; check it before running again",
    errno.EFBIG: "the file is larger than `ulimit -f` or the file system allows",
    errno.ENAMETOOLONG: "use a folder with a shorter path",
}
# What a file system answers that has no hard links, has no more of them for this file, or is another one.
_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})


@contextmanager
def disk_errors(path: Path, action: str) -> Iterator[None]:
    """Turn what the disk refuses (an OSError) into a StoreError with the path, what was tried and what to do."""
    try:
        yield
    except OSError as error:
        raise store_error(error, path, action) from error


def store_error(error: OSError, path: Path, action: str) -> StoreError:
    """Say what the disk refused, in one line with the path and a remedy."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    hint = _REMEDIES.get(error.errno or 0, "check the path and run again")
    return StoreError(f"can't {action} {path}: {reason}", hint=hint)


def write_file(path: Path, data: bytes) -> None:
    """Write a file, durable and whole, over one that is there; the folder has to exist. Else a StoreError."""
    _write_file(path, (data,))


def create_file(path: Path, chunks: Iterable[bytes], *, keep: Callable[[], bool] = lambda: True) -> bool:
    """Write a file, durable and whole, unless its name is taken; tell whether it was written. Else a StoreError.

    What has the name stays where ``keep`` says so, which is asked once all is on the disk; else it is replaced, as it
    always is where the file system has no hard links. What ``chunks`` raises leaves nothing behind.
    """
    with disk_errors(path, "write"), _folder(path.parent) as folder, _temporary(path.parent) as (name, file):
        _write_all(file, chunks)
        os.fsync(file)
        created = _name_once(name, path, keep)
        sync_folder(folder)
    return created


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step that need not survive a power loss: for what is checked on reading and derived anew."""
    replace_stream(path, (data,))


def replace_stream(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file as :func:`replace_file` does, in pieces; what ``chunks`` raises leaves nothing behind."""
    with disk_errors(path, "write"), _temporary(path.parent) as (name, file):
        _write_all(file, chunks)
        name.replace(path)


def link_file(source: Path, path: Path) -> None:
    """Give a file that is on the disk a second name, over one that is there; the same guarantees as a write.

    Where the file system can't, it is copied. A missing source is a StoreError too.
    """
    with disk_errors(path, "write"), _folder(path.parent) as folder:
        try:
            _link(source, path)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            sync_folder(folder)
            return
    _write_file(path, _read_chunks(source))


def sync_file(path: Path) -> None:
    """Force a file to the disk that was written without; else a StoreError."""
    with disk_errors(path, "write"):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def make_folders(path: Path) -> None:
    """Make a folder and those above it, each durable; existing ones are left alone. Else a StoreError."""
    with disk_errors(path, "make the folder"):
        if path.is_dir():
            return
    if path != path.parent:
        make_folders(path.parent)
    with disk_errors(path, "make the folder"):
        with suppress(FileExistsError):
            path.mkdir()
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with _folder(path.parent) as folder:
            sync_folder(folder)


def rename_folder(source: Path, path: Path) -> None:
    """Give a folder, whose content is on the disk, its name in one step; a folder with content there is kept.

    Else a StoreError.
    """
    with disk_errors(path, "write"), _folder(path.parent) as folder:
        source.rename(path)
        sync_folder(folder)


def sweep(folder: Path) -> int:
    """Remove temporary files in ``folder`` that nobody is writing any more; tell how many."""
    removed = 0
    with disk_errors(folder, "tidy up"), suppress(FileNotFoundError, NotADirectoryError):
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(TEMPORARY)]
        for name in names:
            removed += remove_stale(folder / name)
    return removed


def sync_folder(descriptor: int) -> None:
    """Force an open folder's names to the disk; some file systems do so by themselves and refuse to be asked."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    # Opened before anything is renamed: running out of file handles must not come after the change.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, int]]:
    path, file = _create(folder)
    try:
        yield path, file
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(file)


def _create(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / f"{TEMPORARY}{secrets.token_hex(8)}"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return path, file
        except BaseException:
            os.close(file)
            raise
        # Swept between its creation and its lock.
        os.close(file)


def _write_file(path: Path, chunks: Iterable[bytes]) -> None:
    with disk_errors(path, "write"), _folder(path.parent) as folder, _temporary(path.parent) as (name, file):
        _write_all(file, chunks)
        os.fsync(file)
        name.replace(path)
        sync_folder(folder)


def _write_all(file: int, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[os.write(file, view) :]


def _read_chunks(path: Path) -> Iterator[bytes]:
    with disk_errors(path, "read"), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _name_once(name: Path, path: Path, keep: Callable[[], bool]) -> bool:
    """Give a temporary file its name, unless that is taken by what is kept; the temporary name goes either way."""
    try:
        os.link(name, path, follow_symlinks=False)
    except FileExistsError:
        if keep():
            name.unlink()
            return False
        name.replace(path)
        return True
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        name.replace(path)
        return True
    name.unlink()
    return True


def _link(source: Path, path: Path) -> None:
    try:
        _link_there(source, path)
    except FileExistsError:
        name = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
        _link_there(source, name)
        try:
            name.replace(path)
        finally:
            # Replacing a name by another one of the same file leaves both.
            with suppress(FileNotFoundError):
                name.unlink()


def _link_there(source: Path, path: Path) -> None:
    """Link a file that others may be replacing meanwhile.

    Linux answers ENOENT where the file lost its last name between being found and being linked (``vfs_link`` refuses
    an inode without names), although the source's name was never gone: then the next try finds the new file.
    """
    for left in reversed(range(_LINK_TRIES)):
        try:
            os.link(source, path, follow_symlinks=False)
        except FileNotFoundError:
            if not left or not os.path.lexists(source):
                raise
        else:
            return


def remove_stale(path: Path) -> int:
    """Remove a temporary file unless somebody writes it; tell how many were removed."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return 0
    finally:
        os.close(file)
    return 1
