"""What applying works with: the adapters that ``cli.wiring`` chose, by the port that they implement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.ports import Builder, Checker, Executor, Registry, Reporter, Resolver
from reconciler.reconcile.images import Pushed


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """The registry, builders and resolvers by the builder's name, and who does and shows the work.

    ``executor`` takes environments side by side, ``transfers`` the blobs of one; without it they go one by one.
    ``checkers`` run the declared checks of what was made, by the name of a builder that does not run them itself.
    ``pushed`` is where this run has put which blob.
    """

    registry: Registry
    builders: Mapping[str, Builder]
    resolvers: Mapping[str, Resolver]
    executor: Executor
    reporter: Reporter
    transfers: Executor | None = None
    checkers: Mapping[str, Checker] = field(default_factory=dict)
    pushed: Pushed = field(default_factory=Pushed)
