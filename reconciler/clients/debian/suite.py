"""One suite of one archive: its Release file, from the first mirror that can be believed, and what that vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from reconciler.clients.debian.mirror import MAX_INDEX, PACKINGS, Mirror, lines_of
from reconciler.clients.debian.places import Place
from reconciler.clients.debian.releases import read_release
from reconciler.clients.http.index import Http
from reconciler.clients.openpgp import Keys
from reconciler.debian.index import PackageIndex, pack_index, read_index
from reconciler.debian.offer import Indexed
from reconciler.debian.release import Listed, Release
from reconciler.errors import CorruptError, ReconcilerError, ResolveError
from reconciler.lock.system import Archive


class Indexes(Protocol):
    """Where parsed indexes are kept: :class:`reconciler.store.debs.IndexStore`."""

    def read(self, sha256: str) -> bytes | None:
        """Give what was kept."""

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Suite:
    """A suite for one architecture. ``is_own`` where it is the distribution's, which has to say its own name."""

    alias: str
    suite: str
    components: tuple[str, ...]
    architecture: str
    places: tuple[Place, ...]
    keys: Keys = field(repr=False)
    http: Http = field(repr=False)
    now: datetime
    is_own: bool = False

    @property
    def name(self) -> str:
        """What errors call it."""
        return f"{self.alias}/{self.suite}"

    @property
    def key(self) -> tuple[object, ...]:
        """What makes it the one that it is."""
        return self.alias, self.suite, self.components, self.architecture, self.places

    @property
    def folder(self) -> str:
        """Where the Release file and what it lists are."""
        return f"dists/{self.suite}"

    def read(self, indexes: Indexes) -> tuple[Indexed, ...]:
        """Read the indexes of every component."""
        mirror, release = self.find()
        return tuple(
            Indexed(
                archive=Archive(
                    alias=self.alias,
                    suite=self.suite,
                    component=component,
                    date=release.stamp,
                    digest=str(release.digest),
                ),
                indexes=tuple(
                    self._index(mirror, release, listed, indexes) for listed in self._listed(release, component)
                ),
            )
            for component in self.components
        )

    def contents(self) -> Iterator[bytes]:
        """Give the lines of the Contents indexes that the suite has, with what packages all architectures share."""
        mirror, release = self.find()
        for component in self.components:
            listed = release.files.get(f"{component}/Contents-{self.architecture}.gz")
            if listed is not None:
                chunks = mirror.listed(self.folder, listed, by_hash=release.by_hash)
                yield from lines_of(chunks, listed.path, limit=_unpacked_size(release, listed))

    def find(self) -> tuple[Mirror, Release]:
        """Find a mirror whose Release file can be believed; where none has one, say what the first one's lacks."""
        first: ReconcilerError | None = None
        for place in self.places:
            mirror = Mirror(kind=f"the mirror of {self.alias}", url=place.url, http=self.http)
            try:
                release = read_release(mirror, self.folder, self.keys, hint=self._remedy)
                self._check(release, place)
            except ReconcilerError as error:
                first = first or error
            else:
                return mirror, release
        raise first or ResolveError(f"no mirror of {self.alias}")

    @property
    def _remedy(self) -> str:
        if self.is_own:
            return "take another mirror; what this one shows is not the archive's"
        return (
            f"check system_repositories.{self.alias} in reconciler.yaml: its url, and whether its key is the archive's"
        )

    def _check(self, release: Release, place: Place) -> None:
        name = f"the Release file of {self.name}"
        if self.is_own and self.suite not in (release.suite, release.codename):
            raise CorruptError(
                f"{name} is that of {(release.codename or release.suite)[:100]!a}",
                hint="the mirror shows another suite under this name; take another one",
            )
        until = release.valid_until
        if until is not None and place.checks_date and until < self.now:
            raise CorruptError(
                f"{name} has ended on {until:%Y-%m-%d %H:%M} UTC",
                hint="the mirror is behind or shows an old state; take another one, or check this machine's clock",
            )
        if release.architectures and self.architecture not in release.architectures:
            raise ResolveError(f"{self.name} has no packages for {self.architecture}", hint="take another suite")

    def _listed(self, release: Release, component: str) -> Iterator[Listed]:
        """Give the indexes of a component; packages for all architectures may have one of their own."""
        # What a security archive says of itself has a folder in front that is not there.
        if component not in (*release.components, *(name.rpartition("/")[2] for name in release.components)):
            raise ResolveError(
                f"{self.name} has no component {component}", hint=f"it has {', '.join(release.components)[:200]}"
            )
        for architecture in ("all", self.architecture) if release.splits_all else (self.architecture,):
            yield self._packed(release, f"{component}/binary-{architecture}/Packages")

    def _packed(self, release: Release, path: str) -> Listed:
        found = next(
            (release.files[f"{path}{ending}"] for ending in PACKINGS if f"{path}{ending}" in release.files), None
        )
        if found is None:
            raise ResolveError(f"{self.name} has no index {path}")
        return found

    def _index(self, mirror: Mirror, release: Release, listed: Listed, indexes: Indexes) -> PackageIndex:
        kept = indexes.read(listed.sha256)
        index = read_index(kept) if kept is not None else None
        if index is not None:
            return index
        chunks = mirror.listed(self.folder, listed, by_hash=release.by_hash)
        packed = pack_index(lines_of(chunks, listed.path, limit=_unpacked_size(release, listed)))
        indexes.keep(listed.sha256, packed)
        made = read_index(packed)
        if made is None:
            raise CorruptError(f"{self.name}: {listed.path} can't be read")
        return made


def _unpacked_size(release: Release, listed: Listed) -> int:
    """Say how many bytes an index may unpack to: what is listed for its plain form, which need not be there."""
    plain = release.files.get(listed.path.rpartition(".")[0])
    return plain.size if plain is not None else MAX_INDEX
