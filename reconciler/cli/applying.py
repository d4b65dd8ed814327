"""The work of ``apply``: do it, show it, say what became of each environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from reconciler.cli import options
from reconciler.cli.wiring import Workspace
from reconciler.plan.change import Plan, Policy
from reconciler.reconcile.apply import apply
from reconciler.reconcile.outcome import Outcome, exit_code
from reconciler.reports.json import to_text
from reconciler.reports.outcome import outcome_json, outcome_markdown, outcome_text
from reconciler.reports.progress import reporter


def run_apply(workspace: Workspace, plan: Plan, policy: Policy, *, form: str, saved: bool) -> int:
    """Apply the plan; give the exit code."""
    live = sys.stderr.isatty() and options.colour(sys.stderr)
    with reporter(sys.stderr, options.style(sys.stderr), live=live) as display:
        outcomes = apply(plan, policy, workspace.means(display), saved=saved)
    _report(outcomes, form)
    return exit_code(outcomes)


def _report(outcomes: Sequence[Outcome], form: str) -> None:
    if form == "json":
        click.echo(to_text(outcome_json(outcomes)), nl=False)
    elif form == "markdown":
        click.echo(outcome_markdown(outcomes), nl=False)
    else:
        click.echo(outcome_text(outcomes, options.style()), nl=False)
