"""What applying works with: the adapters that ``cli.wiring`` chose, by the port that they implement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.ports import Builder, Executor, Registry, Reporter, Resolver


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """The registry, builders and resolvers by the builder's name, and who does and shows the work.

    ``executor`` takes environments side by side, ``transfers`` the blobs of one; without it they go one by one.
    """

    registry: Registry
    builders: Mapping[str, Builder]
    resolvers: Mapping[str, Resolver]
    executor: Executor
    reporter: Reporter
    transfers: Executor | None = None
