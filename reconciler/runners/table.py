"""The runners by the builder that made the environment. A runner is a module and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from reconciler.clients.uv import Uv
from reconciler.ports import Checker, Reporter, Runner
from reconciler.runners.host import HostRunner
from reconciler.store.hosts import Hosts

NO_SOURCES: Mapping[str, str] = MappingProxyType({})


class Factory(Protocol):
    """Makes a runner."""

    def __call__(self, hosts: Hosts, uv: Uv, reporter: Reporter, sources: Mapping[str, str] = NO_SOURCES) -> Runner:
        """Take where environments stand, uv, who shows progress, and the addresses that reconciler.yaml gives."""


def _host(hosts: Hosts, uv: Uv, reporter: Reporter, sources: Mapping[str, str] = NO_SOURCES) -> Runner:
    del reporter  # the command's own output is all that is shown
    return HostRunner(hosts=hosts, uv=uv, sources=sources)


def _container(hosts: Hosts, uv: Uv, reporter: Reporter, sources: Mapping[str, str] = NO_SOURCES) -> Runner:
    from reconciler.runners.container import ContainerRunner  # noqa: PLC0415  # only images pay

    del hosts, sources
    return ContainerRunner(environ=uv.environ, reporter=reporter)


CONTAINERS = frozenset({"assemble"})
"""Builders whose artifacts are images that a container engine runs."""
RUNNERS: Mapping[str, Factory] = MappingProxyType({"assemble": _container, "host": _host, "user-managed": _host})
"""Builder's name to factory."""


def checkers(environ: Mapping[str, str]) -> Mapping[str, Checker]:
    """Give who runs the checks of what a builder made, by the builder's name; the others run them themselves."""
    from reconciler.runners.checks import ContainerChecker  # noqa: PLC0415  # only `apply` pays

    return dict.fromkeys(CONTAINERS, ContainerChecker(environ=environ))
