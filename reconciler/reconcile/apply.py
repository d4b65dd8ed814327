"""Applying a plan: every step on its own, side by side, and one that fails never stops the others.

A local registry keeps other writers out. A remote one can't: there the commits that it holds are compared with ours
before anything is written, again before ``current`` moves and once more after it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.errors import (
    BuildError,
    ConflictError,
    CorruptError,
    DeniedError,
    GuardError,
    ReconcilerError,
    StalePlanError,
    UnavailableError,
)
from reconciler.plan.ancestry import Judgement, Verdict
from reconciler.plan.change import Action, Plan, Policy, Step
from reconciler.plan.observed import Denied, Observation, Observed, Present, Unknown
from reconciler.plan.order import order
from reconciler.plan.planner import plan as derive
from reconciler.plan.state import State
from reconciler.ports import History, Layers, Progress, Registry, Stage
from reconciler.reconcile import ledger
from reconciler.reconcile.actions import Made, Work, act
from reconciler.reconcile.chain import followers, held_up, observe_below
from reconciler.reconcile.layers import layers_of_run
from reconciler.reconcile.lineage import Lineage
from reconciler.reconcile.means import Means
from reconciler.reconcile.observe import Depth, observe, past, with_bodies
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reconcile.precedence import give_way, judge_step, stood_back, taking_over
from reconciler.reconcile.publish import mend_tags
from reconciler.reconcile.survey import witness_of
from reconciler.reconcile.tags import CURRENT
from reconciler.reconcile.watch import Watch
from reconciler.values.commit import Revision
from reconciler.values.digest import Digest

_KEEPING = frozenset({Action.METADATA, Action.ARCHIVE, Action.REUSE})
"""What gives a tag to content that is there already: every byte of that is verified before."""


_TRIES = 3
"""How often a step is derived again after it lost to another writer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """``watch`` is there where others write from elsewhere; ``marks``, where the state gets our commit."""

    means: Means
    policy: Policy
    revision: Revision
    saved: bool
    marks: bool
    watch: Watch | None
    state: State
    layers: Layers

    @property
    def commit(self) -> str | None:
        return str(self.revision.commit) if self.revision.commit else None

    @property
    def lineage(self) -> Lineage | None:
        return self.watch.lineage if self.watch else None


def apply(  # noqa: PLR0913  # one argument a question
    plan: Plan,
    policy: Policy,
    means: Means,
    *,
    saved: bool = False,
    history: History | None = None,
    whole: bool | None = None,
) -> tuple[Outcome, ...]:
    """Do every step of the plan; give an outcome for each, sorted by name.

    ``saved`` says that the plan was narrowed to a file: a step that no longer matches is refused, not derived anew.
    ``history`` tells older commits from newer ones, for a remote registry. ``whole`` says that the plan is all that the
    commit asks for; without it, that is so where no environments were named. A GuardError says that commits do not go
    together: then nothing was written.
    """
    run = _open(plan, policy, means, history, saved=saved, whole=policy.names is None if whole is None else whole)
    if run.watch is not None:
        plan = taking_over(plan, run.watch.lineage) if policy.take_over else plan
        judgement = run.watch.look()
        if judgement.verdict is Verdict.SUPERSEDED:
            return tuple(_left(step, judgement) for step in plan.steps)
    done = {step.name: _standing(step) for step in plan.steps if step not in plan.changes}
    run, entered = _begin(run, plan, done)
    _do_in_order(run, [*plan.changes, *followers(plan), *(_moved(run, plan) if entered else ())], done)
    _do_in_order(run, _overwritten(run, plan, done), done)
    records = _records(done)
    if records:
        ledger.finish(means.registry, policy.manager, _entry(run, records))
    return tuple(done[name] for name in sorted(done))


