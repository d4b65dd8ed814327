"""The files of a standalone CPython's archive, checked and moved to where it is in an image.

An archive is laid out as python-build-standalone's ``install_only`` ones are: all of it below ``python/``. Older ones,
packed with zstd, have it below ``python/install/``, and beside it what it was built from, which is passed over.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.member import WHITEOUT, Kind, Member, file_of, folder_of, link_of
from reconciler.oci.tar import with_folders
from reconciler.oci.untar import Streamed, decompress, read_entries
from reconciler.store.durable import disk_errors
from reconciler.systems.sysconfig import MAX_SIZE, mend_pkgconfig, mend_variables

PREFIX = "opt/python"
"""Where the interpreter is in an image."""
RECIPE = 1
"""How an archive is laid out, counted; part of the key of its layer."""
MAX_BYTES, MAX_FILES = 4 << 30, 100_000
_TOP, _INSTALLED, _CACHE, _LINKS = "python", "python/install", "__pycache__", "usr/local/bin"
_WITH_BUILD = ".tar.zst"
_INSTALLERS = re.compile(r"bin/(?:pip|easy_install)[0-9.-]*")
_RUNNABLE, _SPECIAL = 0o111, 0o7000
_MACHINES = {"amd64": 62, "arm64": 183}  # e_machine (ELF, gABI)
_MANAGED = b"""[externally-managed]
Error=This Python is a layer of the image that all of its environments share.
 Install into the environment, or add the package to the manifest.
