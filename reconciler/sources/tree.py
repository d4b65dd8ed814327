"""The working tree as a source of files.

A path is opened one component after the other, each relative to the folder that is open already and never through a
link, so that nothing can be swapped between a check and its use. A link is refused even where it would stay inside:
what git holds of it is a name and no content, and ``--at REV`` would not follow it either.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from reconciler.errors import SourceError
from reconciler.ports import Entry
from reconciler.values import paths

DEFAULT_LIMIT = 1 << 20
MAX_FILES = 20_000
MAX_DEPTH = 64
IGNORED = frozenset([".reconciler", "__pycache__", ".DS_Store"])
"""Left out of walks: what the reconciler, the interpreter and a desktop write by themselves."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not to wait for a writer where the name is a FIFO, nor to take a terminal.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_REASONS = {
    errno.ENOENT: ("does not exist", "check the name; it is relative to the file that names it"),
    errno.EACCES: ("can't be read: no permission", "give this user the right to read it"),
    errno.EPERM: ("can't be read: no permission", "give this user the right to read it"),
    errno.EMFILE: ("can't be read: too many open files", "raise the limit: ulimit -n 4096"),
    errno.ENFILE: ("can't be read: too many open files on this machine", "close other programs"),
    errno.EIO: ("can't be read: the disk reports an error", "check the disk"),
    errno.ENAMETOOLONG: ("has too long a name", "choose a shorter one"),
    errno.ELOOP: ("is a link", "put the file itself there; links are not followed"),
    errno.EMLINK: ("is a link", "put the file itself there; links are not followed"),
    errno.ENXIO: ("is no plain file", "name a plain file"),
    errno.ENODEV: ("is no plain file", "name a plain file"),
    errno.EISDIR: ("is a folder", "name a file"),
}


