"""What the registry holds of what is declared, and of what else it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reconciler.manifest.desired import Desired
from reconciler.plan.observed import Absent, Observation, Observed, Past, Present, Witness
from reconciler.plan.state import State
from reconciler.ports import Executor, Registry
from reconciler.reconcile.observe import Depth, observe, past, past_of, with_bodies
from reconciler.values.digest import Digest
from reconciler.values.names import RESERVED_PREFIX


def survey(  # noqa: PLR0913  # one argument a question
    registry: Registry,
    desired: Sequence[Desired],
    names: Iterable[str],
    executor: Executor,
    *,
    state: State | None = None,
    depth: Depth = Depth.ENTRIES,
) -> Observed:
    """Observe what is declared and what else is named; look closer where something changed.

    ``state`` is the manager's: it tells where ``current`` went back, see :func:`observe`.
    """
    wanted = {item.name: item for item in desired}
    every = sorted({*wanted, *names})
    found = dict(
        executor.map(lambda name: observe(registry, name, depth=depth, witness=witness_of(state, name)), every)
    )
    by_request = _definitions(found)
    closer = {
        name: _look_closer(registry, wanted[name], observation, by_request)
        for name, observation in found.items()
        if name in wanted and _differs(wanted[name], observation)
    }
    return Observed(registry=registry.address, environments={**found, **closer})


def witness_of(state: State | None, name: str) -> Witness | None:
    """Say what a manager's state knows of an environment, none where it knows nothing."""
    record = state.records.get(name) if state is not None else None
    return None if state is None or record is None else Witness(manager=state.manager, record=record)


def known_names(registry: Registry, recorded: Iterable[str]) -> tuple[str, ...]:
    """Name every environment that the registry may hold: what it lists, or what the state recorded."""
    listed = registry.repositories()
    return tuple(sorted({name for name in (*(listed or ()), *recorded) if not name.startswith(RESERVED_PREFIX)}))


def _differs(desired: Desired, observation: Observation) -> bool:
    if isinstance(observation, Absent):
        return True
    if not isinstance(observation, Present):
        return False
    facts = observation.record.facts
    lock = desired.current_lock
    return (
        facts.request != desired.request
        or set(observation.record.artifacts) != set(desired.manifest.platforms)
        or (lock is not None and lock.digest != facts.lock)
        or facts.archived
        or bool(observation.missing or observation.tampered)
    )


def _definitions(found: Mapping[str, Observation]) -> Mapping[Digest, Past]:
    """Index what this run has read by its request: the same definition under another name serves too."""
    definitions: dict[Digest, Past] = {}
    for name, observation in sorted(found.items()):
        if isinstance(observation, Present) and not observation.missing and not observation.tampered:
            facts = observation.record.facts
            definitions.setdefault(facts.request, past_of(name, observation.record, observation.digest))
    return definitions


def _look_closer(
    registry: Registry, desired: Desired, observation: Observation, definitions: Mapping[Digest, Past]
) -> Observation:
    if not isinstance(observation, Present):
        return observation
    closer = with_bodies(registry, desired.name, observation)
    earlier = past(registry, desired.name, desired.request) if closer.record.facts.request != desired.request else ()
    same = definitions.get(desired.request)
    others = (same,) if same is not None and same.name != desired.name else ()
    return replace(closer, past=(*earlier, *others))
