"""The work of ``apply``: do it, show it, say what became of each environment."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from reconciler.cli import options
from reconciler.cli.wiring import Workspace
from reconciler.errors import InterruptedByUserError
from reconciler.plan.ancestry import Verdict
from reconciler.plan.change import Plan, Policy
from reconciler.reconcile.apply import apply
from reconciler.reconcile.lineage import Lineage
from reconciler.reconcile.outcome import Outcome, exit_code
from reconciler.reconcile.watch import Watch
from reconciler.reports.inert import inert
from reconciler.reports.json import to_text
from reconciler.reports.outcome import outcome_json, outcome_markdown, outcome_text
from reconciler.reports.progress import reporter
from reconciler.reports.text import plan_text


def run_apply(  # noqa: PLR0913  # one argument an option
    workspace: Workspace, plan: Plan, policy: Policy, *, form: str, saved: bool, whole: bool, verbose: bool = False
) -> int:
    """Apply the plan; give the exit code. ``whole`` says that the plan is all that the commit asks for."""
    reasons = form != "text"  # the text that follows gives them, with what to do
    live = options.terminal(sys.stderr)
    try:
        with reporter(sys.stderr, options.style(sys.stderr), live=live, reasons=reasons) as display:
            means = workspace.means(display)
            outcomes = apply(plan, policy, means, saved=saved, history=workspace.history, whole=whole)
    except KeyboardInterrupt:
        hint = "what was done is registered; the next apply does the rest"
        raise InterruptedByUserError("interrupted", hint=hint) from None
    _report(outcomes, form, verbose=verbose)
    return exit_code(outcomes, named=policy.names is not None)


def superseded(workspace: Workspace, plan: Plan, policy: Policy) -> str | None:
    """Say in one line that a newer commit was applied to this remote registry; none where ours may go on.

    A GuardError where the commits do not go together.
    """
    if not workspace.registry.remote:
        return None
    lineage = Lineage(workspace.history, plan.revision.commit, take_over=policy.take_over)
    judgement = Watch(workspace.registry, policy.manager, lineage).look()
    return judgement.superseded(plan.registry) if judgement.verdict is Verdict.SUPERSEDED else None


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
