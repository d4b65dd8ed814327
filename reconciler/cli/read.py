"""Commands that read the registry: ``list``, ``get``, ``history``."""

from __future__ import annotations

import click

from reconciler.cli import options
from reconciler.cli.exit import complain
from reconciler.cli.wiring import open_workspace
from reconciler.errors import UsageError
from reconciler.reconcile.inspect import get, list_environments, read_history
from reconciler.reports.environments import (
    FIELDS,
    get_formatted,
    get_json,
    get_text,
    history_json,
    history_text,
    list_json,
    list_text,
)
from reconciler.reports.inert import inert
from reconciler.reports.json import to_text


@click.command(epilog="\b\nExample:\n  reconciler list\n  reconciler list --archived -o json\n")
@options.directory
@options.registry
@options.output("text", "json")
@click.option("--archived", is_flag=True, help="List archived environments too.")
def list_command(directory: str | None, registry: str | None, form: str, *, archived: bool) -> int:
    """List registered environments."""
    workspace = open_workspace(directory=directory, registry=registry)
    listed = list_environments(workspace.quick, workspace.observer, archived=archived)
    if form == "json":
        click.echo(to_text(list_json(listed.environments, workspace.quick.address)), nl=False)
    elif listed.environments or not listed.unreadable:
        click.echo(list_text(listed.environments, options.style()), nl=False)
    for note in listed.notes:
        click.echo(f"note: {inert(note)}", err=True)
    for name, reason in listed.unreadable.items():
        complain(f"{name} can't be read: {reason}")
    return 1 if listed.unreadable else 0


@click.command(epilog="\b\nExample:\n  reconciler get training\n  reconciler get training:3 --format '{digest}'\n")
@click.argument("reference", metavar="NAME[:VERSION]")
@options.directory
@options.registry
@options.output("text", "json")
@click.option(
    "--format", "template", metavar="TEMPLATE", help=f"Print fields: {' '.join(f'{{{name}}}' for name in FIELDS)}."
)
def get_command(reference: str, directory: str | None, registry: str | None, form: str, template: str | None) -> int:
    """Show one registered environment. NAME and NAME@latest mean the current version."""
    wanted = options.reference(reference)
    if template is not None and form != "text":
        raise UsageError("--format and --output go two ways", hint="leave one of them away")
    workspace = open_workspace(directory=directory, registry=registry)
    one, address = get(workspace.quick, wanted), workspace.quick.address
    if template is not None:
        click.echo(get_formatted(one, address, template))
    elif form == "json":
        click.echo(to_text(get_json(one, address)), nl=False)
    else:
        click.echo(get_text(one, address, options.style()), nl=False)
    return 0


@click.command(epilog="\b\nExample:\n  reconciler history training\n  reconciler history training -o json\n")
@click.argument("name")
@options.directory
@options.registry
@options.output("text", "json")
def history_command(name: str, directory: str | None, registry: str | None, form: str) -> int:
    """List the versions of an environment, newest first."""
    wanted = options.reference(name)
    if name != wanted.name:
        raise UsageError(f"history takes a name alone, not {name}", hint=f"`reconciler history {wanted.name}`")
    workspace = open_workspace(directory=directory, registry=registry)
    versions = read_history(workspace.quick, wanted.name, workspace.observer)
    if form == "json":
        click.echo(to_text(history_json(versions, workspace.quick.address)), nl=False)
    else:
        click.echo(history_text(versions, options.style()), nl=False)
    return 0
