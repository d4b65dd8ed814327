"""What differs between two locks, package by package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.lock.model import Lock, Package, PlatformLock
from reconciler.values.platform import Platform


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class PackageChange:
    """A package that moves on some platforms: from one version to another; none where it comes or goes.

    ``size_delta`` is in bytes, over these platforms. Equal versions mean that the file itself was exchanged.
    """

    name: str
    old: str | None
    new: str | None
    platforms: tuple[Platform, ...]
    size_delta: int = 0

    @property
    def order(self) -> tuple[str, str, str]:
        """What changes are sorted by."""
        return (self.name, self.old or "", self.new or "")


def differences(old: Lock | None, new: Lock) -> tuple[PackageChange, ...]:
    """Compare two locks; the same move on several platforms is one change. Sorted by name."""
    platforms: dict[tuple[str, str | None, str | None], list[Platform]] = {}
    sizes: dict[tuple[str, str | None, str | None], int] = {}
    before = old.platforms if old else {}
    for platform in sorted({*before, *new.platforms}):
        for move, size in _moves(before.get(platform), new.platforms.get(platform)):
            platforms.setdefault(move, []).append(platform)
            sizes[move] = sizes.get(move, 0) + size
    changes = (
        PackageChange(name=name, old=was, new=now, platforms=tuple(found), size_delta=sizes[name, was, now])
        for (name, was, now), found in platforms.items()
    )
    return tuple(sorted(changes, key=lambda change: change.order))


def _moves(
    old: PlatformLock | None, new: PlatformLock | None
) -> Iterator[tuple[tuple[str, str | None, str | None], int]]:
    """Give each package that differs, as (name, old, new) and the bytes that it adds."""
    before, after = _by_name(old), _by_name(new)
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was != now:
            size = (now.size if now else 0) - (was.size if was else 0)
            yield (key[0], was.version if was else None, now.version if now else None), size
    seen, found = (dict(lock.observed) if lock else {} for lock in (old, new))
    for name in sorted({*seen, *found}):
        if seen.get(name) != found.get(name):
            yield (name, seen.get(name), found.get(name)), 0


def _by_name(lock: PlatformLock | None) -> dict[tuple[str, bool], Package]:
    packages = lock.packages if lock else ()
    return {(package.name, package.source.startswith("channel:")): package for package in packages}
