"""The runners by the builder that made the environment. A runner is a module and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reconciler.clients.virtualenv import VirtualEnvironments
from reconciler.ports import Runner
from reconciler.runners.host import HostRunner

RUNNERS: Mapping[str, Callable[[VirtualEnvironments], Runner]] = MappingProxyType(
    {
        "host": lambda environments: HostRunner(environments=environments),
        "user-managed": lambda environments: HostRunner(environments=environments),
    }
)
