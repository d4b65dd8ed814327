"""Debian packages by their sha256, and the indexes that were parsed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from reconciler.store.durable import disk_errors, make_folders, replace_file
from reconciler.store.files import FileStore
from reconciler.store.usage import mark_used


@dataclass(frozen=True, kw_only=True, slots=True)
class DebStore(FileStore):
    """The packages below ``path``."""

    ending: ClassVar[str] = ".deb"
    kind: ClassVar[str] = "Debian package"


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexStore:
    """The indexes below ``path``, by the sha256 of what they were parsed from; their form shows damage."""

    path: Path
    _ENDING: ClassVar[str] = ".index"

    def read(self, sha256: str) -> bytes | None:
        """Give what was kept; none where nothing was."""
        path = self.path / f"{sha256}{self._ENDING}"
        with disk_errors(path, "read"):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        mark_used(path)
        return data

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep an index, whole or not at all."""
        make_folders(self.path)
        replace_file(self.path / f"{sha256}{self._ENDING}", data)
