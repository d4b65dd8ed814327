"""A source of files in memory, for what reads through ``ports.Source``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.errors import SourceError
from reconciler.manifest.catalog import Catalog
from reconciler.manifest.desired import Desired
from reconciler.manifest.identity import desire
from reconciler.manifest.model import Manifest
from reconciler.ports import Entry


@dataclass(frozen=True)
class Files:
    """Path to bytes; ``executable`` names those that may be run."""

    content: Mapping[str, bytes] = field(default_factory=dict)
    executable: frozenset[str] = frozenset()

    def read(self, path: str, *, limit: int = 1 << 20) -> bytes:
        if path not in self.content:
            raise SourceError(f"{path} does not exist")
        if len(self.content[path]) > limit:
            raise SourceError(f"{path} is too large")
        return self.content[path]

    def entries(self, folder: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.walk(folder) if "/" not in entry.path[len(folder) + 1 :])

    def walk(self, folder: str) -> tuple[Entry, ...]:
        found = [path for path in sorted(self.content) if path == folder or path.startswith(f"{folder}/")]
        if not found:
            raise SourceError(f"{folder} does not exist")
        return tuple(Entry(path, "100755" if path in self.executable else "100644") for path in found)


BASES: Catalog = {
    "cpu": {"standard": "images/cpu", "slim": "images/cpu-slim"},
    "gpu": {"standard": "images/gpu", "slim": "g"},
}


def desired(manifest: Manifest, files: Files | None = None, *, bases: Catalog = BASES) -> Desired:
    source = files or Files()
    return desire(manifest, source.read, source.walk, bases=bases)
