"""Environments that build on one another: whatever is edited, moved, refreshed, or fails, in the end they fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Image
from reconciler.plan.change import Action, Plan
from reconciler.plan.observed import Present
from reconciler.ports import Registry, Task
from reconciler.reconcile.bodies import read_lock
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Status
from reconciler.registries.memory import MemoryRegistry
from tests.world import ARM, LINUX, Factory, Killed, Mortal, World, wanted

BELOW: Mapping[str, str | None] = {"low": None, "mid": "low", "side": "low", "top": "mid"}
"""Each environment of these tests, and the one that it builds on."""
Counter = Callable[[str, int], None]
Definitions = Mapping[str, tuple[Sequence[str], Mapping[str, str]]]
_DEFINITION = st.tuples(
    st.lists(st.sampled_from(["numpy", "pandas", "scipy"]), max_size=2, unique=True),
    st.dictionaries(st.just("A"), st.sampled_from(["1", "2"])),
)
_DEFINITIONS = st.fixed_dictionaries(dict.fromkeys(BELOW, _DEFINITION))
_NAMES = st.frozensets(st.sampled_from(sorted(BELOW)))


def stack(definitions: Definitions, locks: Mapping[str, Lock] | None = None) -> list[Desired]:
    """Give the environments, all but the lowest on both platforms of the one below."""
    made: dict[str, Desired] = {}
    for name, base in BELOW.items():
        pip, variables = definitions[name]
        below = made.get(base or "")
        platforms = (LINUX,) if name == "top" else (LINUX, ARM)
        lock = (locks or {}).get(name)
        made[name] = wanted(name, pip, platforms=platforms, variables=variables, below=below, lock=lock)
    return [*made.values()]


PLAIN: Definitions = {name: ([f"of-{name}"], {}) for name in BELOW}


@dataclass(frozen=True, kw_only=True)
class Event:
    """What happens to a stack: another definition, releases, and an apply of some, of which some fail."""

    definitions: Definitions
    moved: frozenset[str]
    refresh: frozenset[str]
    failing: frozenset[str]
    names: frozenset[str] | None


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], Definitions]:
    """Draw what happens, mostly to the same definitions, and the definitions at the end."""
    known = st.sampled_from(draw(st.lists(_DEFINITIONS, min_size=1, max_size=2)))
    event = st.builds(
        Event,
        definitions=known,
        moved=st.frozensets(st.sampled_from(["numpy", "pandas", "scipy"])),
        refresh=_NAMES,
        failing=st.just(frozenset()) | _NAMES,
        names=st.sampled_from([None, frozenset(["low"]), frozenset(["low", "side"]), frozenset(["mid", "top"])]),
    )
    return draw(st.lists(event, max_size=4)), draw(known)


def happen(world: World, event: Event) -> None:
    for name in event.moved:
        world.index.move(name)
    world.factory.failing = set(event.failing)
    world.apply(stack(event.definitions), world.policy(names=event.names, refresh=event.refresh))
    world.factory.failing = set()


def present(registry: Registry, name: str) -> Present:
    seen = observe(registry, name, depth=Depth.BLOBS)
    assert isinstance(seen, Present)
    return seen


def assert_fits(registry: Registry) -> None:
    """Every environment is built on what the one below is, and its lock is pinned to that one's."""
    for name, base in BELOW.items():
        record = present(registry, name).record
        if base is None:
            assert not record.below
            continue
        lower = present(registry, base).record
        assert record.below == {platform: lower.build_keys[platform] for platform in record.artifacts}
        assert read_lock(registry, name, record).stands_on(base, read_lock(registry, base, lower))


def locks_of(registry: Registry) -> dict[str, Lock]:
    return {name: read_lock(registry, name, present(registry, name).record) for name in BELOW}


def actions(plan: Plan) -> dict[str, Action]:
    return {step.name: step.action for step in plan.steps}


@pytest.mark.threat("F19")
@settings(max_examples=80, deadline=None)
@given(histories())
def test_after_an_apply_everything_fits_and_a_second_writes_nothing(history: tuple[list[Event], Definitions]) -> None:
    events, last = history
    world = World(MemoryRegistry())
    for event in events:
        happen(world, event)
    assert not [outcome.error for outcome in world.apply(stack(last)) if outcome.error]
    assert_fits(world.registry)
    assert set(actions(world.plan(stack(last))).values()) == {Action.UNCHANGED}
    mortal = Mortal(world.registry)
    World(mortal, index=world.index, factory=world.factory).apply(stack(last))
    assert mortal.writes == 0


@settings(max_examples=40, deadline=None)
@given(_DEFINITIONS)
def test_committing_the_locks_that_apply_made_changes_nothing(definitions: Definitions) -> None:
    world = World(MemoryRegistry())
    world.apply(stack(definitions))
    committed = stack(definitions, locks_of(world.registry))
    assert all(one.current_lock is not None for one in committed)
    policy = world.policy(locked=True)
    assert set(actions(world.plan(committed, policy)).values()) == {Action.UNCHANGED}


