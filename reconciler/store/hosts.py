"""Environments on this machine's disk, by name and build key: complete or absent.

One is made beside its place, marked, and renamed into it, under a lock that dies with its holder. So whoever finds the
place finds all of it, and what a killed process left is swept by the next maker of that name.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import StoreError
from reconciler.store import usage
from reconciler.store.durable import disk_errors, make_folders, rename_folder, write_file
from reconciler.store.locks import locked
from reconciler.values.canonical import to_canonical
from reconciler.values.digest import Digest

MARK = "reconciler-host.json"
MAKING = ".making-"


@dataclass(frozen=True, slots=True)
class Hosts:
    """The folder that holds ``NAME/<hex of the build key>``."""

    root: Path

    def place(self, name: str, key: Digest) -> Path:
        """Say where an environment stands or would stand."""
        return self.root / name / key.hex

    def find(self, name: str, key: Digest) -> Path | None:
        """Give an environment that is complete: its mark is there, and its interpreter (the machine's) still is."""
        place = self.place(name, key)
        if not (place / MARK).is_file() or not (place / "bin" / "python").exists():
            return None
        usage.mark_used(place / MARK)
        return place

    @staticmethod
    def inherit(place: Path) -> None:
        """Keep an environment from `gc` while this process lives, and what takes its place or is started by it."""
        usage.inherit(place / MARK)

    def make(self, name: str, key: Digest, fill: Callable[[Path], None]) -> tuple[Path, bool]:
        """Give the environment, and whether ``fill`` made it now, in an empty folder that is then renamed.

        What ``fill`` raises is passed on, and nothing is left. A disk that refuses is a StoreError.
        """
        found = self.find(name, key)
        if found is not None:
            return found, False
        folder = _plain_folder(self.root / name)
        with locked(folder / ".lock"):
            found = self.find(name, key)
            if found is not None:
                return found, False
            _sweep(folder)
            try:
                return self._fill(folder, key, fill), True
            finally:
                _sweep(folder)

    def _fill(self, folder: Path, key: Digest, fill: Callable[[Path], None]) -> Path:
        making, place = _temporary(folder), folder / key.hex
        with disk_errors(making, "make"):
            making.mkdir()
            fill(making)
        # Thousands of files were written by other programs; one sync makes them durable before the mark says so.
        os.sync()
        write_file(making / MARK, to_canonical({"format": 1, "key": str(key)}))
        if os.path.lexists(place):  # without its mark or its interpreter
            rename_folder(place, _temporary(folder))
        rename_folder(making, place)
        return place


def _temporary(folder: Path) -> Path:
    return folder / f"{MAKING}{secrets.token_hex(8)}"


def _plain_folder(folder: Path) -> Path:
    make_folders(folder)
    for path in (folder, folder.parent):
        if path.is_symlink():
            raise StoreError(f"{path} leads elsewhere through a link", hint="remove the link")
    return folder


def _sweep(folder: Path) -> None:
    """Remove what makers left. The caller holds the lock, so that nobody is making anything here."""
    for left in folder.glob(f"{MAKING}*"):
        if left.is_symlink() or not left.is_dir():
            left.unlink(missing_ok=True)
        else:
            shutil.rmtree(left, ignore_errors=True)
