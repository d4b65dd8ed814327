"""Which lock a step is built from: the committed one, one that was built from before, or a new one."""

from __future__ import annotations

from reconciler.errors import RegistryError
from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.change import Reason, Step
from reconciler.plan.observed import Present
from reconciler.ports import Progress, Registry, Resolution, Resolved, Stage
from reconciler.reconcile.bodies import read_lock
from reconciler.reconcile.means import Means
from reconciler.record import parse_record


def resolve_step(means: Means, step: Step, desired: Desired) -> Resolved:
    """Choose or make the lock of a step; only what has to move moves."""
    if step.lock_body is not None:
        return Resolved(lock=step.lock_body)
    recorded = _recorded(means.registry, step)
    if recorded is not None:
        return Resolved(lock=recorded)
    if step.reuse is not None:
        content = means.registry.fetch(step.reuse.name, step.reuse.record)
        return Resolved(lock=read_lock(means.registry, step.reuse.name, parse_record(content)))
    means.reporter.report(Progress(name=step.name, stage=Stage.RESOLVING))
    refresh = any(change.reason is Reason.REFRESH for change in step.changes)
    resolution = Resolution(
        desired=desired,
        preference=preference(means.registry, step, desired),
        upgrade=None if refresh else frozenset(),
    )
    return means.resolvers[desired.builder].resolve(resolution)


def _recorded(registry: Registry, step: Step) -> Lock | None:
    """Read the record's own lock where that is what the step aims at: what a solver reads has not changed."""
    observation = step.observation
    if step.lock is None or not isinstance(observation, Present) or observation.record.facts.lock != step.lock:
        return None
    return _read(registry, step, observation)


def _read(registry: Registry, step: Step, observation: Present) -> Lock | None:
    try:
        return read_lock(registry, step.name, observation.record)
    except RegistryError:
        return None  # a lock that is lost or damaged serves nobody


def preference(registry: Registry, step: Step, desired: Desired) -> Lock | None:
    """Find the lock whose versions stay where they can: the file's, else the record's."""
    if desired.lock is not None:
        return desired.lock
    observation = step.observation
    if not isinstance(observation, Present):
        return None
    if observation.bodies is not None:
        return observation.bodies.lock
    return _read(registry, step, observation)
