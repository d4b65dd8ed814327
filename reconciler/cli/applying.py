"""The work of ``apply``: do it, show it, say what became of each environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from reconciler.cli import options
from reconciler.cli.wiring import Workspace
from reconciler.errors import InterruptedByUserError
from reconciler.plan.change import Plan, Policy
from reconciler.reconcile.apply import apply
from reconciler.reconcile.outcome import Outcome, exit_code
from reconciler.reports.inert import inert
from reconciler.reports.json import to_text
from reconciler.reports.outcome import outcome_json, outcome_markdown, outcome_text
from reconciler.reports.progress import reporter
from reconciler.reports.text import plan_text


def run_apply(  # noqa: PLR0913  # one argument an option
    workspace: Workspace, plan: Plan, policy: Policy, *, form: str, saved: bool, verbose: bool = False
) -> int:
    """Apply the plan; give the exit code."""
    reasons = form != "text"  # the text that follows gives them, with what to do
    live = options.terminal(sys.stderr)
    try:
        with reporter(sys.stderr, options.style(sys.stderr), live=live, reasons=reasons) as display:
            outcomes = apply(plan, policy, workspace.means(display), saved=saved)
    except KeyboardInterrupt:
        hint = "what was done is registered; the next apply does the rest"
        raise InterruptedByUserError("interrupted", hint=hint) from None
    _report(outcomes, form, verbose=verbose)
    return exit_code(outcomes)


def announce(plan: Plan, *, verbose: bool) -> None:
    """Show the plan before it is applied; where it changes nothing, only what is worth noting."""
    if plan.changes:
        click.echo(plan_text(plan, options.style(verbose=verbose), command="apply"))
    else:
        click.echo("".join(f"note: {inert(note)}\n" for note in plan.notes), nl=False)


def _report(outcomes: Sequence[Outcome], form: str, *, verbose: bool) -> None:
    if form == "json":
        click.echo(to_text(outcome_json(outcomes)), nl=False)
    elif form == "markdown":
        click.echo(outcome_markdown(outcomes), nl=False)
    else:
        click.echo(outcome_text(outcomes, options.style(verbose=verbose)), nl=False)
