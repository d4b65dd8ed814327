"""Refusals: what a plan must not do, whoever asks. Pure; each raises a GuardError before anything is written."""

from __future__ import annotations

from reconciler.errors import GuardError
from reconciler.plan.change import Plan, Policy, Step

_NAMED = 5


def refuse(plan: Plan, policy: Policy, *, remote: bool = False, allow_dirty: bool = False) -> None:
    """Raise the first GuardError that applies, or give nothing.

    ``remote`` says that the registry is not this machine's own; ``allow_dirty`` that files may differ from the commit.
    """
    _refuse_dirty(plan, remote=remote, allow_dirty=allow_dirty)
    _refuse_unlocked(plan, policy)
    _refuse_emptied(plan)
    _refuse_deletions(plan, policy)


def _refuse_dirty(plan: Plan, *, remote: bool, allow_dirty: bool) -> None:
    if remote and plan.revision.dirty and not allow_dirty and plan.changes:
        raise GuardError(
            f"files differ from the commit, and {plan.registry} is a shared registry",
            hint="commit them, or pass --allow-dirty: the record will say so",
        )


def _refuse_unlocked(plan: Plan, policy: Policy) -> None:
    unlocked = [step for step in plan.steps if policy.locked and is_unlocked(step)]
    if unlocked:
        names = [step.name for step in unlocked]
        raise GuardError(
            f"--locked: no lock that is up to date for {listed(names)}",
            where=unlocked[0].location,
            hint=f"run `reconciler lock {' '.join(names[:_NAMED])}` and commit what it writes",
        )


def _refuse_emptied(plan: Plan) -> None:
    removed = [step for step in plan.steps if step.destructive]
    if removed and plan.declared == 0:
        raise GuardError(
            f"the repository declares nothing, and {plan.registry} holds {len(removed)} of its environments: "
            f"{listed([step.name for step in removed])}",
            hint="check the path and the checkout; to remove them all, keep one manifest until they are archived",
        )


def _refuse_deletions(plan: Plan, policy: Policy) -> None:
    removed = [step.name for step in plan.steps if step.destructive]
    if len(removed) > policy.max_deletes:
        raise GuardError(
            f"{len(removed)} environments would be removed, more than {policy.max_deletes}: {listed(removed)}",
            hint=f"if that is meant, pass --max-deletes {len(removed)}",
        )


def is_unlocked(step: Step) -> bool:
    """Tell whether a declared environment has no committed lock that is up to date."""
    return step.desired is not None and step.desired.current_lock is None


def listed(names: list[str]) -> str:
    """Join names for one line, the first few and how many more."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
