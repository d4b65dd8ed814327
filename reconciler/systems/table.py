"""What bases are made of packages by."""

from __future__ import annotations

from typing import Protocol

from reconciler.clients.debian.archives import Archives
from reconciler.ports import Executor, Systems
from reconciler.store.debs import DebStore
from reconciler.store.layers import LayerStore
from reconciler.systems.bases import PackageSystems
from reconciler.systems.resolve import Solver
from reconciler.systems.roots import Roots
from reconciler.systems.standalone import Standalones


class Tools(Protocol):
    """What it is made of."""

    @property
    def layers(self) -> LayerStore:
        """The layers that were made on this machine."""

    @property
    def archives(self) -> Archives:
        """Debian archives."""

    @property
    def debs(self) -> DebStore:
        """The Debian packages on this machine."""

    @property
    def unpackers(self) -> Executor:
        """Who unpacks them, beside whoever makes other layers."""

    @property
    def standalones(self) -> Standalones:
        """Builds of a standalone Python."""


def open_systems(tools: Tools) -> Systems:
    """Give what solves for packages and makes bases of them."""
    roots = Roots(
        layers=tools.layers,
        archives=tools.archives,
        debs=tools.debs,
        executor=tools.unpackers,
        standalones=tools.standalones,
    )
    solver = Solver(archives=tools.archives, debs=tools.debs, standalones=tools.standalones)
    return PackageSystems(solver=solver, roots=roots)
