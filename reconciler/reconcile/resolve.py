"""Which lock a step is built from: the committed one, one that was built from before, or a new one."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.errors import RegistryError, ResolveError
from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.change import Reason, Step
from reconciler.plan.footing import FIELD
from reconciler.plan.observed import Present
from reconciler.ports import Progress, Registry, Resolution, Resolved, Stage
from reconciler.reconcile.bodies import read_lock
from reconciler.reconcile.means import Means
from reconciler.record import parse_record


def resolve_step(means: Means, step: Step, desired: Desired, below: Lock | None = None) -> Resolved:
    """Choose or make the lock of a step; only what has to move moves.

    ``below`` is the lock of the environment that it builds on: no lock that is pinned to another one serves.
    """
    for lock in _known(means.registry, step, desired):
        if below is None or (desired.below is not None and lock.stands_on(desired.below.name, below)):
            return Resolved(lock=lock)
    if desired.current_lock is not None:
        raise ResolveError(
            f"the committed lock is not for {desired.below.name if desired.below else 'this'} as it is registered",
            where=desired.manifest.locate(FIELD),
            hint=f"run `reconciler lock {desired.name}`, and commit what it writes",
        )

    def tell(detail: str = "", *, passing: bool = False) -> None:
        means.reporter.report(Progress(name=step.name, stage=Stage.RESOLVING, detail=detail, passing=passing))

    tell()
    resolution = Resolution(
        desired=desired,
        preference=preference(means.registry, step, desired),
        upgrade=None if _refreshes(step) else frozenset(),
        upgrade_base=_refreshes(step),
        below=below,
        tell=tell,
    )
    return means.resolvers[desired.builder].resolve(resolution)


def _refreshes(step: Step) -> bool:
    return any(change.reason is Reason.REFRESH for change in step.changes)


def _known(registry: Registry, step: Step, desired: Desired) -> Iterator[Lock]:
    """Give the locks that the step aims at, one at most where nothing is below."""
    if step.lock_body is not None:
        yield step.lock_body
        return
    recorded = _recorded(registry, step)
    if recorded is not None:
        yield recorded
    elif step.reuse is not None:
        content = registry.fetch(step.reuse.name, step.reuse.record)
        yield read_lock(registry, step.reuse.name, parse_record(content))
    elif desired.below is not None and not _refreshes(step):
        # What is below is another build, and a solver would see the same of it.
        kept = preference(registry, step, desired)
        if (
            kept is not None
            and kept.inputs == desired.inputs
            and set(kept.platforms) == set(desired.manifest.platforms)
        ):
            yield kept


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
