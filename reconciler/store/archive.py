"""A tar archive on disk, read in place: where each member is, then its bytes, never unpacked (POSIX.1-2001; GNU).

It is not trusted: a member that is there twice, that leads out, or that ends after the file does is refused. Links are
followed inside of the archive alone.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci.member import Kind, Member
from reconciler.oci.untar import read_entries
from reconciler.store.durable import disk_errors

MAX_MEMBERS = 100_000
MAX_LINKS = 40
_CHUNK = 1 << 20
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"BZh": ("bzip2", "bunzip2"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """Where a member's bytes are, and how many."""

    offset: int
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """What an archive holds. ``shown`` is how people call it; ``identity`` is that of the file that was looked at."""

    path: Path
    shown: str
    identity: tuple[int, ...]
    files: Mapping[str, Extent] = field(repr=False)
    links: Mapping[str, str] = field(repr=False)

    def find(self, name: str) -> Extent | None:
        """Find a file by its name, through the archive's own links; none where it is not there."""
        for _ in range(MAX_LINKS):
            if name not in self.links:
                return self.files.get(name)
            name = self.links[name]
        raise CorruptError(f"{self.shown}: the links at {name[:120]!a} have no end")

    def read(self, name: str, *, limit: int) -> bytes:
        """Give a file's bytes. A NotFoundError where it is not there, a CorruptError where it has over ``limit``."""
        size = self._there(name).size
        if size > limit:
            raise CorruptError(f"{self.shown}: {name[:120]} has {size} bytes, at most {limit} are read")
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Stream a file's bytes."""
        extent = self._there(name)
        with _opened(self.path, self.shown) as file:
            if _identity(file) != self.identity:
                raise CorruptError(f"{self.shown} has changed while it was read", hint="run the command again")
            reader = _Reader(file=file, end=extent.offset + extent.size, place=extent.offset)
            yield from reader.pieces(extent.size)

    def _there(self, name: str) -> Extent:
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"{self.shown}: it has no {name[:120]}")
        return found


def open_archive(path: Path, shown: str) -> Archive:
    """Look at an archive. A NotFoundError where there is no file, a CorruptError where it is no plain archive."""
    with _opened(path, shown) as file:
        _refuse_compressed(os.pread(file, 8, 0), shown)
        reader = _Reader(file=file, end=os.fstat(file).st_size)
        files, links = _members(reader, shown)
        return Archive(path=path, shown=shown, identity=_identity(file), files=files, links=links)


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[int]:
    with disk_errors(path, "read"):
        try:
            file = os.open(path, _FLAGS)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"{shown}: there is no such file") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise CorruptError(f"{shown}: it is a link, and links are not followed") from None
            raise
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise CorruptError(f"{shown}: it is no file", hint="a folder with an OCI layout is named oci:FOLDER")
            yield file
        finally:
            os.close(file)


def _identity(file: int) -> tuple[int, ...]:
    found = os.fstat(file)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _refuse_compressed(start: bytes, shown: str) -> None:
    for magic, (name, program) in _COMPRESSED.items():
        if start.startswith(magic):
            raise CorruptError(
                f"{shown}: the archive is compressed with {name}, and it is read in place",
                hint=f"unpack it once with {program}, and name what that gives",
            )


@dataclass(kw_only=True, slots=True)
class _Reader:
    """Implements :class:`reconciler.oci.untar.Reader` for a file up to ``end``, of which only what is asked is read."""

    file: int
    end: int
    place: int = 0

    def take(self, size: int) -> bytes:
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        while size and (piece := os.pread(self.file, min(size, self.end - self.place, _CHUNK), self.place)):
            self.place += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> int:
        passed = min(size, self.end - self.place)
        self.place += passed
        return passed


def _members(reader: _Reader, shown: str) -> tuple[dict[str, Extent], dict[str, str]]:
    files: dict[str, Extent] = {}
    links: dict[str, str] = {}
    try:
        for member, _ in read_entries(reader, limit=MAX_MEMBERS):
            if member.kind is Kind.FOLDER:
                continue
            _refuse_second(member, files, links)
            if member.kind is Kind.FILE:
                files[member.path] = Extent(offset=reader.place, size=member.size)
            else:
                links[member.path] = _target(member)
    except CorruptError as error:
        # What reads layers reads archives of them as well.
        message = error.message.replace("a layer", "the archive", 1)
        raise CorruptError(f"{shown}: {message}", hint="make it anew, or fetch it again") from error
    return files, links


def _refuse_second(member: Member, files: Mapping[str, Extent], links: Mapping[str, str]) -> None:
    """Of two members of one name one reader believes the first, and another the last."""
    if member.path in files or member.path in links:
        raise CorruptError(f"a layer has {member.path[:120]!a} twice")


def _target(member: Member) -> str:
    if member.kind is Kind.HARD:
        return member.target
    target = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), member.target))
    if target.startswith(("/", "..")):
        raise CorruptError(f"a layer has a link that leads out of it: {member.path[:120]!a}")
    return target
