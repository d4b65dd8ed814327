"""Commands that compare and change: ``plan``, ``apply``, ``drift``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli import options
from reconciler.cli.exit import CHANGES, DRIFT
from reconciler.cli.planning import Derived, Wishes, compare, derive
from reconciler.cli.selection import select
from reconciler.cli.wiring import Workspace, open_workspace
from reconciler.errors import GuardError, ReconcilerError, SourceError, UnavailableError, UsageError
from reconciler.plan.change import Plan
from reconciler.plan.document import MAX_BYTES, SavedPlan, narrow, parse_document, to_document

_NAMES = click.argument("names", nargs=-1)
_REFRESH = click.option(
    "--refresh", multiple=True, metavar="NAME", help="Resolve this environment's packages anew; may be repeated."
)
_LOCKED = click.option("--locked", is_flag=True, help="Refuse an environment whose committed lock is missing or stale.")
_MAX_DELETES = click.option(
    "--max-deletes", type=click.IntRange(0), metavar="N", help="Refuse to remove more than N environments (default: 5)."
)
_REPAIR = click.option(
    "--repair",
    is_flag=True,
    help="Look at the content of unchanged environments too, as drift does, and mend it; a folder's always is.",
)
_ADOPT = click.option("--adopt", is_flag=True, help="Take over environments that another manager registered.")


@click.command(epilog="\b\nExample:\n  reconciler plan\n  reconciler plan training --out plan.json\n")
@_NAMES
@options.tag
@options.directory
@options.at
@options.registry
@options.output("text", "json", "markdown")
@click.option("--base", metavar="REV", help="Compare with this commit instead of a registry.")
@click.option("--out", metavar="FILE", help="Save the plan, for `reconciler apply FILE`.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@_REFRESH
@_LOCKED
@_MAX_DELETES
@_REPAIR
@_ADOPT
@options.verbose
def plan_command(  # noqa: PLR0913, PLR0917  # one argument an option
    names: tuple[str, ...],
    tags: tuple[str, ...],
    directory: str | None,
    at: str | None,
    registry: str | None,
    form: str,
    base: str | None,
    out: str | None,
    *,
    detailed_exitcode: bool,
    refresh: tuple[str, ...],
    locked: bool,
    max_deletes: int | None,
    repair: bool,
    adopt: bool,
    verbose: bool,
) -> int:
    """Show what apply would do: each environment, why, and which packages move.

    Nothing is built, solved or written. Without NAMES the whole repository is planned.
    """
    workspace = open_workspace(directory=directory, at=at, registry=registry)
    asked = Wishes(locked=locked, max_deletes=max_deletes, adopt=adopt, repair=repair)
    wishes = _wishes(workspace, names, tags, refresh, asked)
    derived = compare(workspace, base, wishes) if base else derive(workspace, wishes)
    _show(derived.plan, form, verbose=verbose)
    if out is not None:
        _save(Path(out), derived.plan)
    _refuse(derived, allow_dirty=True)
    _refuse_blocked(derived.plan)
    return CHANGES if detailed_exitcode and derived.plan.changes else 0


def _wishes(
    workspace: Workspace, names: Sequence[str], tags: Sequence[str], refresh: Sequence[str], wishes: Wishes
) -> Wishes:
    chosen = select(workspace.desired, names, tags)
    refreshed = select(workspace.desired, refresh, ()) or frozenset()
    return replace(wishes, names=chosen, refresh=refreshed)


def _show(plan: Plan, form: str, *, verbose: bool) -> None:
    if form == "json":
        click.echo(to_document(plan), nl=False)
    elif form == "markdown":
        from reconciler.reports.markdown import plan_markdown  # noqa: PLC0415  # start-up

        click.echo(plan_markdown(plan), nl=False)
    else:
        from reconciler.reports.text import plan_text  # noqa: PLC0415  # start-up

        click.echo(plan_text(plan, options.style(verbose=verbose)), nl=False)


def _save(path: Path, plan: Plan) -> None:
    from reconciler.store.durable import write_file  # noqa: PLC0415  # only `--out` writes

    write_file(path.absolute(), to_document(plan))


def _refuse(derived: Derived, *, allow_dirty: bool) -> None:
    """Refuse what apply would; a plan of files that differ from the commit (``allow_dirty``) is a plan all the same."""
    from reconciler.plan.guard import refuse  # noqa: PLC0415  # start-up

    refuse(derived.plan, derived.policy, remote=derived.remote, allow_dirty=allow_dirty)


def _refuse_blocked(plan: Plan) -> None:
    """Fail where apply would: as the error that blocks, or in general where several kinds of them do."""
    if not plan.blocked:
        return
    from reconciler.plan.guard import listed  # noqa: PLC0415  # only a blocked plan pays
    from reconciler.reconcile.apply import blocked_error  # noqa: PLC0415  # the same

    errors = [blocked_error(step) for step in plan.blocked]
    kind = type(errors[0]) if len({error.exit_code for error in errors}) == 1 else ReconcilerError
    names = listed([step.name for step in plan.blocked])
    raise kind(f"apply can't do {names}", hint="the plan says why")


@click.command(epilog="\b\nExample:\n  reconciler apply\n  reconciler apply training\n  reconciler apply plan.json\n")
@click.argument("names", nargs=-1, metavar="[NAMES... | FILE]")
@options.tag
@options.directory
@options.at
@options.registry
@options.output("text", "json", "markdown")
@_REFRESH
@_LOCKED
@_MAX_DELETES
@_REPAIR
@_ADOPT
@click.option(
    "--allow-dirty", is_flag=True, help="Register in a remote registry although files differ from the commit."
)
@click.option(
    "--take-over", is_flag=True, help="Go on where the registry was written from a commit that ours does not follow."
)
@options.verbose
def apply_command(  # noqa: PLR0913, PLR0917  # one argument an option
    names: tuple[str, ...],
    tags: tuple[str, ...],
    directory: str | None,
    at: str | None,
    registry: str | None,
    form: str,
    *,
    refresh: tuple[str, ...],
    locked: bool,
    max_deletes: int | None,
    repair: bool,
    adopt: bool,
    allow_dirty: bool,
    take_over: bool,
    verbose: bool,
) -> int:
    """Build and register what changed, and nothing else.

    With NAMES only those; with FILE, a plan that `plan --out` saved, only what it says, as long as it still fits.
    One environment that fails does not stop the others.
    """
    from reconciler.cli.applying import announce, run_apply, superseded  # noqa: PLC0415  # start-up

    workspace = open_workspace(directory=directory, at=at, registry=registry)
    saved = _saved_plan(workspace, names)
    wishes = _wishes(
        workspace,
        () if saved else names,
        tags,
        refresh,
        Wishes(locked=locked, max_deletes=max_deletes, adopt=adopt, repair=repair, take_over=take_over),
    )
    derived = derive(workspace, wishes, closely=True)
    plan = narrow(derived.plan, saved) if saved else derived.plan
    late = superseded(workspace, plan, derived.policy)
    if late is not None and form != "json":
        click.echo(late)
        return GuardError.exit_code if wishes.names is not None else 0
    if form == "text":
        announce(plan, verbose=verbose)
    if late is None:
        _refuse(derived, allow_dirty=allow_dirty)
    whole = wishes.names is None and plan.changes == derived.plan.changes
    return run_apply(workspace, plan, derived.policy, form=form, saved=saved is not None, whole=whole, verbose=verbose)


def _saved_plan(workspace: Workspace, names: Sequence[str]) -> SavedPlan | None:
    """Tell a saved plan from a name: one argument that is no declared environment and is a file."""
    if len(names) != 1 or names[0] in {item.name for item in workspace.desired}:
        return None
    path = Path(names[0])
    if not path.is_file():
        if "/" in names[0] or path.suffix == ".json":
            raise SourceError(f"no plan file {names[0]}", hint=f"`reconciler plan --out {names[0]}` makes one")
        return None
    if path.stat().st_size > MAX_BYTES:
        raise UsageError(f"{names[0]} is too large for a plan", hint=f"a plan has at most {MAX_BYTES >> 20} MiB")
    return parse_document(path.read_bytes())


@click.command(epilog="\b\nExample:\n  reconciler drift\n  reconciler drift --deep -o markdown\n")
@_NAMES
@options.directory
@options.registry
@options.output("text", "json", "markdown")
@click.option("--deep", is_flag=True, help="Read every blob, not manifests alone.")
def drift_command(names: tuple[str, ...], directory: str | None, registry: str | None, form: str, *, deep: bool) -> int:
    """Check that the registry is what was last applied; exit with 3 where it is not. Never writes.

    What git is ahead of is pending, not drift.
    """
    from reconciler.cli.planning import look_for_drift  # noqa: PLC0415  # start-up
    from reconciler.reports.drift import drift_json, drift_markdown, drift_text  # noqa: PLC0415  # the same
    from reconciler.reports.json import to_text  # noqa: PLC0415  # the same

    report = look_for_drift(open_workspace(directory=directory, registry=registry), names, deep=deep)
    if form == "json":
        click.echo(to_text(drift_json(report)), nl=False)
    else:
        click.echo(drift_markdown(report) if form == "markdown" else drift_text(report, options.style()), nl=False)
    if report.drifted:
        return DRIFT
    if report.unreadable:
        sys.stdout.flush()
        raise UnavailableError(f"{len(report.unreadable)} environment(s) could not be checked")
    return 0
