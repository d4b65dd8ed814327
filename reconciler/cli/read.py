"""Commands that read the registry: ``list``, ``get``, ``history``."""

from __future__ import annotations

import click

from reconciler.cli import options
from reconciler.cli.wiring import open_workspace
from reconciler.reconcile.inspect import get, list_environments, read_history
from reconciler.reports.listing import (
    entries_json,
    entries_text,
    entry_json,
    entry_text,
    formatted,
    versions_json,
    versions_text,
)
from reconciler.values.names import Reference


@click.command(epilog="\b\nExample:\n  reconciler list\n  reconciler list --archived -o json\n")
@options.directory
@options.registry
@options.output("text", "json")
@click.option("--archived", is_flag=True, help="List archived environments too.")
def list_command(directory: str | None, registry: str | None, form: str, *, archived: bool) -> int:
    """List registered environments."""
    workspace = open_workspace(directory=directory, registry=registry)
    entries = list_environments(workspace.registry, workspace.executor, archived=archived)
    render = entries_json if form == "json" else entries_text
    click.echo(render(entries), nl=False)
    return 0


@click.command(
    epilog="\b\nExample:\n  reconciler get training\n  reconciler get training:3 --format '{digest}'\n",
)
@click.argument("reference", metavar="NAME[:VERSION]")
@options.directory
@options.registry
@options.output("text", "json")
@click.option(
    "--format",
    "template",
    metavar="TEMPLATE",
    help="Print fields: {name} {version} {digest} {reference} {request} {lock}.",
)
def get_command(reference: str, directory: str | None, registry: str | None, form: str, template: str | None) -> int:
    """Show one registered environment. `NAME` and `NAME@latest` mean the current version."""
    wanted = options.reference(reference)
    workspace = open_workspace(directory=directory, registry=registry)
    entry = get(workspace.registry, wanted)
    if template is not None:
        click.echo(formatted(entry, template))
    else:
        click.echo(entry_json(entry) if form == "json" else entry_text(entry), nl=False)
    return 0


@click.command(epilog="\b\nExample:\n  reconciler history training\n")
@click.argument("name")
@options.directory
@options.registry
@options.output("text", "json")
def history_command(name: str, directory: str | None, registry: str | None, form: str) -> int:
    """List the versions of an environment, newest first."""
    wanted: Reference = options.reference(name)
    workspace = open_workspace(directory=directory, registry=registry)
    versions = read_history(workspace.registry, wanted.name)
    click.echo(versions_json(versions) if form == "json" else versions_text(versions), nl=False)
    return 0
