"""Debian archives as bases need them: what a suite offers, its packages, and which package has a file.

Nothing that a mirror says is believed but what a trusted key has signed: the Release file, and by its sha256 sums the
indexes, and by theirs the packages. Formats are those of https://wiki.debian.org/DebianRepository/Format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from reconciler.clients.debian.fetching import Fetching
from reconciler.clients.debian.keys import archive_keys
from reconciler.clients.debian.mirror import PACKINGS, Mirror, lines_of
from reconciler.clients.debian.places import Place, Places
from reconciler.clients.debian.releases import read_release
from reconciler.clients.http.index import Http
from reconciler.clients.openpgp import Keys, read_keys
from reconciler.debian.index import PackageIndex, pack_index, read_index
from reconciler.debian.offer import Indexed, Offer
from reconciler.debian.release import Listed, Release
from reconciler.debian.suites import SUITES
from reconciler.errors import CorruptError, NotFoundError, ReconcilerError, ResolveError
from reconciler.lock.system import Archive, SystemPackage
from reconciler.ports import Executor, Tell, tell_nobody

LIMIT_S = 3600.0
"""Seconds that one file may take, with all its tries."""
_COMPONENTS: Mapping[str, tuple[str, ...]] = {"debian": ("main",), "ubuntu": ("main", "universe")}
_FOUND = re.compile(rb"^(\S+)\s+(\S+)$")


class Debs(Protocol):
    """Where packages are kept: :class:`reconciler.store.debs.DebStore`."""

    def holds(self, sha256: str, size: int) -> bool:
        """Tell whether a package of that size is there."""

    def put(self, sha256: str, size: int, chunks: Iterator[bytes], *, name: str) -> None:
        """Keep a package that is what it should be."""


class Indexes(Protocol):
    """Where parsed indexes are kept: :class:`reconciler.store.debs.IndexStore`."""

    def read(self, sha256: str) -> bytes | None:
        """Give what was kept."""

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One of ``system_repositories``; ``key`` is the path of its public key in the repository."""

    url: str = field(repr=False)
    suite: str
    key: str
    components: tuple[str, ...] = ("main",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Archives:
    """Reads archives. ``read_file`` gives a file of the repository, where keys of other repositories are."""

    debs: Debs
    indexes: Indexes
    places: Places
    http: Http = field(repr=False)
    executor: Executor
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    read_file: Callable[[str], bytes] = field(repr=False, default=lambda path: path.encode())
    now: Callable[[], datetime] = field(repr=False, default=lambda: datetime.now(UTC))

    def read(
        self,
        distribution: str,
        suite: str,
        architecture: str,
        more: Sequence[str] = (),
        *,
        known: Sequence[Archive] = (),
    ) -> Offer:
        """Read the suite, its updates, its security and ``more``, the aliases of ``system_repositories``.

        ``known`` are the archives of a lock that was made before: one that is older now than it was then is refused.
        No mirror is a ResolveError, one that lies a CorruptError, one that does not answer an UnavailableError.
        """
        before = {(one.alias, one.suite): one.date for one in known}
        wanted = [*self._own(distribution, suite), *(self._other(alias) for alias in more)]
        read = dict(self.executor.map(lambda one: one.read(architecture, before), wanted))
        return Offer(parts=tuple(part for one in wanted for part in read[one]), notes=tuple(self._notes(suite)))

    def fetch(
        self, packages: Sequence[SystemPackage], *, archives: Sequence[Archive] = (), tell: Tell = tell_nobody
    ) -> None:
        """Bring the packages of a lock that are not there yet, several at once.

        ``archives`` are the lock's, whose dates say where to look among snapshots. One that is nowhere to be had is a
        BuildError that names it.
        """
        fetching = Fetching(
            debs=self.debs,
            places=self.places,
            http=self.http,
            dates={one.name: one.date for one in archives},
            others={alias: one.url for alias, one in self.repositories.items()},
        )
        lacking = [one for one in packages if not self.debs.holds(one.sha256, one.size)]
        for done, _ in enumerate(self.executor.map(fetching.bring, lacking), 1):
            tell(f"fetched {done} of {len(lacking)} Debian packages", passing=True)

    def contents(
        self, distribution: str, suite: str, architecture: str, paths: Collection[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """Tell which packages have a file whose path ends so: ``libgomp.so.1`` to ``("libgomp1",)``.

        A path that no package has is not in it. The Contents index is large; it is read for this alone.
        """
        found: dict[str, set[str]] = {}
        pattern = re.compile(rb"(?:^|/)(?:" + b"|".join(re.escape(path.encode()) for path in paths) + rb")\s")
        for one in self._own(distribution, suite):
            for line in one.contents(architecture):
                if pattern.search(line) and (match := _FOUND.match(line.rstrip())):
                    name = match[1].decode("utf-8", "replace")
                    for path in paths:
                        if name == path or name.endswith(f"/{path}"):
                            found.setdefault(path, set()).update(_packages(match[2]))
        return {path: tuple(sorted(names)) for path, names in sorted(found.items())}

    def _own(self, distribution: str, suite: str) -> list[Suite]:
        keys = archive_keys(distribution)
        security = f"{distribution}-security"
        wanted = ((distribution, suite), (distribution, f"{suite}-updates"), (security, f"{suite}-security"))
        return [
            Suite(
                archives=self,
                alias=alias,
                suite=name,
                components=_COMPONENTS[distribution],
                places=self.places.mirrors(alias),
                keys=keys,
                is_own=True,
            )
            for alias, name in wanted
        ]

    def _other(self, alias: str) -> Suite:
        one = self.repositories.get(alias)
        if one is None:
            raise ResolveError(
                f"no system repository is called {alias}", hint="name it under system_repositories in reconciler.yaml"
            )
        return Suite(
            archives=self,
            alias=alias,
            suite=one.suite,
            components=one.components,
            places=(Place(url=one.url.rstrip("/")),),
            keys=read_keys(self.read_file(one.key), name=one.key),
        )

    def _notes(self, suite: str) -> Iterator[str]:
        known = SUITES.get(suite)
        if known is not None and self.now().date().isoformat() > known.ends:
            yield (
                f"{known.distribution} {suite} is past the end of its support ({known.ends}): "
                "what is found in its packages is not mended any more"
            )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Suite:
    """One suite of one archive, and where it is. ``is_own`` where it is the distribution's."""

    archives: Archives
    alias: str
    suite: str
    components: tuple[str, ...]
    places: tuple[Place, ...]
    keys: Keys
    is_own: bool = False

    @property
    def folder(self) -> str:
        """Where the Release file and what it lists are."""
        return f"dists/{self.suite}"

    def read(self, architecture: str, before: Mapping[tuple[str, str], str]) -> tuple[Indexed, ...]:
        """Read the indexes of every component, from the first mirror that has the suite."""
        mirror, release = self.find(before.get((self.alias, self.suite)))
        return tuple(
            Indexed(archive=self._archive(release, component), indexes=self._indexes(mirror, release, component, found))
            for component in self.components
            for found in (("all", architecture) if release.splits_all else (architecture,),)
        )

    def find(self, before: str | None = None) -> tuple[Mirror, Release]:
        """Find a mirror whose Release file can be believed; where none has one, say what the first one's lacks."""
        first: ReconcilerError | None = None
        for place in self.places:
            mirror = Mirror(name=f"the mirror of {self.alias}", url=place.url, http=self.archives.http)
            try:
                release = read_release(mirror, self.folder, self.keys)
                self._check(release, place, before)
            except ReconcilerError as error:
                first = first or error
            else:
                return mirror, release
        raise first or NotFoundError(f"no mirror of {self.alias}")

    def contents(self, architecture: str) -> Iterator[bytes]:
        """Give the lines of the Contents indexes that the suite has."""
        mirror, release = self.find()
        for component in self.components:
            listed = release.files.get(f"{component}/Contents-{architecture}.gz")
            if listed is not None:
                yield from lines_of(mirror.listed(self.folder, listed, by_hash=release.by_hash), listed.path)

    def _check(self, release: Release, place: Place, before: str | None) -> None:
        name = f"the Release file of {self.alias}/{self.suite}"
        if self.is_own and self.suite not in (release.suite, release.codename):
            raise CorruptError(f"{name} is that of {release.codename or release.suite}")
        until = release.valid_until
        if until is not None and place.checks_date and until < self.archives.now():
            raise CorruptError(
                f"{name} has ended on {until:%Y-%m-%d %H:%M} UTC",
                hint="the mirror is behind, or shows an old state: take another one, or check this machine's clock",
            )
        if before is not None and release.stamp < before:
            raise CorruptError(
                f"{name} is of {release.stamp}, and the lock was made from that of {before}",
                hint="the mirror is behind, or shows an old state: try again later, or take another one",
            )

    def _archive(self, release: Release, component: str) -> Archive:
        return Archive(
            alias=self.alias, suite=self.suite, component=component, date=release.stamp, digest=str(release.digest)
        )

    def _indexes(
        self, mirror: Mirror, release: Release, component: str, architectures: tuple[str, ...]
    ) -> tuple[PackageIndex, ...]:
        if component not in (name.rpartition("/")[2] for name in release.components):
            raise ResolveError(
                f"{self.alias}/{self.suite} has no component {component}",
                hint=f"it has {', '.join(release.components)}",
            )
        return tuple(
            self._index(mirror, release, self._listed(release, f"{component}/binary-{architecture}/Packages"))
            for architecture in architectures
        )

    def _listed(self, release: Release, path: str) -> Listed:
        for packing in PACKINGS:
            if f"{path}{packing}" in release.files:
                return release.files[f"{path}{packing}"]
        raise ResolveError(f"{self.alias}/{self.suite} has no index {path}")

    def _index(self, mirror: Mirror, release: Release, listed: Listed) -> PackageIndex:
        kept = self.archives.indexes.read(listed.sha256)
        index = read_index(kept) if kept is not None else None
        if index is not None:
            return index
        chunks = mirror.listed(self.folder, listed, by_hash=release.by_hash)
        packed = pack_index(lines_of(chunks, listed.path))
        self.archives.indexes.keep(listed.sha256, packed)
        made = read_index(packed)
        if made is None:
            raise CorruptError(f"{listed.path} can't be read")
        return made


def _packages(text: bytes) -> Iterator[str]:
    """Give the packages of a line of a Contents index, without their sections."""
    return (one.rpartition("/")[2] for one in text.decode("utf-8", "replace").split(",") if one)
