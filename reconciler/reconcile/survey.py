"""What the registry holds of what is declared, and of what else it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.manifest.desired import Desired
from reconciler.plan.metadata import metadata_of
from reconciler.plan.observed import Absent, Observation, Observed, Past, Present, Witness
from reconciler.plan.state import State
from reconciler.ports import Executor, Registry
from reconciler.reconcile.observe import Depth, observe, past, past_of, with_bodies
from reconciler.values.digest import Digest
from reconciler.values.names import RESERVED_PREFIX


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """How closely a survey looks.

    ``depth`` is for everything, ``closely`` names what is always looked at as closely as drift does. At
    ``Depth.RECORD`` what changed is looked at as closely too: of all else the record is read and nothing more.
    ``cached`` is the same registry with a cache in front, for what needs no closer look.
    """

    depth: Depth = Depth.ENTRIES
    closely: frozenset[str] = frozenset()
    cached: Registry | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Survey:
    registry: Registry
    executor: Executor
    state: State | None
    vouched: bool
    sight: Sight

    @property
    def quick(self) -> Registry:
        return self.sight.cached or self.registry

    def look(self, names: Iterable[str], depth: Depth) -> dict[str, Observation]:
        """Observe these; only at the lowest depth may what is read come from a cache."""
        registry = self.quick if depth is Depth.RECORD else self.registry
        return dict(self.executor.map(lambda name: self._observe(registry, name, depth), sorted(names)))

    def _observe(self, registry: Registry, name: str, depth: Depth) -> Observation:
        witness = witness_of(self.state, name)
        return observe(registry, name, depth=depth, witness=witness, vouched=self.vouched)


def survey(  # noqa: PLR0913  # one argument a question
    registry: Registry,
    desired: Sequence[Desired],
    names: Iterable[str],
    executor: Executor,
    *,
    state: State | None = None,
    sight: Sight | None = None,
    vouched: bool = False,
) -> Observed:
    """Observe what is declared and what else is named; look closer where something changed.

    ``state`` is the manager's: it tells where ``current`` went back, and ``vouched`` that it was read whole, see
    :func:`observe`.
    """
    sight = sight or Sight()
    work = _Survey(registry=registry, executor=executor, state=state, vouched=vouched, sight=sight)
    wanted = {item.name: item for item in desired}
    found = _first_look(work, wanted, {*wanted, *names})
    by_request = _definitions(found)
    changed = sorted(_with_those_above(wanted, found, {name for name in wanted if _differs(wanted[name], found[name])}))
    closer = executor.map(lambda name: _look_closer(work.quick, wanted[name], found[name], by_request), changed)
    return Observed(registry=registry.address, environments={**found, **dict(closer)})


def _first_look(work: _Survey, wanted: Mapping[str, Desired], every: set[str]) -> dict[str, Observation]:
    depth, closely = work.sight.depth, work.sight.closely & every
    if depth >= Depth.MANIFESTS:
        closely = frozenset()
    found = work.look(every - closely, depth) | work.look(closely, Depth.MANIFESTS)
    if depth is not Depth.RECORD:
        return found
    return found | work.look(_in_question(wanted, found) - closely, Depth.MANIFESTS)


def _in_question(wanted: Mapping[str, Desired], found: Mapping[str, Observation]) -> set[str]:
    """Name what changed, and what holds a build that a change could use, as far as anything of it is there."""
    changed = {name for name, item in wanted.items() if _is_touched(item, found[name])}
    changed = _with_those_above(wanted, found, changed)
    requests = {wanted[name].request for name in changed}
    serving = {past.name for request, past in _definitions(found).items() if request in requests}
    return {name for name in changed | serving if isinstance(found[name], Present)}


def _with_those_above(wanted: Mapping[str, Desired], found: Mapping[str, Observation], changed: set[str]) -> set[str]:
    """Add what builds on one of these, and what was built on another build than is there."""
    above = set()
    for name, item in wanted.items():
        chain = item.chain
        if any(one.name in changed for one in chain) or (chain and _is_moved(found[name], found.get(chain[0].name))):
            above.add(name)
    return _with_those_above(wanted, found, changed | above) if above - changed else changed


def _is_moved(upper: Observation, lower: Observation | None) -> bool:
    if not isinstance(upper, Present) or not isinstance(lower, Present):
        return False
    keys = lower.record.build_keys
    return any(upper.record.below.get(platform) != keys.get(platform) for platform in upper.record.artifacts)


def witness_of(state: State | None, name: str) -> Witness | None:
    """Say what a manager's state knows of an environment, none where it knows nothing."""
    record = state.records.get(name) if state is not None else None
    return None if state is None or record is None else Witness(manager=state.manager, record=record)


def known_names(registry: Registry, recorded: Iterable[str]) -> tuple[str, ...]:
    """Name every environment that concerns a manager: what its state recorded, and what a folder lists.

    A remote registry is not asked: it may hold thousands of others' repositories, and many don't answer.
    """
    listed = () if registry.remote else registry.repositories()
    return tuple(sorted({name for name in (*(listed or ()), *recorded) if not name.startswith(RESERVED_PREFIX)}))


def _is_touched(desired: Desired, observation: Observation) -> bool:
    """Tell whether anything at all would be done, metadata included."""
    if _differs(desired, observation) or not isinstance(observation, Present):
        return True
    return observation.recovered or observation.record.facts.metadata != metadata_of(desired.manifest)


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
