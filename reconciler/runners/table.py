"""The runners by the builder that made the environment. A runner is a module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reconciler.clients.uv import Uv
from reconciler.ports import Runner
from reconciler.runners.host import HostRunner
from reconciler.store.hosts import Hosts

RUNNERS: Mapping[str, Callable[[Hosts, Uv], Runner]] = MappingProxyType(
    {
        "host": lambda hosts, uv: HostRunner(hosts=hosts, uv=uv),
        "user-managed": lambda hosts, uv: HostRunner(hosts=hosts, uv=uv),
    }
)
"""Builder's name to factory, which takes the folder of the environments (``.reconciler/hosts``) and uv."""
