"""What a folder of image layouts holds that nothing reaches: blobs that no entry of an index leads to, and leftovers.

Everything that ``index.json`` names is a root, with a tag or without, and so is what a manager's state names. Where one
of them can't be read, nobody knows what it needs: then nothing of that repository goes.
"""

from __future__ import annotations

import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from os import stat_result
from pathlib import Path

from reconciler.errors import CorruptError, StoreError
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.document import as_array
from reconciler.oci.manifest import parse_descriptor, parse_manifest, references
from reconciler.plan.garbage import Gathered, Holding, Kind, Level, Link, Needs, Tally
from reconciler.registries.checks import is_repository
from reconciler.registries.opened import OpenedLayout, open_layout
from reconciler.store.content import ContentStore
from reconciler.store.durable import TEMPORARY, disk_errors, remove_stale
from reconciler.store.holdings import WAIT_S, entries_of, leftover, link_of, tree_of
from reconciler.store.locks import locked
from reconciler.values.digest import Digest

LOCK = ".locks/.gc"
"""Held with others by who writes, alone by who deletes; no repository is called so."""
_BLOBS = "blobs/sha256"
_HEX = re.compile(r"[0-9a-f]{64}")
_PARTS = frozenset(["oci-layout", "index.json", "blobs"])
_MADE = re.compile(r"\.(?:new|old)-(.+)")
_KNOWN = media.INDEXES | media.MANIFESTS


@dataclass(kw_only=True)
class Unreached:
    """The layouts in ``folder`` and the ``store`` that they share."""

    folder: Path
    store: ContentStore
    wait_s: float = WAIT_S
    _reached: set[str] = field(default_factory=set)
    _named: dict[str, dict[Path, stat_result]] = field(default_factory=dict)
    """Blobs by their digest: every name that nothing reaches."""
    _sizes: dict[str, int] = field(default_factory=dict)

    def alone(self) -> AbstractContextManager[None]:
        """Keep writers out; a ConflictError where they do not end in time."""
        if not self.folder.is_dir():
            return nullcontext()
        return locked(self.folder / LOCK, timeout_s=self.wait_s)

    def gather(self, needs: Needs) -> Gathered:
        """List what nothing reaches."""
        found: list[Holding | str] = []
        notes: list[str] = []
        for path, there in entries_of(self.folder):
            if is_repository(path.name) and stat.S_ISDIR(there.st_mode):
                found += self._repository(path, needs, notes)
            elif path.name not in (".locks", self._shared.parent.name):
                found.append(_unfinished(path, there))
        found += self._blobs(self._shared, frozenset())
        for hex_ in self._reached:
            self._named.get(hex_, {}).pop(self._shared / hex_, None)
        found += [self._blob(hex_, files) for hex_, files in sorted(self._named.items()) if files]
        return Gathered(
            entries=tuple(one for one in found if isinstance(one, Holding)),
            foreign=tuple(one for one in found if isinstance(one, str)),
            kept=Tally(count=len(self._sizes), size=sum(self._sizes.values())),
            notes=tuple(notes),
        )

    def take(self, entry: Holding) -> None:
        """Delete what :meth:`gather` listed, under each of its names."""
        path = Path(entry.place)
        with disk_errors(path, "remove"):
            if entry.kind is Kind.BLOB:
                for name in self._named[path.name]:
                    name.unlink(missing_ok=True)
            elif path.name.startswith(TEMPORARY):
                remove_stale(path)
            else:
                shutil.rmtree(path)

    @property
    def _shared(self) -> Path:
        return self.store.path_of(Digest.of(b"")).parent

    def _repository(self, path: Path, needs: Needs, notes: list[str]) -> Iterator[Holding | str]:
        for part, there in entries_of(path):
            if part.name not in _PARTS:
                yield leftover(part, there)
        for part, _ in entries_of(path / "blobs"):
            if part.name != "sha256":
                yield str(part)
        reached: frozenset[str] | None
        try:
            reached = _reached(path, needs.records.get(path.name, frozenset()))
        except (CorruptError, StoreError, ValueError) as error:
            notes.append(f"nothing of {path.name} goes, as nobody knows what it needs: {error}")
            reached = None
        yield from self._blobs(path / _BLOBS, reached)

    def _blobs(self, folder: Path, reached: frozenset[str] | None) -> Iterator[Holding | str]:
        """Sort the blobs of a folder; all of them are reached where that can't be told."""
        for path, there in entries_of(folder):
            if _HEX.fullmatch(path.name) is None or not stat.S_ISREG(there.st_mode):
                yield leftover(path, there)
            elif reached is None or path.name in reached:
                self._sizes[path.name] = there.st_size
                self._reached.add(path.name)
            else:
                self._named.setdefault(path.name, {})[path] = there
        self._reached |= reached or frozenset()

    def _blob(self, hex_: str, files: dict[Path, stat_result]) -> Holding:
        """Describe a blob by all of its names that go; it frees nothing where another repository reaches it."""
        place, used_s = str(min(files)), max(found.st_mtime for found in files.values())
        plain = Holding(kind=Kind.BLOB, name=f"sha256:{hex_}", place=place, used_s=used_s, level=Level.WASTE)
        if hex_ in self._reached:
            return plain
        own = sum(found.st_size for found in files.values() if found.st_nlink == 1)
        return replace(plain, size=own, links=tuple(_links(files.values())))


