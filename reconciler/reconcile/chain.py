"""Steps that depend on one another: who follows whom in a run, and who can't."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import BuildError
from reconciler.plan.change import Action, Plan, Step
from reconciler.plan.footing import FIELD
from reconciler.plan.observed import Observation
from reconciler.plan.state import State
from reconciler.ports import Registry
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reconcile.survey import witness_of


def followers(plan: Plan) -> list[Step]:
    """Find what is unchanged and builds on what is not: how that one ends is known only then."""
    moving = {step.name for step in plan.changes}
    still = [step for step in plan.steps if step.action is Action.UNCHANGED and step.desired is not None]
    return [step for step in still if step.desired and any(one.name in moving for one in step.desired.chain)]


def held_up(step: Step, done: Mapping[str, Outcome]) -> Outcome | None:
    """Say that a step has to wait, where what it builds on was not done; none where it can be done."""
    below = step.desired.below if step.desired is not None else None
    before = done.get(below.name) if below is not None else None
    if below is None or before is None or before.status not in (Status.FAILED, Status.BLOCKED):
        return None
    if step.action is Action.UNCHANGED:
        return Outcome(name=step.name, action=step.action, status=Status.UNCHANGED, digest=step.observed)
    assert step.desired is not None  # noqa: S101  # what is below is declared in it
    kind = type(before.error) if before.error is not None else BuildError
    error = kind(
        f"not built: {below.name}, which it builds on, {before.status.value.replace('blocked', 'is blocked')}",
        where=step.desired.manifest.locate(FIELD),
        hint="the next apply builds it as soon as that one is there",
    )
    return Outcome(name=step.name, action=step.action, status=Status.BLOCKED, error=error)


def observe_below(registry: Registry, step: Step, state: State) -> dict[str, Observation]:
    """Look at what a step builds on, as it is now."""
    chain = step.desired.chain if step.desired is not None else ()
    return {
        one.name: observe(registry, one.name, depth=Depth.RECORD, witness=witness_of(state, one.name)) for one in chain
    }
