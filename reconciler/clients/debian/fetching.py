"""Bringing the packages of a lock: from the mirrors of their archive, then from its snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.clients.debian.mirror import Mirror
from reconciler.clients.debian.places import Places
from reconciler.clients.http.index import Http
from reconciler.errors import BuildError, CorruptError, NotFoundError, ReconcilerError
from reconciler.lock.system import SystemPackage

_AFTER = (timedelta(days=1), timedelta())
"""A snapshot is of the moment before its name: a day later it has what a Release file lists, and nothing is gone."""


class Debs(Protocol):
    """Where packages are kept: :class:`reconciler.store.debs.DebStore`."""

    def holds(self, sha256: str, size: int) -> bool:
        """Tell whether a package of that size is there."""

    def put(self, sha256: str, size: int, chunks: Iterator[bytes], *, name: str) -> None:
        """Keep a package that is what it should be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetching:
    """One fetch. ``dates`` are those of the lock's archives by name, ``others`` addresses of other repositories."""

    debs: Debs
    places: Places
    http: Http = field(repr=False)
    dates: Mapping[str, str]
    others: Mapping[str, str] = field(repr=False)

    def bring(self, package: SystemPackage) -> None:
        """Bring one package; a BuildError names it where it can't be had."""
        first: ReconcilerError | None = None
        for mirror in self._mirrors(package):
            try:
                self.debs.put(package.sha256, package.size, mirror.stream(package.file), name=package.file)
            except NotFoundError:
                continue
            except CorruptError as error:
                first = first or _lying(package, mirror, error)
            except ReconcilerError as error:
                first = first or error
            else:
                return
        alias = package.archive.partition("/")[0]
        more = "" if alias in self.others else f"; or name archives.{alias}.snapshot in reconciler.yaml"
        raise first or BuildError(
            f"{package.name} {package.version} ({package.archive}) is not on the mirror any more",
            hint=f"`reconciler lock --upgrade-package {package.name}` or `--upgrade-base` takes what is there{more}",
        )

    def _mirrors(self, package: SystemPackage) -> Iterator[Mirror]:
        alias = package.archive.partition("/")[0]
        if alias in self.others:
            yield self._mirror(f"the repository {alias}", self.others[alias].rstrip("/"))
            return
        for place in self.places.mirrors(alias, package.architecture):
            yield self._mirror(f"the mirror of {alias}", place.url)
        snapshot, date = self.places.snapshot(alias, package.architecture), self.dates.get(package.archive)
        if snapshot is not None and date is not None:
            for after in _AFTER:
                moment = datetime.fromisoformat(date) + after
                yield self._mirror(f"the snapshots of {alias}", f"{snapshot}/{moment:%Y%m%dT%H%M%SZ}")

    def _mirror(self, kind: str, url: str) -> Mirror:
        return Mirror(kind=kind, url=url, http=self.http)


def _lying(package: SystemPackage, mirror: Mirror, error: CorruptError) -> BuildError:
    return BuildError(
        f"{package.name} {package.version}, from {mirror.name}: {error.message}",
        hint="the mirror lies or is damaged; take another one",
    )