def _links(files: Iterable[stat_result]) -> Iterator[Link]:
    numbers: dict[tuple[int, int], list[stat_result]] = {}
    for found in files:
        if found.st_nlink > 1:
            numbers.setdefault((found.st_dev, found.st_ino), []).append(found)
    return (link_of(same[0], len(same)) for same in numbers.values())


def _unfinished(path: Path, found: stat_result) -> Holding | str:
    """Describe a layout that was being made or removed, and what else stands beside the repositories."""
    match = _MADE.fullmatch(path.name)
    if match is not None and is_repository(match[1]) and stat.S_ISDIR(found.st_mode):
        return tree_of(Kind.LEFTOVER, path.name, path, Level.WASTE, found.st_mtime)
    return leftover(path, found)


# -- what is reached --------------------------------------------------------------------------------------------


def _reached(path: Path, records: frozenset[Digest]) -> frozenset[str]:
    """Follow everything that is named from the index on; what can't be followed is a CorruptError."""
    with open_layout(path) as layout:
        if layout is None:
            return frozenset()
        found, seen = {digest.hex for digest in records}, set[Digest]()
        waiting = [*_roots(layout), *(digest for digest in records if layout.size(digest) is not None)]
        while waiting:
            digest = waiting.pop()
            if digest in seen:
                continue
            seen.add(digest)
            found.add(digest.hex)
            content = _manifest(layout, digest)
            names = list(references(content))
            found |= {one.digest.hex for one in names}
            if content.media_type in media.INDEXES:
                waiting += [_followed(layout, one.media_type, one.digest) for one in names]
        return frozenset(found)


def _roots(layout: OpenedLayout) -> Iterator[Digest]:
    for entry in as_array(layout.index().value["manifests"], "manifests"):
        descriptor = parse_descriptor(entry, "manifests")
        yield _followed(layout, descriptor.media_type, descriptor.digest)


def _followed(layout: OpenedLayout, media_type: str, digest: Digest) -> Digest:
    if media_type not in _KNOWN:
        raise CorruptError(f"{layout.path}: {digest} is {media_type[:80]}")
    return digest


def _manifest(layout: OpenedLayout, digest: Digest) -> Content:
    data = layout.manifest(digest)
    if data is None:
        raise CorruptError(f"{layout.path}: {digest} is not there")
    try:
        return parse_manifest(data)
    except ValueError as error:
        raise CorruptError(f"{layout.path}: {digest}: {error}") from error
