"""The builders by name, and which one makes an environment. A builder is a module and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from reconciler.builders.host import HostBuilder
from reconciler.builders.usermanaged import UserManagedBuilder
from reconciler.clients.uv import Uv
from reconciler.ports import Builder
from reconciler.store.hosts import Hosts

NO_SOURCES: Mapping[str, str] = MappingProxyType({})


class Factory(Protocol):
    """Makes a builder."""

    def __call__(self, hosts: Hosts, uv: Uv, sources: Mapping[str, str] = NO_SOURCES) -> Builder:
        """Take where environments stand, uv, and the addresses that reconciler.yaml gives to aliases."""


def _host(hosts: Hosts, uv: Uv, sources: Mapping[str, str] = NO_SOURCES) -> Builder:
    return HostBuilder(hosts=hosts, uv=uv, sources=sources)


def _user_managed(hosts: Hosts, uv: Uv, sources: Mapping[str, str] = NO_SOURCES) -> Builder:
    del hosts, uv, sources
    return UserManagedBuilder()


BUILDERS: Mapping[str, Factory] = MappingProxyType({"host": _host, "user-managed": _user_managed})
"""Name to factory. ``assemble`` and ``docker`` are not there yet: :func:`reconciler.builders.unsupported.refuse`."""
