"""What is ahead of what is registered: archives that have newer Debian packages. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.cli.wiring import Workspace
from reconciler.errors import ReconcilerError
from reconciler.lock.model import Lock
from reconciler.plan.drift import Stale
from reconciler.plan.observed import Observed, Present
from reconciler.ports import Systems
from reconciler.reconcile.observe import read_bodies


def find_stale(workspace: Workspace, observed: Observed) -> tuple[Stale, ...]:
    """Compare the locks of registered environments with the archives that their packages are from, by name.

    An archive that does not answer is no drift: it is said.
    """
    based = {name: seen for name, seen in observed.environments.items() if isinstance(seen, Present)}
    wanted = {name: seen for name, seen in based.items() if seen.record.facts.base and not seen.record.facts.archived}
    if not wanted:
        return ()
    return tuple(_compared(workspace, wanted, workspace.tools.systems))


def _compared(workspace: Workspace, wanted: Mapping[str, Present], systems: Systems) -> Iterator[Stale]:
    for name, seen in sorted(wanted.items()):
        if not systems.handles(seen.record.facts.base or ""):
            continue
        try:
            packages = _newer(_lock(workspace, name, seen), systems)
        except ReconcilerError as error:
            yield Stale(name=name, reason=error.message)
        else:
            yield from [Stale(name=name, packages=packages)] if packages else []


def _newer(lock: Lock, systems: Systems) -> tuple[str, ...]:
    found = {
        package
        for platform, part in lock.platforms.items()
        if part.system is not None
        for package in systems.newer(part.system, platform)
    }
    return tuple(sorted(found))


def _lock(workspace: Workspace, name: str, seen: Present) -> Lock:
    return seen.bodies.lock if seen.bodies is not None else read_bodies(workspace.registry, name, seen.record).lock
