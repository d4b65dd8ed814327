"""The files of a revision, and what version control knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.values.commit import Commit, Revision


@dataclass(frozen=True, order=True, slots=True)
class Entry:
    """A file below a folder: its path relative to the repository, and its git mode.

    Modes are ``100644``, ``100755``, ``120000`` (a link), ``040000`` (a folder), ``160000`` (a submodule).
    """

    path: str
    mode: str


class Source(Protocol):
    """The files of one revision. Every path is relative to the repository's root, with ``/``, and stays inside."""

    def read(self, path: str, *, limit: int = 1 << 20) -> bytes:
        """Give a file's bytes. Missing, unreadable, outside, no plain file or over ``limit`` is a SourceError."""

    def entries(self, folder: str) -> tuple[Entry, ...]:
        """List what stands directly in a folder, sorted by path. A missing folder is a SourceError."""

    def walk(self, folder: str) -> tuple[Entry, ...]:
        """List every file below a folder, sorted by path; links and submodules are a SourceError."""


class History(Protocol):
    """What version control knows."""

    def revision(self, paths: Sequence[str]) -> Revision:
        """Tell the commit, the origin, and whether a file below ``paths`` differs from the commit."""

    def is_ancestor(self, ancestor: Commit, descendant: Commit) -> bool | None:
        """Tell whether one commit comes before another (or is it); none where history does not reach."""

    def deepen(self) -> bool:
        """Fetch from the origin what this clone lacks of history; tell whether there is more of it now."""
