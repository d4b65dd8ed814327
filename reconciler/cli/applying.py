"""The work of ``apply``: do it, show it, say what became of each environment."""

from __future__ import annotations

from collections.abc import Sequence

import click

from reconciler.cli.exit import say
from reconciler.cli.wiring import Workspace
from reconciler.plan.change import Plan, Policy
from reconciler.reconcile.apply import apply
from reconciler.reconcile.outcome import Outcome, Status, exit_code
from reconciler.reports.outcomes import outcomes_json, outcomes_markdown, outcomes_summary
from reconciler.reports.progress import open_progress


def run_apply(workspace: Workspace, plan: Plan, policy: Policy, *, form: str, saved: bool) -> int:
    """Apply the plan; give the exit code."""
    if not plan.changes and not plan.blocked:
        _report((), form, plan)
        return 0
    with open_progress(len(plan.changes)) as reporter:
        outcomes = apply(plan, policy, workspace.means(reporter), saved=saved)
    for outcome in outcomes:
        if outcome.error is not None and outcome.status in {Status.FAILED, Status.BLOCKED}:
            say(outcome.error)
    _report(outcomes, form, plan)
    return exit_code(outcomes)


def _report(outcomes: Sequence[Outcome], form: str, plan: Plan) -> None:
    if form == "json":
        click.echo(outcomes_json(outcomes, plan.registry), nl=False)
    elif form == "markdown":
        click.echo(outcomes_markdown(outcomes, plan.registry), nl=False)
    elif outcomes:
        for outcome in outcomes:
            for note in outcome.notes:
                click.echo(f"note: {outcome.name}: {note}")
        click.echo(outcomes_summary(outcomes))
