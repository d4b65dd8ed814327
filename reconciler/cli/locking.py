"""The work of ``lock``: solve side by side, write what changed, say what moved."""

from __future__ import annotations

from collections.abc import Sequence

import click

from reconciler.cli.exit import say
from reconciler.cli.planning import Quiet
from reconciler.cli.wiring import Workspace
from reconciler.errors import ReconcilerError, RegistryError
from reconciler.lock.difference import differences
from reconciler.lock.document import to_document
from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.observed import Present
from reconciler.ports import Resolution, Resolved
from reconciler.reconcile.declaration import lock_path
from reconciler.reconcile.means import Means
from reconciler.reconcile.observe import Depth, observe, read_bodies
from reconciler.reports.wording import counted, packages_summary
from reconciler.store.durable import write_file

SOME_FAILED = 4


def check(desired: Sequence[Desired]) -> int:
    """Say which locks are missing or out of date; nothing is solved for that."""
    stale = [item for item in desired if item.refusal is None and item.current_lock is None]
    for item in stale:
        state = "no lock" if item.lock is None else "the lock is out of date"
        path = lock_path(item.manifest.path, item.name)
        click.echo(f"{item.manifest.path}: {state} (run `reconciler lock {item.name}` to write {path})")
    if not stale:
        click.echo(f"{counted(len(desired), 'lock')} up to date")
    return 1 if stale else 0


def lock(workspace: Workspace, desired: Sequence[Desired], upgrade: frozenset[str] | None) -> int:
    """Solve and write; one that fails never stops the others. Gives the exit code."""
    means = workspace.means(Quiet())
    failures: list[ReconcilerError] = []

    def work(item: Desired) -> Resolved | ReconcilerError:
        try:
            return _resolve(means, item, upgrade)
        except ReconcilerError as error:
            return error

    for item, result in workspace.executor.map(work, desired):
        if isinstance(result, ReconcilerError):
            failures.append(result)
            say(result)
        else:
            _write(workspace, item, result)
    if not failures:
        return 0
    if len(failures) < len(desired):
        return SOME_FAILED
    codes = {failure.exit_code for failure in failures}
    return codes.pop() if len(codes) == 1 else ReconcilerError.exit_code


def _resolve(means: Means, desired: Desired, upgrade: frozenset[str] | None) -> Resolved:
    if desired.refusal is not None:
        raise ReconcilerError(desired.refusal, where=desired.manifest.locate(desired.refusal_field or "name"))
    preference = desired.lock or _registered(means, desired.name)
    resolution = Resolution(desired=desired, preference=preference, upgrade=upgrade)
    return means.resolvers[desired.builder].resolve(resolution)


def _registered(means: Means, name: str) -> Lock | None:
    observation = observe(means.registry, name, depth=Depth.RECORD)
    if not isinstance(observation, Present):
        return None
    try:
        return read_bodies(means.registry, name, observation.record).lock
    except RegistryError:
        return None  # a lock that can't be read prefers nothing


def _write(workspace: Workspace, desired: Desired, resolved: Resolved) -> None:
    path = lock_path(desired.manifest.path, desired.name)
    document = to_document(resolved.lock)
    target = workspace.root / path
    same = target.is_file() and target.read_bytes() == document
    if not same:
        write_file(target, document)
    moved = differences(desired.lock, resolved.lock)
    what = packages_summary(moved) if moved else "no package moves"
    click.echo(f"{path}: {'unchanged' if same else what}")
    for note in resolved.notes:
        click.echo(f"  note: {note}")
