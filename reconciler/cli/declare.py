"""Commands on what the repository declares: ``validate``, ``lock``, ``explain``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.exit import complain
from reconciler.cli.selection import close, require, select
from reconciler.cli.wiring import Workspace, open_workspace
from reconciler.errors import ManifestError, NotFoundError, ReconcilerError, UsageError
from reconciler.manifest.problem import Problem
from reconciler.reconcile.declaration import Declared
from reconciler.reports.style import Style
from reconciler.values.names import Reference


@click.command(
    epilog="\b\nExample:\n  reconciler validate\n  reconciler validate environments/training.yaml -o github\n"
)
@click.argument("files", nargs=-1)
@options.directory
@options.at
@options.output("text", "json", "github")
def validate_command(files: tuple[str, ...], directory: str | None, at: str | None, form: str) -> int:
    """Check manifests, and report every problem of every file at once.

    FILES are manifests, relative to the current folder; without any, all of the repository are checked.
    """
    from reconciler.reports import json, problems  # noqa: PLC0415  # start-up
    from reconciler.reports.problems import count_text  # noqa: PLC0415  # the same

    declared = _declared(open_workspace(directory=directory, at=at), files)
    if form == "json":
        click.echo(json.to_text(problems.to_json(declared.problems)), nl=False)
    else:
        for line in (problems.to_text if form == "text" else problems.to_annotations)(declared.problems):
            click.echo(line)
    if declared.errors:
        if form == "text":
            complain(count_text(declared.errors))
        return ManifestError.exit_code
    if form == "text":
        valid = "1 manifest is valid" if declared.files == 1 else f"{declared.files} manifests are valid"
        click.echo(valid)
    return 0


def _declared(workspace: Workspace, files: tuple[str, ...]) -> Declared:
    try:
        config = workspace.config
    except ManifestError as error:  # without it no manifest can be judged
        found = tuple(problem for problem in error.problems if isinstance(problem, Problem))
        return Declared(desired=(), problems=found, files=0)
    if not files:
        return workspace.declared
    paths = tuple(dict.fromkeys(_inside(workspace, file) for file in files))
    return workspace.declared_by(workspace.source, config, paths)


def _inside(workspace: Workspace, file: str) -> str:
    path = Path(os.path.normpath(Path(file).absolute()))
    if not path.is_relative_to(workspace.root):
        raise UsageError(f"{file} is outside of the repository", hint=f"name files below {workspace.root}")
    return path.relative_to(workspace.root).as_posix()


@click.command(epilog="\b\nExample:\n  reconciler lock\n  reconciler lock training --upgrade-package numpy\n")
@click.argument("names", nargs=-1)
@options.tag
@options.directory
@options.registry
@click.option("--upgrade", is_flag=True, help="Let everything move: packages, and the base below them.")
@click.option("--upgrade-base", is_flag=True, help="Let the base move: its image, or its Debian packages and Python.")
@click.option(
    "-P",
    "--upgrade-package",
    "upgraded",
    multiple=True,
    metavar="NAME",
    help="Let this package move, be it one of Python or of Debian; cpython is a standalone Python.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a lock is missing or out of date.")
def lock_command(  # noqa: PLR0913  # one argument an option
    names: tuple[str, ...],
    tags: tuple[str, ...],
    directory: str | None,
    registry: str | None,
    *,
    upgrade: bool,
    upgrade_base: bool,
    upgraded: tuple[str, ...],
    check: bool,
) -> int:
    """Resolve packages, and write NAME.lock.json beside each manifest.

    Only what must move moves: the lock that is there, or that of the registered record, is kept where it can be.
    Without NAMES all environments are locked.
    """
    from reconciler.cli import locking  # noqa: PLC0415  # start-up

    workspace = open_workspace(directory=directory, registry=registry)
    chosen = select(workspace.desired, names, tags)
    desired = [item for item in workspace.desired if chosen is None or item.name in chosen]
    if check:
        return locking.check(desired)
    if upgrade and upgraded:
        raise UsageError("--upgrade moves every package already", hint="leave --upgrade-package away")
    if upgrade and upgrade_base:
        raise UsageError("--upgrade moves the base already", hint="leave --upgrade-base away")
    moving = locking.Moving(packages=None if upgrade else frozenset(upgraded), base=upgrade or upgrade_base)
    return locking.lock(workspace, desired, moving)


@click.command(epilog="\b\nExample:\n  reconciler explain training\n  reconciler explain training:3 -o json\n")
@click.argument("reference", metavar="NAME[:VERSION]")
@options.directory
@options.at
@options.registry
@options.output("text", "json")
@options.verbose
def explain_command(  # noqa: PLR0913  # one argument an option
    reference: str, directory: str | None, at: str | None, registry: str | None, form: str, *, verbose: bool
) -> int:
    """Show what an environment's identity is made of, and why it would or would not be built again.

    What is declared is compared with what is registered. A version, or what is not declared here, is explained from
    its record in the registry.
    """
    wanted = options.reference(reference)
    workspace = open_workspace(directory=directory, at=at, registry=registry)
    style = options.style(verbose=verbose)
    if ":" not in reference and _is_declared(workspace, wanted.name):
        click.echo(_explain_declared(workspace, wanted.name, form, style), nl=False)
    else:
        click.echo(_explain_registered(workspace, wanted, form, style), nl=False)
    return 0


def _is_declared(workspace: Workspace, name: str) -> bool:
    return workspace.inside and any(item.name == name for item in workspace.desired)


def _explain_declared(workspace: Workspace, name: str, form: str, style: Style) -> str:
    from reconciler.cli.planning import Wishes, derive  # noqa: PLC0415  # start-up
    from reconciler.plan.explanation import explanation  # noqa: PLC0415  # the same
    from reconciler.reports.explain import explain_json, explain_text  # noqa: PLC0415  # the same
    from reconciler.reports.json import to_text  # noqa: PLC0415  # the same

    desired = require(workspace.desired, name)
    derived = derive(workspace, Wishes(names=frozenset({name, *(one.name for one in desired.chain)})))
    step = next((step for step in derived.plan.steps if step.name == name), None)
    if step is None:
        raise ReconcilerError(f"no step was planned for {name}")
    found = explanation(desired, derived.observed.environments[name], step)
    return explain_text(found, style) if form == "text" else to_text(explain_json(found))


def _explain_registered(workspace: Workspace, reference: Reference, form: str, style: Style) -> str:
    from reconciler.reconcile.inspect import get  # noqa: PLC0415  # start-up
    from reconciler.reconcile.observe import with_bodies  # noqa: PLC0415  # the same
    from reconciler.reports.json import to_text  # noqa: PLC0415  # the same
    from reconciler.reports.registered import registered_json, registered_text  # noqa: PLC0415  # the same

    try:
        found = with_bodies(workspace.quick, reference.name, get(workspace.quick, reference))
    except NotFoundError as error:
        if not workspace.inside or reference.version is not None:
            raise
        known = close(reference.name, [item.name for item in workspace.desired])
        message = f"no environment `{reference.name}` is declared or registered{known}"
        raise UsageError(message, hint=None if known else error.hint) from error
    address = workspace.quick.address
    return registered_text(found, address, style) if form == "text" else to_text(registered_json(found, address))
