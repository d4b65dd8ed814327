"""The builders by name, and which one makes an environment. A builder is a module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from reconciler.builders.host import HostBuilder
from reconciler.builders.usermanaged import UserManagedBuilder
from reconciler.clients.uv import Uv
from reconciler.ports import Bases, Builder, Executor, Systems
from reconciler.store.hosts import Hosts

if TYPE_CHECKING:
    from reconciler.builders.fetcher import WheelFetcher
    from reconciler.clients.debian.archives import Archives
    from reconciler.store.interpreters import InterpreterStore
    from reconciler.store.layers import LayerStore

MAX_FILE = 1 << 26
"""Bytes of a file of the repository that goes into an image."""


class Reader(Protocol):
    """Gives a file of the repository (``ports.Source.read``)."""

    def read(self, path: str, *, limit: int = ...) -> bytes:
        """Give its bytes."""


class Tools(Protocol):
    """What builders are made of; each takes what it needs."""

    @property
    def hosts(self) -> Hosts:
        """Where environments of this machine stand."""

    @property
    def uv(self) -> Uv:
        """Run uv."""

    @property
    def index_addresses(self) -> Mapping[str, str]:
        """The addresses that reconciler.yaml gives to aliases."""

    @property
    def bases(self) -> Bases:
        """Find base images."""

    @property
    def systems(self) -> Systems:
        """Make bases of packages."""

    @property
    def archives(self) -> Archives:
        """Debian archives."""

    @property
    def layers(self) -> LayerStore:
        """The layers that were made on this machine."""

    @property
    def interpreters(self) -> InterpreterStore:
        """The interpreters of base images that were unpacked on this machine."""

    @property
    def fetcher(self) -> WheelFetcher:
        """Bring wheels."""

    @property
    def makers(self) -> Executor:
        """Make layers side by side."""

    @property
    def source(self) -> Reader:
        """The files of the repository."""


Factory = Callable[[Tools], Builder]


def _host(tools: Tools) -> Builder:
    return HostBuilder(hosts=tools.hosts, uv=tools.uv, sources=tools.index_addresses)


def _user_managed(tools: Tools) -> Builder:
    del tools
    return UserManagedBuilder()


def _assemble(tools: Tools) -> Builder:
    from reconciler.builders.assemble import AssembleBuilder  # noqa: PLC0415  # only images pay
    from reconciler.builders.bytecode import BytecodeMaker  # noqa: PLC0415  # the same
    from reconciler.builders.libraries import LibraryCheck  # noqa: PLC0415  # the same
    from reconciler.builders.sources import SourceBuilder  # noqa: PLC0415  # the same
    from reconciler.store.cache import Cache  # noqa: PLC0415  # the same

    fetcher = tools.fetcher
    sources = SourceBuilder(
        store=fetcher.store,
        fetch=fetcher.fetch,
        uv=tools.uv,
        executor=tools.makers,
        sources=tools.index_addresses,
    )
    return AssembleBuilder(
        bases=tools.bases,
        systems=tools.systems,
        layers=tools.layers,
        wheels=fetcher.store,
        fetch=fetcher.fetch,
        prepare_wheels=sources.prepare,
        executor=tools.makers,
        bytecode=BytecodeMaker(
            bases=tools.bases, systems=tools.systems, interpreters=tools.interpreters, spool=tools.layers.path
        ),
        libraries=LibraryCheck(
            cache=Cache(tools.layers.path.parent / "cache" / "libraries"), archives=lambda: tools.archives
        ),
        read=lambda path: tools.source.read(path, limit=MAX_FILE),
    )


BUILDERS: Mapping[str, Factory] = MappingProxyType(
    {"assemble": _assemble, "host": _host, "user-managed": _user_managed}
)
"""Name to factory. ``docker`` is not there yet: :func:`reconciler.builders.unassembled.refuse`."""
