"""What bases are made of packages by."""

from __future__ import annotations

from typing import Protocol

from reconciler.clients.debian.archives import Archives
from reconciler.ports import Systems
from reconciler.store.layers import LayerStore
from reconciler.systems.bases import PackageSystems


class Tools(Protocol):
    """What it is made of."""

    @property
    def layers(self) -> LayerStore:
        """The layers that were made on this machine."""

    @property
    def archives(self) -> Archives:
        """Debian archives."""


def open_systems(tools: Tools) -> Systems:
    """Give what solves for packages and makes bases of them."""
    return PackageSystems(layers=tools.layers, archives=tools.archives)
