"""What differs between two locks, package by package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from reconciler.lock.model import Lock, Package, PlatformLock
from reconciler.lock.system import SystemPackage
from reconciler.values.platform import Platform


class Kind(Enum):
    """What a package is for: the interpreter (a standalone one is a file of a lock too), or the base below it."""

    PYTHON = "python"
    DEBIAN = "debian"


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageChange:
    """A package that moves on some platforms: from one version to another; none where it comes or goes.

    ``size_delta`` is in bytes, over these platforms. Equal versions mean that the file itself was exchanged.
    """

    name: str
    old: str | None
    new: str | None
    platforms: tuple[Platform, ...]
    size_delta: int = 0
    kind: Kind = Kind.PYTHON

    @property
    def order(self) -> tuple[bool, str, str, str]:
        """What changes are sorted by: those of the base come last."""
        return (self.kind is Kind.DEBIAN, self.name, self.old or "", self.new or "")


class _Move(NamedTuple):
    """What the same change is on several platforms."""

    kind: Kind
    name: str
    old: str | None
    new: str | None


def differences(old: Lock | None, new: Lock) -> tuple[PackageChange, ...]:
    """Compare two locks; the same move on several platforms is one change. Sorted by kind and name."""
    platforms: dict[_Move, list[Platform]] = {}
    sizes: dict[_Move, int] = {}
    before = old.platforms if old else {}
    for platform in sorted({*before, *new.platforms}):
        for move, size in _moves(before.get(platform), new.platforms.get(platform)):
            platforms.setdefault(move, []).append(platform)
            sizes[move] = sizes.get(move, 0) + size
    changes = (
        PackageChange(
            name=move.name,
            old=move.old,
            new=move.new,
            platforms=tuple(found),
            size_delta=sizes[move],
            kind=move.kind,
        )
        for move, found in platforms.items()
    )
    return tuple(sorted(changes, key=lambda change: change.order))


def _moves(old: PlatformLock | None, new: PlatformLock | None) -> Iterator[tuple[_Move, int]]:
    """Give each package that differs, and the bytes that it adds."""
    before, after = _files(old), _files(new)
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was != now:
            size = (now.size if now else 0) - (was.size if was else 0)
            yield _Move(Kind(key[0]), key[2], was.version if was else None, now.version if now else None), size
    seen, found = (dict(lock.observed) if lock else {} for lock in (old, new))
    for name in sorted({*seen, *found}):
        if seen.get(name) != found.get(name):
            yield _Move(Kind.PYTHON, name, seen.get(name), found.get(name)), 0


def _files(lock: PlatformLock | None) -> dict[tuple[str, bool, str], Package | SystemPackage]:
    """Give the files of a lock by what they are for, whether a channel of conda has them, and their names."""
    if lock is None:
        return {}
    python = [*lock.packages, *([lock.interpreter.build] if lock.interpreter.build is not None else [])]
    debian = lock.system.packages if lock.system is not None else ()
    return {
        **{(Kind.PYTHON.value, one.source.startswith("channel:"), one.name): one for one in python},
        **{(Kind.DEBIAN.value, False, one.name): one for one in debian},
    }
