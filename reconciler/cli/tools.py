"""What builders, resolvers and runners are made of. Each tool is imported where it is made, and made once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.builders.fetcher import WheelFetcher
    from reconciler.cli.wiring import Workspace
    from reconciler.clients.debian.archives import Archives
    from reconciler.clients.uv import Uv
    from reconciler.ports import Bases, Executor, Source, Systems
    from reconciler.store.debs import DebStore
    from reconciler.store.hosts import Hosts
    from reconciler.store.interpreters import InterpreterStore
    from reconciler.store.layers import LayerStore
    from reconciler.systems.standalone import Standalones


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The tools of a workspace; ``environ`` is the caller's environment."""

    workspace: Workspace
    environ: Mapping[str, str] = field(repr=False)

    @property
    def source(self) -> Source:
        """The files of the repository."""
        return self.workspace.source

    @cached_property
    def systems(self) -> Systems:
        """Bases made of Debian packages."""
        from reconciler.systems.table import open_systems  # noqa: PLC0415

        return open_systems(self)

    @cached_property
    def debs(self) -> DebStore:
        """The Debian packages that were fetched."""
        from reconciler.store.debs import DebStore  # noqa: PLC0415

        return DebStore(path=self.workspace.used / "debs")

    @cached_property
    def unpackers(self) -> Executor:
        """Who unpacks Debian packages: none of the makers, who may wait for them."""
        from reconciler.executors.transfers import Transfers  # noqa: PLC0415

        return Transfers(os.cpu_count() or 1)

    @cached_property
    def archives(self) -> Archives:
        """Debian archives, and where their packages are kept."""
        from reconciler.clients.debian.archives import LIMIT_S, Archives, Repository  # noqa: PLC0415
        from reconciler.clients.debian.places import Configured, Places  # noqa: PLC0415
        from reconciler.clients.debian.sources import read_apt_sources  # noqa: PLC0415
        from reconciler.clients.http.index import Http  # noqa: PLC0415
        from reconciler.store.debs import IndexStore  # noqa: PLC0415

        return Archives(
            debs=self.debs,
            indexes=IndexStore(path=self.workspace.used / "debs"),
            places=Places(
                configured={
                    alias: Configured(mirror=one.mirror, snapshot=one.snapshot)
                    for alias, one in self.workspace.config.archives.items()
                },
                environ=self.environ,
                apt=read_apt_sources(self.environ),
            ),
            http=Http(environ=self.environ, limit_s=LIMIT_S),
            executor=self.workspace.transfers,
            repositories={
                alias: Repository(url=one.url, suite=one.suite, key=one.key, components=one.components)
                for alias, one in self.workspace.config.system_repositories.items()
            },
            read_file=self.source.read,
        )

    @cached_property
    def hosts(self) -> Hosts:
        """The environments on this machine."""
        from reconciler.store.hosts import Hosts  # noqa: PLC0415

        return Hosts(self.workspace.used / "hosts")

    @cached_property
    def uv(self) -> Uv:
        """Run uv, which sees nothing of the repository."""
        from reconciler.clients.uv import Uv  # noqa: PLC0415

        return Uv(environ=self.environ, outside=self.workspace.root)

    @cached_property
    def bases(self) -> Bases:
        """Base images."""
        from reconciler.registries.bases import ImageBases  # noqa: PLC0415

        return ImageBases(
            connect=self.workspace.open,
            root=self.workspace.root,
            target=self.workspace.address,
            environments=self.workspace.registry,
        )

    @cached_property
    def layers(self) -> LayerStore:
        """The layers that were made here."""
        from reconciler.clients.compression import compress  # noqa: PLC0415
        from reconciler.store.layers import LayerStore  # noqa: PLC0415

        return LayerStore(path=self.workspace.used / "layers", compress=compress)

    @cached_property
    def interpreters(self) -> InterpreterStore:
        """The interpreters of base images that were unpacked here."""
        from reconciler.store.interpreters import InterpreterStore  # noqa: PLC0415

        return InterpreterStore(path=self.workspace.used / "interpreters")

    @cached_property
    def fetcher(self) -> WheelFetcher:
        """Who brings wheels, and where they are kept."""
        from reconciler.builders.fetcher import WheelFetcher  # noqa: PLC0415
        from reconciler.store.wheels import WheelStore  # noqa: PLC0415

        return WheelFetcher(
            store=WheelStore(path=self.workspace.used / "wheels"),
            uv=self.uv,
            executor=self.workspace.transfers,
            sources=self.index_addresses,
            repository=self.workspace.root,
        )

    @cached_property
    def standalones(self) -> Standalones:
        """Builds of a standalone Python, and where their archives are kept."""
        from reconciler.clients.pythons import Pythons  # noqa: PLC0415
        from reconciler.store.pythons import PythonStore  # noqa: PLC0415
        from reconciler.systems.standalone import Standalones  # noqa: PLC0415

        kept = PythonStore(path=self.workspace.used / "pythons")
        return Standalones(pythons=Pythons(uv=self.uv), store=kept, layers=self.layers)

    @cached_property
    def makers(self) -> Executor:
        """Who makes layers, a thread a processor: hashing and compressing keep it busy."""
        from reconciler.executors.transfers import Transfers  # noqa: PLC0415

        return Transfers(os.cpu_count() or 1)

    @property
    def index_addresses(self) -> dict[str, str]:
        """The package indexes that the configuration names, alias to address."""
        return {alias: source.url for alias, source in self.workspace.config.indexes.items()}
