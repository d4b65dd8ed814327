"""Reading what a manifest reaches: every path stays inside, every fault is kept with the line that names the file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from reconciler.errors import ManifestError, SourceError
from reconciler.manifest.model import Manifest
from reconciler.manifest.problem import Problem
from reconciler.values import paths
from reconciler.values.canonical import Json, digest_of
from reconciler.values.location import Location

MAX_FILE = 1 << 26
MAX_TREE_FILES = 20_000


class Read(Protocol):
    """Gives a file of the repository (``ports.Source.read``)."""

    def __call__(self, path: str, *, limit: int = ...) -> bytes:
        """Give its bytes, at most ``limit``; what can't be read is a SourceError."""


class File(Protocol):
    """A file of a tree (``ports.Entry``)."""

    @property
    def path(self) -> str:
        """The path from the repository's root."""

    @property
    def mode(self) -> str:
        """The git mode."""


Walk = Callable[[str], Sequence[File]]
"""Lists every file below a folder, or a file itself (``ports.Source.walk``)."""


class Reach:
    """What a manifest reaches, through ``read`` and ``walk``. Nothing is raised before :meth:`settle`."""

    def __init__(self, manifest: Manifest, read: Read, walk: Walk) -> None:
        self.manifest = manifest
        self.folder = paths.folder_of(manifest.path)
        self.read = read
        self.problems: list[Problem] = []
        self._walk = walk

    def settle(self) -> None:
        """Raise every problem that was found as one ManifestError."""
        if self.problems:
            found = tuple(sorted(set(self.problems)))
            raise ManifestError(found[0].message, problems=found, where=found[0].location, hint=found[0].hint or None)

    def refuse(self, where: Location, message: str, hint: str | None = None) -> None:
        """Keep a problem."""
        self.problems.append(Problem(where, message, hint or ""))

    def path(self, field: str, text: str) -> str | None:
        """Give the repository's path of what a field names, none where it leads out."""
        try:
            return paths.join(self.folder, text)
        except ValueError as error:
            self.refuse(
                self.manifest.locate(field), str(error), "name a file of this repository, relative to the manifest"
            )
            return None

    def bytes_of(self, field: str, path: str, *, limit: int | None = None) -> bytes | None:
        """Read a path of the repository, none where that fails."""
        try:
            return self.read(path) if limit is None else self.read(path, limit=limit)
        except SourceError as error:
            self.refuse(self.manifest.locate(field), error.message, error.hint)
            return None

    def text(self, field: str, text: str) -> str | None:
        """Read the UTF-8 file that a field names."""
        path = self.path(field, text)
        data = None if path is None else self.bytes_of(field, path)
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError:
            self.refuse(self.manifest.locate(field), f"{path} is not UTF-8", "save it as UTF-8")
            return None

    def sha256(self, field: str, path: str) -> str:
        """Hash a file of the repository."""
        return hashlib.sha256(self.bytes_of(field, path, limit=MAX_FILE) or b"").hexdigest()

    def contents(self, field: str, path: str) -> Mapping[str, tuple[str, str]]:
        """Give mode and sha256 of every file below a path, by name relative to it; a file itself is ``""``."""
        try:
            files = self._walk(path)
        except SourceError as error:
            self.refuse(self.manifest.locate(field), error.message, error.hint)
            return {}
        if len(files) > MAX_TREE_FILES:
            self.refuse(self.manifest.locate(field), f"{path} holds more than {MAX_TREE_FILES} files")
            return {}
        start = len(path) + 1 if path else 0
        return {file.path[start:]: (file.mode, self.sha256(field, file.path)) for file in files}

    def tree(self, field: str, text: str) -> str | None:
        """Hash the tree that a field names: names relative to it, modes and bytes."""
        path = self.path(field, text)
        if path is None:
            return None
        named: dict[str, Json] = {name: [*what] for name, what in self.contents(field, path).items()}
        return str(digest_of(named))
