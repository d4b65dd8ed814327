"""Which packages move between what is locked now and what would be locked then. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.lock.model import Lock, Package
from reconciler.plan.change import PackageChange
from reconciler.values.platform import Platform


def package_changes(old: Lock | None, new: Lock | None) -> tuple[PackageChange, ...] | None:
    """List packages that come, go or move, by name; none where the new lock is not known yet."""
    if new is None:
        return None
    found: dict[tuple[str, str | None, str | None], list[tuple[Platform, int]]] = {}
    for platform in sorted({*new.platforms, *(old.platforms if old is not None else ())}):
        before, after = _packages(old, platform), _packages(new, platform)
        for name in sorted({*before, *after}):
            was, now = before.get(name), after.get(name)
            if was == now:
                continue
            key = (name, was.version if was else None, now.version if now else None)
            delta = (now.size if now else 0) - (was.size if was else 0)
            found.setdefault(key, []).append((platform, delta))
    return tuple(
        PackageChange(
            name=name,
            old=was,
            new=now,
            platforms=tuple(platform for platform, _ in places),
            size_delta=max((delta for _, delta in places), key=abs),
        )
        for (name, was, now), places in sorted(found.items(), key=lambda item: tuple(part or "" for part in item[0]))
    )


def _packages(lock: Lock | None, platform: Platform) -> Mapping[str, Package]:
    if lock is None or platform not in lock.platforms:
        return {}
    return {package.name: package for package in lock.platforms[platform].packages}
