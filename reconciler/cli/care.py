"""Commands that look after a registry and the caches: ``doctor``, ``gc``."""

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


@click.command(
    epilog="\b\nExample:\n  reconciler gc\n  reconciler gc --delete\n"
    "  reconciler gc --delete --keep-size 5GB --older-than 7\n"
)
@options.directory
@options.registry
@options.output("text", "json")
@click.option("--delete", is_flag=True, help="Delete what is listed (default: only list it).")
@click.option(
    "--keep-size",
    metavar="SIZE",
    default="20GB",
    show_default=True,
    help="Hold the caches under this, such as 500MB: what was used longest ago goes first.",
)
@click.option(
    "--older-than",
    metavar="DAYS",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Of what no current record would use, what was not used for so long goes.",
)
@options.verbose
def gc_command(  # noqa: PLR0913  # one argument an option
    directory: str | None,
    registry: str | None,
    form: str,
    keep_size: str,
    older_than: float,
    *,
    delete: bool,
    verbose: bool,
) -> int:
    """List what may be deleted from the caches and the local registry; with --delete, delete it.

    Never goes: what any tag of the registry reaches, the environments on this machine that current records need or
    something runs in, and what was written or used within the last hour. Wheels, layers, interpreters and derived
    values are caches: without them the next build takes longer, nothing else. Those that it would use go last.
    """
    from reconciler.cli.collecting import collect_garbage  # noqa: PLC0415  # start-up
    from reconciler.reports.garbage import collection_json, collection_text  # noqa: PLC0415  # the same

    workspace = open_workspace(directory=directory, registry=registry)
    found = collect_garbage(workspace, keep_size=keep_size, older_than=older_than, delete=delete)
    if form == "json":
        click.echo(to_text(collection_json(found, workspace.folder)), nl=False)
    else:
        click.echo(collection_text(found, workspace.folder, options.style(verbose=verbose)), nl=False)
    return 1 if found.failures else 0
