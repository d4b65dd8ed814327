"""Bringing the wheels of a lock to this machine: from where the lock says, checked while they stream.

Which address an index has is this machine's to say (``clients.indexes``, ``clients.aliases``); the file is known by its
sha256, so that whichever of the machine's indexes has it serves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clients.aliases import bind
from reconciler.clients.http.index import Http, like
from reconciler.clients.indexes import read_index_settings
from reconciler.clients.simple import Link, fetch_place, fetch_project, path_of
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError, CorruptError, NotFoundError, ReconcilerError, SourceError
from reconciler.lock.model import MACHINE_INDEX, Package
from reconciler.ports import Executor
from reconciler.store.wheels import WheelStore

LIMIT_S = 3600.0
"""Seconds that one wheel may take, with all its tries."""
_CHUNK = 1 << 20
_EMITTED = ("--format=requirements.txt", "--emit-index-url", "--emit-find-links")
_KINDS = {"--index-url": "index", "--extra-index-url": "index", "--find-links": "links"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where this machine looks, in its order; the addresses may hold passwords."""

    indexes: tuple[str, ...] = field(default=(), repr=False)
    links: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelFetcher:
    """Brings wheels into ``store``, several at once.

    ``sources`` are the addresses that reconciler.yaml gives to aliases, ``repository`` where its wheels are.
    """

    store: WheelStore
    uv: Uv
    executor: Executor
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    repository: Path | None = None

    def fetch(self, packages: Sequence[Package]) -> None:
        """Bring what is not there yet; the first that can't be had is an error with its name, and ends it all."""
        lacking = {package.sha256: package for package in packages if not self._holds(package)}
        if not lacking:
            return
        machine = any(package.source == MACHINE_INDEX for package in lacking.values())
        settings = read_index_settings(self.uv.environ, outside=self.uv.outside)
        http = Http(environ={**self.uv.environ, **settings.variables}, limit_s=LIMIT_S)
        job = _Job(fetcher=self, http=http, named=settings.named, machine=self._machine(settings.variables, machine))
        for _ in self.executor.map(job.bring, sorted(lacking.values())):
            pass

    def _holds(self, package: Package) -> bool:
        return self.store.holds(package.sha256, package.size)

    def _machine(self, variables: Mapping[str, str], asked: bool) -> Places:  # noqa: FBT001  # whether it is needed
        """Ask uv where it would look: its settings have more forms than one would read by oneself."""
        if not asked:
            return Places()
        output = "requirements.txt"
        done = self.uv.compile(["in.txt", *_EMITTED], {"in.txt": ""}, output=output, variables=variables)
        if done.status:
            raise BuildError("uv does not say where this machine takes packages from", detail=done.said or None)
        known = _known({**self.uv.environ, **variables})
        found: dict[str, list[str]] = {"index": [], "links": []}
        for line in done.output.splitlines():
            option, _, value = line.partition(" ")
            if option in _KINDS and value:
                found[_KINDS[option]].append(known.get(_bare(value), value))
        return Places(indexes=tuple(found["index"]), links=tuple(found["links"]))


def _known(variables: Mapping[str, str]) -> dict[str, str]:
    """Give the addresses of the settings by their form without credentials: uv leaves these out."""
    names = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
    parts = [part for name in names for part in variables.get(name, "").replace(",", " ").split()]
    addresses = [part.partition("=")[2] if "://" in part.partition("=")[2] else part for part in parts]
    return {_bare(address): address for address in addresses}


def _bare(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}".rstrip("/")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """One fetch: what is the same for all of its wheels."""

    fetcher: WheelFetcher
    http: Http
    named: Mapping[str, str] = field(repr=False)
    machine: Places

    def bring(self, package: Package) -> None:
        try:
            chunks = self._chunks(package)
            self.fetcher.store.put(package.sha256, package.size, chunks, name=package.file)
        except CorruptError as error:
            raise BuildError(
                f"{error.message}, from {package.source.partition('://')[0]}",
                hint="somebody changed the file, or the index lies; `lock --upgrade-package` takes what is there now",
            ) from error
        except ReconcilerError as error:
            if package.file in error.message:
                raise
            raise type(error)(
                f"{package.file}: {error.message}", where=error.where, hint=error.hint, detail=error.detail
            ) from error

    def _chunks(self, package: Package) -> Iterator[bytes]:
        kind, _, rest = package.source.partition(":")
        if kind == "index":
            return self._found(package, rest)
        if kind == "url":
            return self._read(rest)
        if kind == "path" and self.fetcher.repository is not None:
            return _file(self.fetcher.repository / rest)
        raise BuildError(
            f"{package.file} is from {kind}, which no image can be assembled from in this version",
            hint="name a release that has a wheel",
        )

    def _found(self, package: Package, alias: str) -> Iterator[bytes]:
        for place, link in self._links(package, alias):
            if link.file == package.file and link.sha256 in ("", package.sha256):
                remote = path_of(link.url) is None and path_of(place) is None
                return self._read(like(link.url, place) if remote else link.url)
        raise NotFoundError(
            f"{package.file} is not on the package index `{alias}` any more, or is another file there",
            hint=f"`reconciler lock --upgrade-package {package.name}` takes what is there",
        )

    def _links(self, package: Package, alias: str) -> Iterable[tuple[str, Link]]:
        if package.source != MACHINE_INDEX:
            index = bind(
                alias,
                configured=self.fetcher.sources,
                environ=self.fetcher.uv.environ,
                named=self.named,
                failure=BuildError,
            )
            yield from ((index, link) for link in fetch_project(package.name, index, self.http))
            return
        for place in self.machine.links:
            yield from ((place, link) for link in fetch_place(place, self.http))
        for index in self.machine.indexes:
            yield from ((index, link) for link in fetch_project(package.name, index, self.http))

    def _read(self, url: str) -> Iterator[bytes]:
        path = path_of(url)
        return self.http.stream(url) if path is None else _file(path)


def _file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise SourceError(f"{path.name} can't be read: {os.strerror(error.errno or 0)}") from error
