"""Interpreters of base images, unpacked on this machine's disk to be run: complete or absent.

One is made beside its place, under a lock that dies with its holder, and renamed into it. Its mark names every file
with its sha256, and is compared with what is there before anything is run: as in every cache nothing is forced to the
disk.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reconciler.errors import StoreError
from reconciler.store.durable import disk_errors, make_folders, replace_file
from reconciler.store.locks import locked
from reconciler.values.digest import Digest

_MARK, _LOCK, _MAKING = "reconciler-interpreter.json", ".lock", ".making-"


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpreterStore:
    """The folder that holds them, by what they were unpacked from."""

    path: Path

    def provide(self, key: Digest, fill: Callable[[Path], None]) -> Path:
        """Give the interpreter with that key, made by ``fill`` in an empty folder where it is not there or is damaged.

        One process makes it, others wait for it. What ``fill`` raises is passed on and leaves nothing behind, a disk
        that refuses is a StoreError.
        """
        make_folders(self.path)
        if self.path.is_symlink():
            raise StoreError(f"{self.path} leads elsewhere through a link", hint="remove the link")
        with locked(self.path / _LOCK):
            place = self.path / key.hex
            with disk_errors(place, "read"):
                if _is_whole(place):
                    os.utime(place / _MARK)  # gc takes what was not used for long
                    return place
            self.sweep()
            try:
                self._make(place, fill)
            finally:
                self.sweep()
        return place

    def sweep(self) -> None:
        """Remove what makers left; for the holder of the lock, when nobody is making anything."""
        for left in self.path.glob(f"{_MAKING}*"):
            if left.is_symlink() or not left.is_dir():
                left.unlink(missing_ok=True)
            else:
                shutil.rmtree(left, ignore_errors=True)

    def _make(self, place: Path, fill: Callable[[Path], None]) -> None:
        making = self._temporary()
        with disk_errors(making, "make"):
            making.mkdir()
            fill(making)
            replace_file(making / _MARK, json.dumps(dict(_hashed(making)), sort_keys=True).encode())
            if os.path.lexists(place):
                place.rename(self._temporary())
            making.rename(place)

    def _temporary(self) -> Path:
        return self.path / f"{_MAKING}{secrets.token_hex(8)}"


def _is_whole(place: Path) -> bool:
    """Tell whether exactly the files are there that the mark names."""
    if place.is_symlink():
        return False
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        return bool(json.loads((place / _MARK).read_bytes()) == dict(_hashed(place)))
    return False


def _hashed(folder: Path) -> Iterator[tuple[str, str]]:
    """Give every file with its hash; a link is none, and its name stands for it."""
    for above, folders, names in os.walk(folder):
        for name in (*names, *(name for name in folders if (Path(above) / name).is_symlink())):
            path = Path(above) / name
            if name != _MARK or Path(above) != folder:
                found = "" if path.is_symlink() else sha256(path.read_bytes()).hexdigest()
                yield path.relative_to(folder).as_posix(), found