class WorkingTree:
    """The files below ``root`` as they are now."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._reached: set[str] = set()

    def reached(self, *, outside: Sequence[str] = ()) -> tuple[str, ...]:
        """Tell what was read or walked so far, sorted, but for what stands in the folders ``outside``.

        With it, a caller can ask history about every file that an environment is made of.
        """
        below = tuple(f"{folder}/" for folder in outside)
        return tuple(sorted(path for path in self._reached if not path.startswith(below) and path not in outside))

    def read(self, path: str, *, limit: int = DEFAULT_LIMIT) -> bytes:
        """Give a file's bytes. Missing, unreadable, outside, no plain file or over ``limit`` is a SourceError."""
        parts = checked_parts(path)
        if not parts:
            raise SourceError("the repository's root is a folder", hint="name a file")
        self._reached.add(path)
        folder = self._open(parts[:-1])
        try:
            descriptor = _open_file(folder, parts[-1])
            try:
                return _read_plain(descriptor, path, limit)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _source_error(error, path) from None
        finally:
            os.close(folder)

    def entries(self, folder: str) -> tuple[Entry, ...]:
        """List what stands directly in a folder, sorted by path. A missing folder is a SourceError."""
        parts = checked_parts(folder)
        prefix = "".join(f"{part}/" for part in parts)
        descriptor = self._open(parts)
        try:
            with os.scandir(descriptor) as found:
                listed = [Entry(prefix + entry.name, _mode_of_entry(entry)) for entry in found]
        except OSError as error:
            raise _source_error(error, folder) from None
        finally:
            os.close(descriptor)
        listed.sort(key=attrgetter("path"))
        try:
            "".join(entry.path for entry in listed).encode()
        except UnicodeEncodeError:
            raise SourceError(f"a name in {_shown(folder)} is not UTF-8", hint="rename the file") from None
        return tuple(listed)

    def walk(self, folder: str) -> tuple[Entry, ...]:
        """List every file below a folder, sorted by path; links and submodules are a SourceError.

        A plain file is listed as itself. What is in ``IGNORED`` or belongs to git is left out.
        """
        parts = checked_parts(folder)
        self._reached.add(folder or ".")
        if parts:
            above = self._open(parts[:-1])
            try:
                mode = os.stat(parts[-1], dir_fd=above, follow_symlinks=False).st_mode
            except OSError as error:
                raise _source_error(error, folder) from None
            finally:
                os.close(above)
            if stat.S_ISREG(mode):
                return (Entry("/".join(parts), _mode(mode)),)
        found: list[Entry] = []
        descriptor = self._open(parts)
        try:
            self._collect(descriptor, "/".join(parts), found, 0)
        finally:
            os.close(descriptor)
        return tuple(sorted(found, key=attrgetter("path")))

    def _collect(self, descriptor: int, folder: str, found: list[Entry], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SourceError(f"{_shown(folder)} is nested more than {MAX_DEPTH} folders deep")
        try:
            with os.scandir(descriptor) as listed:
                entries = [(entry.name, _mode_of_entry(entry)) for entry in listed if not _is_left_out(entry.name)]
        except OSError as error:
            raise _source_error(error, folder) from None
        for name, mode in entries:
            path = f"{folder}/{name}" if folder else name
            reason = paths.refusal(name)
            if reason is not None:
                raise SourceError(f"in {_shown(folder)}: {reason}", hint="rename the file")
            if mode == "040000":
                self._enter(descriptor, name, path, found, depth)
            elif mode == "120000":
                raise SourceError(f"{_shown(path)} is a link", hint="put the file itself there; links are not followed")
            elif not mode:
                raise SourceError(f"{_shown(path)} is no plain file", hint="remove it")
            else:
                found.append(Entry(path, mode))
            if len(found) > MAX_FILES:
                raise SourceError(f"{_shown(folder)} holds more than {MAX_FILES} files", hint="name a smaller folder")

    def _enter(self, above: int, name: str, path: str, found: list[Entry], depth: int) -> None:
        descriptor = _open_folder(above, name, path)
        try:
            self._collect(descriptor, path, found, depth + 1)
        finally:
            os.close(descriptor)

    def _open(self, parts: list[str]) -> int:
        """Open a folder, one name after the other; who asks closes it."""
        opened = ""
        try:
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _source_error(error, ".") from None
        for part in parts:
            opened = f"{opened}/{part}" if opened else part
            try:
                below = _open_folder(descriptor, part, opened)
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor


def checked_parts(path: str) -> list[str]:
    """Split a path of the repository into names; one that could lead out is a SourceError. ``""`` is the root."""
    if path in ("", "."):
        return []
    reason = paths.refusal(path)
    parts = path.split("/")
    if reason is None and any(part in ("", ".", "..") for part in parts):
        reason = "the path leads out of the repository, or is not in its plain form"
    if reason is not None:
        raise SourceError(reason, hint="name a file of this repository by a relative path")
    return parts


def _open_folder(above: int, name: str, path: str) -> int:
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    except OSError as error:
        # Linux calls a link no folder, where a folder is wanted.
        raise _source_error(OSError(errno.ELOOP, "") if _is_link(name, above) else error, path) from None
    if _mode_below(".git", descriptor) is not None:
        os.close(descriptor)
        hint = "copy the files that are needed; submodules are not followed"
        raise SourceError(f"{_shown(path)} is a repository of its own", hint=hint)
    return descriptor


def _open_file(folder: int, name: str) -> int:
    # A device can act on being opened, so what is there is looked at first; what is opened is looked at again.
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "a link")
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "a folder")
    if not stat.S_ISREG(mode):
        raise OSError(errno.ENXIO, "no plain file")
    return os.open(name, _FILE, dir_fd=folder)


def _read_plain(descriptor: int, path: str, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENXIO, "no plain file")
    data = os.read(descriptor, min(status.st_size, limit) + 1)
    # A file that grows is read on, up to the limit; a read gives less than what is there only at the end.
    while status.st_size <= limit and len(data) <= limit and (more := os.read(descriptor, limit + 1 - len(data))):
        data += more
    if status.st_size > limit or len(data) > limit:
        raise SourceError(f"{_shown(path)} is larger than {limit} bytes", hint="name a smaller file")
    return data


def _mode(mode: int) -> str:
    if stat.S_ISREG(mode):
        # As git does: the owner's right to execute, whatever the umask made of the rest.
        return "100755" if mode & stat.S_IXUSR else "100644"
    if stat.S_ISLNK(mode):
        return "120000"
    return "040000" if stat.S_ISDIR(mode) else ""


def _mode_of_entry(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "120000"
    if entry.is_dir(follow_symlinks=False):
        return "040000"
    return _mode(entry.stat(follow_symlinks=False).st_mode)


def _is_left_out(name: str) -> bool:
    return name in IGNORED or paths.is_git_name(name)


def _mode_below(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return None


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(_mode_below(name, folder) or 0)


def _source_error(error: OSError, path: str) -> SourceError:
    if error.errno == errno.ENOTDIR:
        return SourceError(f"{_shown(path)} is no folder", hint="check the path")
    number = error.errno or 0
    reason, hint = _REASONS.get(number, (f"can't be read: {os.strerror(number)}", None))
    return SourceError(f"{_shown(path)} {reason}", hint=hint)


def _shown(path: str) -> str:
    return (path if path.isprintable() else ascii(path))[:200] or "."
