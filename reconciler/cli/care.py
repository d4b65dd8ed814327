"""Commands that look after a registry: ``doctor``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from reconciler.cli import options
from reconciler.cli.wiring import Workspace, open_workspace
from reconciler.errors import ReconcilerError
from reconciler.plan.diagnosis import Mark
from reconciler.reconcile.checkup import Means, check_up
from reconciler.reports.doctor import doctor_json, doctor_text
from reconciler.reports.json import to_text
from reconciler.reports.progress import Live, Silent

if TYPE_CHECKING:
    from reconciler.ports import Inspected


@click.command(epilog="\b\nExample:\n  reconciler doctor\n  reconciler doctor training -o json\n")
@click.argument("names", nargs=-1, metavar="[NAMES]...")
@options.directory
@options.registry
@options.output("text", "json")
def doctor_command(names: tuple[str, ...], directory: str | None, registry: str | None, form: str) -> int:
    """Check a registry: does it answer, may we push, what can it do, what in it is damaged.

    Every byte is read; with NAMES only of those environments. Says what to do about each problem, and never writes.
    """
    workspace = open_workspace(directory=directory, registry=registry)
    with _display() as reporter:
        means = Means(
            registry=workspace.registry,
            executor=workspace.observer,
            reporter=reporter,
            clock=time.monotonic,
            ours=_manager(workspace),
            inspected=_inspected(workspace),
        )
        diagnosis = check_up(means, names)
    if form == "json":
        click.echo(to_text(doctor_json(diagnosis)), nl=False)
    else:
        click.echo(doctor_text(diagnosis, options.style()), nl=False)
    if diagnosis.ended_by is not None:
        return diagnosis.ended_by.exit_code
    return 1 if diagnosis.count(Mark.PROBLEM) else 0


def _display() -> Live | Silent:
    """Show what is being read on a terminal; a log has the findings alone."""
    return Live(sys.stderr, options.style(sys.stderr)) if options.terminal(sys.stderr) else Silent()


def _manager(workspace: Workspace) -> str | None:
    """Say who registers from here, where anything says so: a registry can be looked at from anywhere."""
    try:
        return workspace.manager
    except ReconcilerError:
        return None


def _inspected(workspace: Workspace) -> Inspected | None:
    """Give the registry's storage where it is a folder."""
    from reconciler.registries.layout import LayoutRegistry  # noqa: PLC0415  # a registry over HTTP needs none

    registry = workspace.registry
    return registry.inspection() if isinstance(registry, LayoutRegistry) else None