def _open(  # noqa: PLR0913  # as above
    plan: Plan, policy: Policy, means: Means, history: History | None, *, saved: bool, whole: bool
) -> _Run:
    watch = None
    if means.registry.remote:
        lineage = Lineage(history, plan.revision.commit, take_over=policy.take_over)
        watch = Watch(means.registry, policy.manager, lineage)
    return _Run(
        means=means,
        policy=policy,
        revision=plan.revision,
        saved=saved,
        marks=watch is None or (whole and not plan.revision.dirty),
        watch=watch,
        state=watch.read() if watch is not None else State(manager=policy.manager),
        layers=layers_of_run(means.registry, plan, policy.manager),
    )


def _begin(run: _Run, plan: Plan, done: Mapping[str, Outcome]) -> tuple[_Run, bool]:
    """Record that we began, before anything else is written; tell whether others could see that only now.

    Where nothing is to do that it ended is recorded at once, so that it is one write.
    """
    registry, manager = run.means.registry, run.policy.manager
    if plan.changes and run.marks:
        state = ledger.begin(registry, manager, run.commit, run.lineage)
        return replace(run, state=state), run.watch is not None and state.began != run.commit
    if run.watch is None or not run.marks or not _records(done):
        return run, False
    return run, ledger.finish(registry, manager, _entry(run, _records(done)))


def _entry(run: _Run, records: Mapping[str, Digest]) -> ledger.Entry:
    base = run.state.records if run.watch is not None else None
    return ledger.Entry(commit=run.commit, records=records, marks=run.marks, lineage=run.lineage, base=base)


def _moved(run: _Run, plan: Plan) -> list[Step]:
    """Find what was unchanged when it was planned and is not any more: older runs did not know of us until now."""
    still = [step for step in plan.steps if step.action is Action.UNCHANGED]
    found = run.means.executor.map(lambda step: run.means.registry.resolve(step.name, CURRENT), still)
    return [step for step, digest in found if digest != step.observed]


def _overwritten(run: _Run, plan: Plan, done: Mapping[str, Outcome]) -> list[Step]:
    """Find what another writer registered over ours in the time of one request."""
    if run.watch is None:
        return []
    ours = [step for step in plan.steps if done[step.name].status is Status.APPLIED]
    found = run.means.executor.map(lambda step: run.means.registry.resolve(step.name, CURRENT), ours)
    return [step for step, digest in found if digest != done[step.name].digest]


def _do_in_order(run: _Run, steps: Iterable[Step], done: dict[str, Outcome]) -> None:
    """Do steps side by side, what others build on first; what can't be done for that reason says so in ``done``."""
    for level in order(steps):
        waiting = {step.name: outcome for step in level if (outcome := held_up(step, done)) is not None}
        free = [step for step in level if step.name not in waiting]
        for step, outcome in run.means.executor.map(lambda step: _outcome(run, step), free):
            done[step.name] = outcome
        done |= waiting


def _left(step: Step, judgement: Judgement) -> Outcome:
    """Say what becomes of a step where somebody newer was here: nothing is written, and nothing is called unchanged."""
    return _standing(step) if step.action is Action.BLOCKED else stood_back(step, judgement, step.observed)


def _records(done: Mapping[str, Outcome]) -> dict[str, Digest]:
    return {name: item.digest for name, item in done.items() if item.digest is not None}


def _standing(step: Step) -> Outcome:
    if step.action is not Action.BLOCKED:
        return Outcome(name=step.name, action=step.action, status=Status.UNCHANGED, digest=step.observed)
    return Outcome(name=step.name, action=step.action, status=Status.BLOCKED, error=blocked_error(step))


def blocked_error(step: Step) -> ReconcilerError:
    """Turn what blocks a step into the error that it is: the registry's, a guard's, or that nothing can build it."""
    note = step.note or "this environment is blocked"
    if step.cause is not None:
        return type(blocked_error(step.cause))(note, where=step.location)
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
    if outcome.status is not Status.UNCHANGED:
        run.means.reporter.report(Progress(name=step.name, stage=Stage.DONE, detail=_done(outcome)))
    return outcome


