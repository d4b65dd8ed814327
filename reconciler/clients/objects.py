"""The objects of a commit, read by GitPython's database in pure Python: no command line, hashed before believed."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import SourceError
from reconciler.values.commit import Commit

if TYPE_CHECKING:
    from git.db import GitDB


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeEntry:
    """One name in a tree object: its git mode and the object."""

    name: str
    mode: str
    oid: bytes


class Objects:
    """The objects of a repository, each hashed before it is believed. Safe to use from several threads."""

    def __init__(self, folder: Path, program: str | None) -> None:
        self._database = _open_database(folder, program)
        self._turn = threading.Lock()

    def tree_of(self, commit: Commit) -> bytes:
        """Give the object name of a commit's tree."""
        first = self.read(bytes.fromhex(commit.hex), "commit", limit=1 << 24).split(b"\n", 1)[0]
        if re.fullmatch(rb"tree [0-9a-f]{40}", first) is None:
            raise SourceError(f"the commit {commit.short} is damaged", hint="run: git fsck")
        return bytes.fromhex(first[5:].decode("ascii"))

    def entries(self, oid: bytes) -> tuple[TreeEntry, ...]:
        """Read a tree object."""
        from git.objects.fun import tree_entries_from_data  # noqa: PLC0415  # loaded with the database

        try:
            found = tree_entries_from_data(self.read(oid, "tree", limit=1 << 26))
        except ValueError:
            raise SourceError(f"the tree {oid.hex()[:12]} is damaged", hint="run: git fsck") from None
        return tuple(TreeEntry(name=str(name), mode=f"{mode:06o}", oid=sha) for sha, mode, name in found)

    def size(self, oid: bytes) -> int:
        """Tell an object's size in bytes."""
        with self._turn:
            try:
                return int(self._database.info(oid).size)
            except Exception as error:  # gitdb raises its own, zlib's and struct's errors
                raise _missing(oid) from error

    def read(self, oid: bytes, kind: str, *, limit: int) -> bytes:
        """Give an object's bytes; missing, of another kind, over ``limit`` or damaged is a SourceError."""
        if self.size(oid) > limit:
            raise SourceError(f"a file at the commit is larger than {limit} bytes", hint="name a smaller file")
        with self._turn:
            try:
                stream = self._database.stream(oid)
                found, data = bytes(stream.type), bytes(stream.read())
            except Exception as error:  # gitdb raises its own, zlib's and struct's errors
                raise _missing(oid) from error
        name = hashlib.sha1(b"%s %d\0%s" % (found, len(data), data), usedforsecurity=False).digest()
        if found != kind.encode("ascii") or name != oid:
            raise SourceError(f"the {kind} {oid.hex()[:12]} is damaged", hint="run: git fsck")
        return data


def _missing(oid: bytes) -> SourceError:
    hint = "fetch the whole history: git fetch --unshallow --refetch"
    return SourceError(f"the object {oid.hex()[:12]} is missing or damaged in this clone", hint=hint)


def _open_database(folder: Path, program: str | None) -> GitDB:
    """Load GitPython, which starts ``git`` while it is imported unless it is told which, and open the objects."""
    if "git" not in sys.modules:
        before = {name: os.environ.get(name) for name in ("GIT_PYTHON_GIT_EXECUTABLE", "GIT_PYTHON_REFRESH")}
        os.environ.update({"GIT_PYTHON_REFRESH": "quiet", "GIT_PYTHON_GIT_EXECUTABLE": program or os.devnull})
        try:
            import git  # noqa: F401, PLC0415  # slow to load, used only for --at
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
    from git.db import GitDB  # noqa: PLC0415  # as above

    return GitDB(str(folder))
