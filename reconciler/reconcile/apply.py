"""Applying a plan: every step on its own, side by side, and one that fails never stops the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.errors import (
    BuildError,
    CorruptError,
    DeniedError,
    GuardError,
    ReconcilerError,
    StalePlanError,
    UnavailableError,
)
from reconciler.plan.change import Action, Plan, Policy, Step
from reconciler.plan.observed import Denied, Observation, Observed, Present, Unknown
from reconciler.plan.order import order
from reconciler.plan.planner import plan as derive
from reconciler.plan.state import State
from reconciler.ports import Progress, Registry, Stage
from reconciler.reconcile import ledger
from reconciler.reconcile.actions import Made, Work, act
from reconciler.reconcile.means import Means
from reconciler.reconcile.observe import Depth, observe, past, with_bodies
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reconcile.survey import witness_of
from reconciler.reconcile.tags import CURRENT
from reconciler.values.commit import Revision
from reconciler.values.digest import Digest

_KEEPING = frozenset({Action.METADATA, Action.ARCHIVE, Action.REUSE})
"""What gives a tag to content that is there already: every byte of that is verified before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    means: Means
    policy: Policy
    revision: Revision
    saved: bool
    state: State


def apply(plan: Plan, policy: Policy, means: Means, *, saved: bool = False) -> tuple[Outcome, ...]:
    """Do every step of the plan; give an outcome for each, sorted by name.

    ``saved`` says that the plan was narrowed to a file: a step that no longer matches is refused, not derived anew.
    """
    changes = plan.changes
    doing = {step.name for step in changes}
    done = {step.name: _standing(step) for step in plan.steps if step.name not in doing}
    commit = str(plan.revision.commit) if plan.revision.commit else None
    state = ledger.begin(means.registry, policy.manager, commit) if changes else State(manager=policy.manager)
    run = _Run(means=means, policy=policy, revision=plan.revision, saved=saved, state=state)
    for level in order(changes):
        for step, outcome in means.executor.map(lambda step: _outcome(run, step), level):
            done[step.name] = outcome
    records = _records(done)
    if records:
        ledger.finish(means.registry, policy.manager, commit, records)
    return tuple(done[name] for name in sorted(done))


def _records(done: Mapping[str, Outcome]) -> dict[str, Digest]:
    return {name: item.digest for name, item in done.items() if item.digest is not None}


def _standing(step: Step) -> Outcome:
    if step.action is not Action.BLOCKED:
        return Outcome(name=step.name, action=step.action, status=Status.UNCHANGED, digest=step.observed)
    return Outcome(name=step.name, action=step.action, status=Status.BLOCKED, error=blocked_error(step))


def blocked_error(step: Step) -> ReconcilerError:
    """Turn what blocks a step into the error that it is: the registry's, a guard's, or that nothing can build it."""
    note = step.note or "this environment is blocked"
    observation = step.observation
    if isinstance(observation, Denied):
        return DeniedError(note)
    if isinstance(observation, Unknown):
        return CorruptError(note) if observation.corrupt else UnavailableError(note)
    if step.desired is not None and step.desired.refusal is not None:
        return BuildError(note, where=step.location)
    return GuardError(note, where=step.location)


def _outcome(run: _Run, step: Step) -> Outcome:
    """Do one step; what it raises on purpose is its outcome."""
    try:
        outcome = _do(run, step)
    except ReconcilerError as error:
        run.means.reporter.report(Progress(name=step.name, stage=Stage.FAILED, detail=str(error)))
        return Outcome(name=step.name, action=step.action, status=Status.FAILED, error=error)
    run.means.reporter.report(Progress(name=step.name, stage=Stage.DONE, detail=_done(outcome)))
    return outcome


def _done(outcome: Outcome) -> str:
    if outcome.status is Status.ADOPTED:
        return "another run had done it"
    return f"{outcome.action.value} v{outcome.version}"


def _do(run: _Run, step: Step) -> Outcome:
    registry = run.means.registry
    with registry.writing(step.name):
        before = registry.resolve(step.name, CURRENT)
        step = _current_step(run, step)
        if step.action is Action.UNCHANGED:
            return Outcome(name=step.name, action=step.action, status=Status.ADOPTED, digest=step.observed)
        work = Work(step=step, before=before, means=run.means, policy=run.policy, revision=run.revision)
        return _applied(step, act(work))


def _applied(step: Step, made: Made) -> Outcome:
    return Outcome(
        name=step.name,
        action=step.action,
        status=Status.APPLIED,
        version=made.published.record.facts.version,
        digest=made.published.digest,
        built=made.built,
        reused=made.reused,
        notes=made.notes,
    )


def _current_step(run: _Run, step: Step) -> Step:
    """Look again, now that other writers are kept out; what changed meanwhile is planned again."""
    registry = run.means.registry
    depth = Depth.BLOBS if step.action in _KEEPING else Depth.MANIFESTS
    observation = observe(registry, step.name, depth=depth, witness=witness_of(run.state, step.name))
    digest = observation.digest if isinstance(observation, Present) else None
    if digest == step.observed and _damage(observation) <= _damage(step.observation):
        return step
    again = _derive(run, step, _closer(registry, step, observation))
    if again.action is Action.BLOCKED:
        raise blocked_error(again)
    if run.saved and again.action is not Action.UNCHANGED:
        raise StalePlanError(
            f"{step.name} was changed by another writer after the plan was made",
            where=step.location,
            hint="run plan again",
        )
    return again


def _damage(observation: Observation | None) -> frozenset[str]:
    if isinstance(observation, (Denied, Unknown)):
        return frozenset({observation.reason, "unread"})
    return frozenset((*observation.missing, *observation.tampered)) if isinstance(observation, Present) else frozenset()


def _closer(registry: Registry, step: Step, observation: Observation) -> Observation:
    if not isinstance(observation, Present) or step.desired is None:
        return observation
    closer = with_bodies(registry, step.name, observation)
    return replace(closer, past=past(registry, step.name, step.desired.request))


def _derive(run: _Run, step: Step, observation: Observation) -> Step:
    desired = [step.desired] if step.desired is not None else []
    observed = Observed(registry=run.means.registry.address, environments={step.name: observation})
    steps = derive(desired, observed, run.policy, run.revision).steps
    return steps[0] if steps else replace(step, action=Action.UNCHANGED)
