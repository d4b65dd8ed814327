"""The files of a folder of image layouts as they are: what is odd, damaged, left over, or named by nothing.

Reading a registry tells what is wrong with what is asked for; this tells what else is there. No link is followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from hashlib import sha256
from pathlib import Path

from reconciler.ports import Stored
from reconciler.store.content import ContentStore
from reconciler.store.durable import TEMPORARY, disk_errors
from reconciler.store.reading import FOLDER_FLAGS, iterate_plain
from reconciler.values.digest import Digest

_BLOBS = "blobs/sha256"
_HEX = re.compile(r"[0-9a-f]{64}")
_PARTS = frozenset({"oci-layout", "index.json", "blobs"})
_REPLACED = (".new-", ".old-")
"""How a layout is called while it is made, and while it is removed."""
_KINDS = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"))


class Inspection:
    """Looks at the layouts in ``folder`` and at the store that they share; each file is hashed once at most."""

    def __init__(self, folder: Path, store: ContentStore) -> None:
        self._folder = folder
        self._shared = store.path_of(Digest.of(b"")).parent
        self._seen: set[tuple[int, int]] = set()
        """Files that were told about or are whole, by device and number: a blob has a second name in the store."""

    def place(self, repository: str, digest: Digest | None = None) -> str:
        """Say where a blob is kept, or the whole repository."""
        path = self._folder / repository
        return _typed(path if digest is None else path / _BLOBS / digest.hex)

    def copy_of(self, repository: str, digest: Digest) -> str | None:
        """Find a plain file with that content in the store or in another layout, and say where."""
        own = self._folder / repository / _BLOBS
        places = [self._shared, *(path / _BLOBS for path in _entries(self._folder) if path.name[0] != ".")]
        for place in places:
            if place != own and _reason(place, digest.hex) == "":
                return _typed(place / digest.hex)
        return None

    def inspect(self, repository: str, known: AbstractSet[Digest]) -> Iterator[Stored]:
        """List what in a layout is not a part of one, is left over, or is a blob that is not known."""
        path = self._folder / repository
        for entry in _entries(path):
            if entry.name.startswith(TEMPORARY):
                yield _left(entry)
            elif entry.name not in _PARTS:
                yield Stored(path=_typed(entry), fault="no part of an image layout")
        for entry in _entries(path / "blobs"):
            if entry.name != "sha256":
                yield Stored(path=_typed(entry), fault="blobs are kept under sha256 only")
        yield from self._blobs(path / _BLOBS, known)

    def inspect_shared(self) -> Iterator[Stored]:
        """List what is left over beside the layouts, and what in the store is odd or damaged."""
        for entry in _entries(self._folder):
            if entry.name.startswith((*_REPLACED, TEMPORARY)):
                yield _left(entry)
        for found in self._blobs(self._shared, frozenset()):
            if found.fault or found.leftover:
                yield found

    def _blobs(self, folder: Path, known: AbstractSet[Digest]) -> Iterator[Stored]:
        for entry in _entries(folder):
            if entry.name.startswith(TEMPORARY):
                yield _left(entry)
                continue
            if _HEX.fullmatch(entry.name) is None:
                yield Stored(path=_typed(entry), fault="its name is no digest")
                continue
            digest, found = Digest.parse(f"sha256:{entry.name}"), entry.lstat()
            identity = (found.st_dev, found.st_ino)
            if not stat.S_ISREG(found.st_mode):
                fault = f"{_kind(found.st_mode)} instead of a file"
            elif digest in known or identity in self._seen:
                fault = ""
            else:
                fault = _reason(folder, entry.name)
            self._seen.add(identity)
            if fault or digest not in known:
                yield Stored(path=_typed(entry), size=found.st_size, digest=digest, fault=fault)


def _reason(folder: Path, name: str) -> str:
    """Say why a file's content is not what its name says, nothing where it is."""
    hashed = sha256()
    try:
        parent = os.open(folder, FOLDER_FLAGS)
        try:
            for chunk in iterate_plain(name, parent=parent):
                hashed.update(chunk)
        finally:
            os.close(parent)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return "" if hashed.hexdigest() == name else "its content is not what its name says"


def _entries(folder: Path) -> list[Path]:
    """List a folder, sorted; nothing where there is none, or a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with disk_errors(folder, "list"):
        return sorted(folder.iterdir())


def _left(path: Path) -> Stored:
    return Stored(path=_typed(path), size=path.lstat().st_size, leftover=True)


def _kind(mode: int) -> str:
    return next((words for test, words in _KINDS if test(mode)), "something else")


def _typed(path: Path) -> str:
    """Write a path as people type it: from where they are, where it is below that."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
