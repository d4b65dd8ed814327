"""What the archives of a suite offer together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.debian.candidate import Candidate
from reconciler.debian.index import PackageIndex
from reconciler.lock.system import Archive


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexed:
    """One archive, and its indexes for one architecture."""

    archive: Archive
    indexes: tuple[PackageIndex, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """The packages of all archives that were read, in their order: suite, updates, security, other repositories.

    ``notes`` are worth saying, one line each.
    """

    parts: Sequence[Indexed]
    notes: tuple[str, ...] = ()

    @property
    def archives(self) -> tuple[Archive, ...]:
        """The archives, as a lock names them."""
        return tuple(part.archive for part in self.parts)

    def named(self, name: str) -> tuple[Candidate, ...]:
        """Give every version of a package, from every archive."""
        return self._gathered(lambda index, archive: index.named(name, archive))

    def providing(self, name: str) -> tuple[Candidate, ...]:
        """Give what provides a virtual package (Debian Policy 7.5), with or without a version."""
        return self._gathered(lambda index, archive: index.providing(name, archive))

    def essential(self) -> tuple[Candidate, ...]:
        """Give the packages that every system has (Debian Policy 3.8)."""
        return self._gathered(lambda index, archive: index.essential(archive))

    def names(self) -> Iterator[str]:
        """Give the names of all packages, some of them more than once."""
        return (name for part in self.parts for index in part.indexes for name in index.names)

    def _gathered(self, ask: Callable[[PackageIndex, str], Iterator[Candidate]]) -> tuple[Candidate, ...]:
        found: Iterable[Iterator[Candidate]] = (
            ask(index, part.archive.name) for part in self.parts for index in part.indexes
        )
        return tuple(candidate for one in found for candidate in one)