"""


def interpreter_of(version: str) -> str:
    """Say where the interpreter of a version is, relative to the root."""
    return f"{PREFIX}/bin/python{_minor(version)}"


def relocated(  # noqa: PLR0913  # one argument a fact
    chunks: Iterable[bytes], spool: Path, opened: ExitStack, *, file: str, version: str, architecture: str
) -> Iterator[Member]:
    """Give what the archive ``file`` leaves in an image, sorted, with folders above, to be read while ``opened`` is.

    Its bytes are kept in a nameless file in the folder ``spool``. Compiled files are left out: their sources have
    another time now. So are the packages that it brings, pip and setuptools: an environment has its own. What is not
    laid out as such an archive is, leads out, sets an owner's rights, deletes, or is for another machine is a
    CorruptError.
    """
    with disk_errors(spool, "write to"):
        kept = opened.enter_context(tempfile.TemporaryFile(dir=spool))  # noqa: SIM115  # closed with the caller's
    archive = _Archive(file=file, spool=kept, folder=spool)
    try:
        archive.read(chunks)
    except CorruptError as error:
        raise CorruptError(f"{file}: {error.message}", hint=error.hint) from error
    archive.check(version, architecture)
    return with_folders([*archive.members(version)])


@dataclass(kw_only=True, slots=True)
class _Archive:
    """What was read; paths are those below ``python/``."""

    file: str
    spool: IO[bytes]
    folder: Path
    found: dict[str, Member] = field(default_factory=dict)
    size: int = 0

    @property
    def top(self) -> str:
        """The folder that is moved."""
        return _INSTALLED if self.file.endswith(_WITH_BUILD) else _TOP

    def read(self, chunks: Iterable[bytes]) -> None:
        kind = media.LAYER_TAR_ZSTD if self.file.endswith(_WITH_BUILD) else media.LAYER_TAR_GZIP
        unpacked = decompress(kind, chunks)
        for member, body in read_entries(Streamed(unpacked), limit=MAX_FILES, devices=False):
            if member.path.partition("/")[0] != _TOP or (member.path == self.top and member.kind is not Kind.FOLDER):
                raise CorruptError(f"{member.path[:120]!a} is not below {_TOP}/, where a standalone Python is")
            path = member.path.removeprefix(f"{self.top}/")
            if path != member.path and _CACHE not in path.split("/"):
                self._add(replace(member, path=path), body)
        for _ in unpacked:  # what is behind the end is nothing, but has to be whole
            pass

    def _add(self, member: Member, body: Iterator[bytes]) -> None:
        there = self.found.get(member.path)
        if there is not None and not there.kind is member.kind is Kind.FOLDER:
            raise CorruptError(f"it has {member.path[:120]!a} twice")
        if any(part.startswith(WHITEOUT) for part in member.path.split("/")):
            raise CorruptError(f"{member.path[:120]!a} would delete something")
        if member.kind is not Kind.FOLDER and member.mode & _SPECIAL:
            raise CorruptError(f"{member.path[:120]!a} would run with the rights of its owner")
        self.found[member.path] = self._kept(member, body)

    def _kept(self, member: Member, body: Iterator[bytes]) -> Member:
        if member.kind is Kind.FOLDER:
            return folder_of(member.path)
        if member.kind is Kind.LINK:
            return link_of(member.path, _inside(member))
        if member.kind is Kind.HARD:
            # What it names may stand behind it when all is sorted: it gets the bytes of its own.
            named = self.found.get(member.target.removeprefix(f"{self.top}/"))
            if named is None or named.kind is not Kind.FILE or not member.target.startswith(f"{self.top}/"):
                raise CorruptError(f"{member.path[:120]!a} is a second name of what is not there")
            return replace(named, path=member.path)
        place = self.size
        for piece in body:
            with disk_errors(self.folder, "write to"):
                self.size += self.spool.write(piece)
        if self.size > MAX_BYTES:
            raise CorruptError(f"it unpacks to more than {MAX_BYTES} bytes")
        mode = 0o755 if member.mode & _RUNNABLE else 0o644
        read = partial(_read, self.spool, place, member.size)
        return Member(path=member.path, mode=mode, size=member.size, read=read)

    def check(self, version: str, architecture: str) -> None:
        minor = _minor(version)
        program = self.found.get(f"bin/python{minor}")
        if program is None or program.kind is not Kind.FILE or f"lib/python{minor}/os.py" not in self.found:
            raise CorruptError(f"{self.file} is not laid out as a standalone Python {minor} is")
        with disk_errors(self.folder, "write to"):
            self.spool.flush()
        head = _bytes(program)[:20]
        if head[:4] != b"\x7fELF" or int.from_bytes(head[18:20], "little") != _MACHINES[architecture]:
            raise CorruptError(f"the interpreter in {self.file} is not for {architecture}")
        blocked = {path for path, member in self.found.items() if member.kind is not Kind.FOLDER}
        for path in self.found:
            if not blocked.isdisjoint(_above(path)):
                raise CorruptError(f"{self.file}: {path[:120]!a} is below what is no folder")

    def members(self, version: str) -> Iterator[Member]:
        minor = _minor(version)
        library = f"lib/python{minor}"
        mark, packages = f"{library}/EXTERNALLY-MANAGED", f"{library}/site-packages/"
        for path, member in self.found.items():
            if path != mark and not path.startswith(packages) and not _INSTALLERS.fullmatch(path):
                yield self._placed(path, member, library)
        yield file_of(f"{PREFIX}/{mark}", _MANAGED)
        yield link_of(f"{_LINKS}/python{minor}", f"/{PREFIX}/bin/python{minor}")

    def _placed(self, path: str, member: Member, library: str) -> Member:
        place, (folder, _, name) = f"{PREFIX}/{path}", path.rpartition("/")
        if member.kind is Kind.FILE and member.size <= MAX_SIZE:
            if folder == library and name.startswith("_sysconfigdata_") and name.endswith(".py"):
                mended = mend_variables(_bytes(member), f"/{PREFIX}", f"{path} in {self.file}")
                return file_of(place, mended, mode=member.mode)
            if folder == "lib/pkgconfig" and name.endswith(".pc"):
                return file_of(place, mend_pkgconfig(_bytes(member)), mode=member.mode)
        return replace(member, path=place)


def _inside(member: Member) -> str:
    """Give where a link leads; one that leads out of the archive is a CorruptError."""
    end = posixpath.normpath(posixpath.join(_TOP, posixpath.dirname(member.path), member.target))
    if member.target.startswith("/") or not (end == _TOP or end.startswith(f"{_TOP}/")) or "\0" in member.target:
        raise CorruptError(f"{member.path[:120]!a} leads out of it: {member.target[:120]!a}")
    return member.target


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _bytes(member: Member) -> bytes:
    return b"".join(member.read() if member.read is not None else ())


def _read(spool: IO[bytes], place: int, size: int) -> Iterator[bytes]:
    while size and (piece := os.pread(spool.fileno(), min(size, 1 << 20), place)):
        yield piece
        place, size = place + len(piece), size - len(piece)
