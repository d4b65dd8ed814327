"""Debian archives as bases need them: what a suite offers, its packages, and which package has a file.

Nothing that a mirror says is believed but what a trusted key has signed: the Release file, and by its sha256 sums the
indexes, and by theirs the packages. Formats are those of https://wiki.debian.org/DebianRepository/Format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from reconciler.clients.debian.fetching import Debs, Fetching
from reconciler.clients.debian.keys import archive_keys
from reconciler.clients.debian.once import Once
from reconciler.clients.debian.places import Place, Places
from reconciler.clients.debian.suite import Indexes, Suite
from reconciler.clients.http.index import Http
from reconciler.clients.openpgp import Keys, read_keys
from reconciler.debian.offer import Indexed, Offer
from reconciler.debian.suites import SUITES
from reconciler.errors import CorruptError, NotFoundError, ResolveError
from reconciler.lock.system import Archive, SystemPackage
from reconciler.ports import Executor, Tell, tell_nobody

LIMIT_S = 3600.0
"""Seconds that one file may take, with all its tries."""
_COMPONENTS: Mapping[str, tuple[str, ...]] = MappingProxyType({"debian": ("main",), "ubuntu": ("main", "universe")})
_UPDATES = "-updates"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One of ``system_repositories``; ``key`` is the path of its public key in the repository."""

    url: str = field(repr=False)
    suite: str
    key: str
    components: tuple[str, ...] = ("main",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Archives:
    """Reads archives, each once. ``read_file`` gives a file of the repository, where other repositories' keys are.

    ``trusted`` gives the keys of a distribution.
    """

    debs: Debs
    indexes: Indexes
    places: Places
    http: Http = field(repr=False)
    executor: Executor
    read_file: Callable[[str], bytes] = field(repr=False)
    repositories: Mapping[str, Repository] = field(default_factory=dict)
    trusted: Callable[[str], Keys] = field(repr=False, default=archive_keys)
    now: Callable[[], datetime] = field(repr=False, default=lambda: datetime.now(UTC))
    once: Once[tuple[Indexed, ...]] = field(repr=False, default_factory=Once)

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
        wanted = [
            *self._own(distribution, suite, architecture),
            *(self._other(alias, architecture) for alias in dict.fromkeys(more)),
        ]
        read = dict(self.executor.map(lambda one: self._read(one, known), wanted))
        notes = [*self._past(suite), *(f"{one.name} is not on the mirror" for one in wanted if not read[one])]
        return Offer(parts=tuple(part for one in wanted for part in read[one]), notes=tuple(notes))

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
        lacking = {one.sha256: one for one in packages if not self.debs.holds(one.sha256, one.size)}
        size = sum(one.size for one in lacking.values())
        if lacking:
            tell(f"{len(lacking)} Debian package(s) of {size / 1e6:.1f} MB to fetch")
        for done, _ in enumerate(self.executor.map(fetching.bring, lacking.values()), 1):
            tell(f"fetched {done} of {len(lacking)} Debian packages", passing=True)

    def contents(
        self, distribution: str, suite: str, architecture: str, paths: Collection[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """Tell which packages have a file whose path ends so: ``libgomp.so.1`` to ``("libgomp1",)``.

        A path that no package has is not in it. The Contents index is large; it is read for this alone.
        """
        found: dict[str, set[str]] = {}
        form = re.compile(
            rb"((?:.*/)?(" + b"|".join(re.escape(path.encode()) for path in sorted(paths)) + rb"))\s+(\S+)$"
        )
        for one in self._own(distribution, suite, architecture) if paths else ():
            for line in one.contents():
                match = form.match(line)
                if match is not None:
                    found.setdefault(match[2].decode(), set()).update(_packages(match[3]))
        return {path: tuple(sorted(names)) for path, names in sorted(found.items())}

    def _read(self, suite: Suite, known: Sequence[Archive]) -> tuple[Indexed, ...]:
        before = max((one.date for one in known if (one.alias, one.suite) == (suite.alias, suite.suite)), default=None)
        try:
            read = self.once.get(suite.key, lambda: suite.read(self.indexes))
        except NotFoundError:
            # A suite has none before its first update, and after it was moved to the archive of old ones.
            if suite.is_own and suite.suite.endswith(_UPDATES) and before is None:
                return ()
            raise
        date = read[0].archive.date
        if before is not None and date < before:
            raise CorruptError(
                f"the Release file of {suite.name} is of {date}, and the lock was made from that of {before}",
                hint="the mirror is behind or shows an old state; try again later, or take another one",
            )
        return read

    def _own(self, distribution: str, suite: str, architecture: str) -> list[Suite]:
        security = f"{distribution}-security"
        wanted = ((distribution, suite), (distribution, f"{suite}{_UPDATES}"), (security, f"{suite}-security"))
        return [
            Suite(
                alias=alias,
                suite=name,
                components=_COMPONENTS[distribution],
                architecture=architecture,
                places=self.places.mirrors(alias, architecture),
                keys=self.trusted(distribution),
                http=self.http,
                now=self.now(),
                is_own=True,
            )
            for alias, name in wanted
        ]

    def _other(self, alias: str, architecture: str) -> Suite:
        one = self.repositories.get(alias)
        if one is None:
            raise ResolveError(
                f"no system repository is called {alias}", hint="name it under system_repositories in reconciler.yaml"
            )
        return Suite(
            alias=alias,
            suite=one.suite,
            components=one.components,
            architecture=architecture,
            places=(Place(url=one.url.rstrip("/")),),
            keys=read_keys(self.read_file(one.key), name=one.key),
            http=self.http,
            now=self.now(),
        )

    def _past(self, suite: str) -> Iterator[str]:
        known = SUITES.get(suite)
        if known is not None and self.now().date().isoformat() > known.ends:
            yield (
                f"{known.distribution} {suite} is past the end of its support ({known.ends}): "
                "what is found in its packages is not mended any more"
            )


def _packages(text: bytes) -> Iterator[str]:
    """Give the packages of a line of a Contents index, without their sections."""
    return (one.rpartition("/")[2] for one in text.decode("utf-8", "replace").split(",") if one)
