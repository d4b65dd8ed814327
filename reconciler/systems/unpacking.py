"""Debian packages, unpacked to a file without a name: each is read once, whatever order a layer needs it in."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from reconciler.debian.deb import Deb, open_deb
from reconciler.debian.places import is_asked_for, placed, stays
from reconciler.debian.root import Contents
from reconciler.debian.status import status_of
from reconciler.errors import CorruptError, DamagedCacheError
from reconciler.lock.system import SystemPackage
from reconciler.oci.member import Kind, Member
from reconciler.store.durable import disk_errors, make_folders

_CHUNK = 1 << 20
_OF_DPKG = "var/lib/dpkg/"
"""Where a root says which packages are in it, and what their scripts are: a package speaks for itself alone."""


class Debs(Protocol):
    """Where packages are kept, by their sha256."""

    def open(self, sha256: str) -> BinaryIO:
        """Open a package; one that is not there is a NotFoundError."""

    def forget(self, sha256: str) -> None:
        """Remove a package that turned out to be damaged."""


@dataclass(kw_only=True)
class Spool:
    """A file without a name that the files of many packages are written to side by side; it is gone when it is closed.

    ``path`` is the folder that it is in.
    """

    path: Path
    file: int
    _end: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def write(self, member: Member, body: Iterator[bytes]) -> Member:
        """Keep a file's bytes, and give the file as one that is read from here."""
        with self._guard:
            start, self._end = self._end, self._end + member.size
        place = start
        for chunk in body:
            with disk_errors(self.path, "write to"):
                os.pwrite(self.file, chunk, place)
            place += len(chunk)
        return replace(member, read=partial(_read, self.file, start, member.size))


@contextmanager
def spool_in(path: Path) -> Iterator[Spool]:
    """Open a spool in a folder, which is made where it lacks."""
    make_folders(path)
    with disk_errors(path, "write to"):
        file = tempfile.TemporaryFile(dir=path)  # noqa: SIM115  # what is written fails with its own error
    with file:
        yield Spool(path=path, file=file.fileno())


def unpack(debs: Debs, package: SystemPackage, spool: Spool) -> Contents:
    """Read a package whole, and give what a root has of it, as long as the spool is open.

    One that was damaged since it came is forgotten, and a DamagedCacheError; one that is hostile, or another package
    than its archive says, a CorruptError.
    """
    file_name = package.file.rpartition("/")[2]
    with debs.open(package.sha256) as file:
        if _sha256(file) != package.sha256:
            debs.forget(package.sha256)
            raise DamagedCacheError(f"{file_name} in this machine's cache is damaged", hint="run the command again")
        deb = open_deb(file, file_name)
        _check_identity(deb, package)
        return contents_of(deb, spool)


def _check_identity(deb: Deb, package: SystemPackage) -> None:
    """Refuse a package that calls itself otherwise: scanners read what it says, a lock what its archive says."""
    own = (deb.name, deb.version, deb.control["architecture"])
    if own != (package.name, package.version, package.architecture):
        raise CorruptError(
            f"{deb.file}: it is {' '.join(own)}, and its archive says that it is "
            f"{package.name} {package.version} {package.architecture}"
        )


def _sha256(file: BinaryIO) -> str:
    hashed = sha256()
    while chunk := file.read(_CHUNK):
        hashed.update(chunk)
    return hashed.hexdigest()


def contents_of(deb: Deb, spool: Spool) -> Contents:
    """Give what a root has of a package."""
    members = [*_members(deb, spool)]
    files = {member.path for member in members if member.kind in (Kind.FILE, Kind.HARD)}
    lacking = {member.target for member in members if member.kind is Kind.HARD} - files
    return Contents(
        name=deb.name,
        version=deb.version,
        replaces=deb.control.get("replaces", ""),
        members=(*members, *status_of(deb, members)),
        hidden=tuple(_hidden(deb, spool, lacking)) if lacking else (),
    )


def _members(deb: Deb, spool: Spool) -> Iterator[Member]:
    is_whole = is_asked_for(deb.name)
    ends: dict[str, str] = {}
    for member, body in _placed(deb):
        if member.kind is not Kind.FOLDER and member.path.startswith(_OF_DPKG):
            raise CorruptError(f"{deb.file}: it has /{member.path}, which is for dpkg to write")
        ends[member.path] = ends.get(member.target, member.target) if member.kind is Kind.HARD else member.path
        if is_whole or stays(member):
            found = replace(member, target=ends[member.path]) if member.kind is Kind.HARD else member
            yield spool.write(member, body) if member.kind is Kind.FILE else found


def _hidden(deb: Deb, spool: Spool, paths: Collection[str]) -> Iterator[Member]:
    """Give the files that stay out themselves and have a second name that does not."""
    for member, body in _placed(deb):
        if member.path in paths and member.kind is Kind.FILE:
            yield spool.write(member, body)


def _placed(deb: Deb) -> Iterator[tuple[Member, Iterator[bytes]]]:
    return ((member, body) for original, body in deb.members() for member in placed((original,)))


def _read(file: int, start: int, size: int) -> Iterator[bytes]:
    for place in range(start, start + size, _CHUNK):
        yield os.pread(file, min(_CHUNK, start + size - place), place)
