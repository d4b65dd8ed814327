"""The command that brings what is registered elsewhere: ``copy``."""

from __future__ import annotations

import sys

import click

from reconciler.cli import options
from reconciler.cli.wiring import open_workspace
from reconciler.errors import InterruptedByUserError, UsageError
from reconciler.oci.conversion import Family
from reconciler.reconcile.copying import Copied, Copying, copy
from reconciler.reports.copy import copy_json, copy_text
from reconciler.reports.json import to_text
from reconciler.reports.progress import reporter


@click.command(
    epilog="\b\nExample:\n  reconciler copy training --to ../shared\n"
    "  reconciler copy training:3 --to registry.example.org/team --media-types docker\n"
)
@click.argument("reference", metavar="NAME[:VERSION]")
@click.option("--to", metavar="ADDRESS", required=True, help="The registry to copy to, as --registry names one.")
@options.directory
@options.registry
@click.option(
    "--media-types",
    type=click.Choice([family.value for family in Family]),
    help="Rewrite manifests with these media types; digests change, facts stay (default: byte for byte).",
)
@click.option("--adopt", is_flag=True, help="Copy over what another manager registered under that name.")
@options.output("text", "json")
def copy_command(  # noqa: PLR0913, PLR0917  # one argument an option
    reference: str,
    to: str,
    directory: str | None,
    registry: str | None,
    media_types: str | None,
    form: str,
    *,
    adopt: bool,
) -> int:
    """Copy one registered version to another registry, without building anything.

    NAME copies the current version and makes it the current one there, unless a newer one is; NAME:VERSION copies that
    version and leaves what is current alone. What is there already is not copied again.
    """
    wanted = options.reference(reference)
    if not to:
        raise UsageError("--to names no registry", hint="name a folder, or HOST/PREFIX")
    source = open_workspace(directory=directory, registry=registry)
    target = open_workspace(directory=directory, registry=to)
    if target.address.rstrip("/") == source.address.rstrip("/"):
        raise UsageError(f"--to {to} is the registry that it is copied from", hint="name another one")
    try:
        with reporter(sys.stderr, options.style(sys.stderr), live=options.terminal(sys.stderr)) as display:
            copied = copy(
                Copying(
                    source=source.registry,
                    target=target.registry,
                    reference=wanted,
                    family=Family(media_types) if media_types else None,
                    adopt=adopt,
                    executor=source.transfers,
                    reporter=display,
                )
            )
    except KeyboardInterrupt:
        hint = "what was copied is kept; the same command does the rest"
        raise InterruptedByUserError("interrupted", hint=hint) from None
    _show(copied, form)
    return 0


def _show(copied: Copied, form: str) -> None:
    if form == "json":
        click.echo(to_text(copy_json(copied)), nl=False)
    else:
        click.echo(copy_text(copied, options.style()), nl=False)