@settings(max_examples=40, deadline=None)
@given(_DEFINITIONS, _DEFINITIONS)
def test_a_revert_builds_nothing(before: Definitions, after: Definitions) -> None:
    world = World(MemoryRegistry())
    world.apply(stack(before))
    for name in ("numpy", "pandas"):
        world.index.move(name)
    world.apply(stack(after))
    world.factory.built.clear()
    world.apply(stack(before))
    assert world.factory.built == []
    assert_fits(world.registry)


@settings(max_examples=60, deadline=None)
@given(_DEFINITIONS, _DEFINITIONS, _NAMES)
def test_what_fails_holds_up_what_stands_on_it_and_nothing_else(
    before: Definitions, after: Definitions, failing: frozenset[str]
) -> None:
    world = World(MemoryRegistry())
    world.apply(stack(before))
    planned = actions(world.plan(stack(after)))
    world.factory.failing = set(failing)
    outcomes = {outcome.name: outcome for outcome in world.apply(stack(after))}
    failed = {name for name, outcome in outcomes.items() if outcome.status is Status.FAILED}
    for name, base in BELOW.items():
        held_up = base in failed or (base is not None and outcomes[base].status is Status.BLOCKED)
        assert (outcomes[name].status is Status.BLOCKED) == (held_up and planned[name] is not Action.UNCHANGED)
        if outcomes[name].status is Status.BLOCKED:
            assert f"{base}, which it builds on" in str(outcomes[name].error)
    world.factory.failing = set()
    world.apply(stack(after))
    assert_fits(world.registry)


@pytest.mark.parametrize("after", [False, True])
def test_death_at_every_write_converges(count_cases: Counter, after: bool) -> None:  # noqa: FBT001  # a parameter
    edited: Definitions = {**PLAIN, "low": (["of-low", "numpy"], {})}
    reference = World(MemoryRegistry())
    reference.apply(stack(PLAIN))
    mortal = Mortal(reference.registry)
    World(mortal).apply(stack(edited))
    assert mortal.writes > 30
    for step in range(0, mortal.writes, 3):
        world = World(MemoryRegistry())
        world.apply(stack(PLAIN))
        with pytest.raises(Killed):
            World(Mortal(world.registry, dies_at=step, after=after)).apply(stack(edited))
        assert all(outcome.error is None for outcome in world.apply(stack(edited)))
        assert_fits(world.registry)
        for name in BELOW:
            assert world.registry.resolve(name, "current") == reference.registry.resolve(name, "current")
        count_cases("F1", 1)


class Recording(Factory):
    """A builder that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[Task] = []

    def build(self, task: Task) -> Image:
        self.tasks.append(task)
        return super().build(task)


def test_a_builder_is_told_all_that_is_below_on_every_platform() -> None:
    factory = Recording()
    world = World(MemoryRegistry(), factory=factory)
    world.apply(stack(PLAIN))
    (task,) = [task for task in factory.tasks if task.desired.name == "top"]
    lower = present(world.registry, "mid").record
    assert task.below == lower.artifacts[LINUX].digest
    assert {platform: found.manifest for platform, found in task.foundations.items()} == {
        platform: lower.artifacts[platform].digest for platform in (LINUX, ARM)
    }


def test_a_newer_recipe_below_is_followed_in_the_same_apply() -> None:
    world = World(MemoryRegistry())
    world.apply(stack(PLAIN))
    world.factory.recipe = 2
    edited: Definitions = {**PLAIN, "low": (["of-low"], {"A": "1"})}
    world.apply(stack(edited))
    assert_fits(world.registry)
    assert set(actions(world.plan(stack(edited))).values()) == {Action.UNCHANGED}


def test_what_was_refreshed_alone_is_followed_by_the_next_apply() -> None:
    world = World(MemoryRegistry())
    world.apply(stack(PLAIN))
    world.index.move("of-low")
    world.apply(stack(PLAIN), world.policy(names=frozenset(["low"]), refresh=frozenset(["low"])))
    assert actions(world.plan(stack(PLAIN))) == {
        "low": Action.UNCHANGED,
        **dict.fromkeys(("mid", "side", "top"), Action.REBASE),
    }
    world.apply(stack(PLAIN))
    assert_fits(world.registry)


@pytest.mark.threat("F13")
def test_damage_below_that_is_mended_in_another_way_moves_what_stands_on_it() -> None:
    world = World(MemoryRegistry())
    world.apply(stack(PLAIN))
    artifact = present(world.registry, "low").record.artifacts[LINUX].digest
    world.registry.delete("low", artifact)
    world.factory.recipe = 2
    assert actions(world.plan(stack(PLAIN)))["mid"] is Action.UNCHANGED
    outcomes = {outcome.name: outcome for outcome in world.apply(stack(PLAIN))}
    assert {name for name, outcome in outcomes.items() if outcome.status is Status.APPLIED} == set(BELOW)
    assert_fits(world.registry)


@pytest.mark.threat("F13")
def test_damage_below_that_is_mended_as_it_was_moves_nothing() -> None:
    world = World(MemoryRegistry())
    world.apply(stack(PLAIN))
    world.registry.delete("low", present(world.registry, "low").record.artifacts[LINUX].digest)
    outcomes = {outcome.name: outcome.status for outcome in world.apply(stack(PLAIN))}
    assert outcomes == {"low": Status.APPLIED, **dict.fromkeys(("mid", "side", "top"), Status.UNCHANGED)}
    assert_fits(world.registry)