def _done(outcome: Outcome) -> str:
    if outcome.status is Status.ADOPTED:
        return "another run had done it"
    if outcome.status is Status.SUPERSEDED:
        return "a run of a newer commit had been here"
    return f"{outcome.action.value} v{outcome.version}"


def _do(run: _Run, step: Step) -> Outcome:
    """Do one step; where another writer was first, look again what is left to do."""
    with run.means.registry.writing(step.name):
        for _ in range(_TRIES - 1):
            try:
                return _attempt(run, step)
            except ConflictError:
                continue
        return _attempt(run, step)


def _attempt(run: _Run, planned: Step) -> Outcome:
    registry = run.means.registry
    before = _named(registry, planned.name)
    step = _current_step(run, planned)
    if step.action is Action.UNCHANGED:
        status = Status.UNCHANGED if step.observed == planned.observed else Status.ADOPTED
        return Outcome(name=step.name, action=step.action, status=status, digest=step.observed)
    if run.watch is None:
        return _applied(step, act(_work(run, step, before)))
    judgement = judge_step(run.watch, step, run.policy.manager)
    if judgement.verdict is Verdict.SUPERSEDED:
        if isinstance(step.observation, Present) and (step.observation.missing or step.observation.tampered):
            mend_tags(registry, step.observation.record)  # ours may have gone over some of theirs
        return stood_back(step, judgement, step.observed)
    made = act(_work(run, step, before))
    newer = give_way(registry, run.watch, made.published, before)
    return _applied(step, made) if newer is None else stood_back(step, newer, registry.resolve(step.name, CURRENT))


def _named(registry: Registry, name: str) -> Digest | None:
    """Tell what ``current`` names; where that is denied nothing yet, and the closer look tells why."""
    try:
        return registry.resolve(name, CURRENT)
    except DeniedError:
        return None


def _work(run: _Run, step: Step, before: Digest | None) -> Work:
    work = Work(step=step, before=before, means=run.means, policy=run.policy, revision=run.revision, layers=run.layers)
    return replace(work, check=run.watch.check) if run.watch is not None else work


def _applied(step: Step, made: Made) -> Outcome:
    return Outcome(
        name=step.name,
        action=step.action,
        status=Status.ADOPTED if made.published.adopted else Status.APPLIED,
        version=made.published.record.facts.version,
        digest=made.published.digest,
        built=made.built,
        reused=made.reused,
        notes=made.notes,
    )


def _current_step(run: _Run, step: Step) -> Step:
    """Look again, now that other writers are kept out; what changed meanwhile is planned again.

    So is what builds on another environment: only now is that one's own step done.
    """
    registry = run.means.registry
    # A remote registry verified what it took, and every byte of it would have to come here.
    depth = Depth.BLOBS if step.action in _KEEPING and not registry.remote else Depth.MANIFESTS
    observation = observe(registry, step.name, depth=depth, witness=witness_of(run.state, step.name), claim=True)
    digest = observation.digest if isinstance(observation, Present) else None
    same = digest == step.observed and _damage(observation) <= _damage(step.observation)
    if same and (step.desired is None or step.desired.below is None):
        return step
    again = _derive(run, step, _closer(registry, step, observation))
    if again.action is Action.BLOCKED:
        raise blocked_error(again)
    if run.saved and not same and again.action is not Action.UNCHANGED:
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
    desired = [*step.desired.chain, step.desired] if step.desired is not None else []
    below = observe_below(run.means.registry, step, run.state)
    observed = Observed(registry=run.means.registry.address, environments={**below, step.name: observation})
    policy = replace(run.policy, refresh=run.policy.refresh & {step.name})
    steps = derive(desired, observed, policy, run.revision).steps
    return next((again for again in steps if again.name == step.name), replace(step, action=Action.UNCHANGED))
