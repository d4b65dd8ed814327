"""The laws of reconciling, over sequences of edits and deaths of the process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import GuardError
from reconciler.manifest.desired import Desired
from reconciler.plan.change import Action
from reconciler.plan.observed import Present
from reconciler.ports import Registry
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Status
from reconciler.registries.memory import MemoryRegistry
from tests.world import ARM, LINUX, Killed, Mortal, World, wanted

_PACKAGES = st.lists(st.sampled_from(["numpy", "pandas", "scipy", "torch"]), max_size=3, unique=True)
_DESIRED = st.builds(
    wanted,
    st.sampled_from(["alpha", "beta", "gamma"]),
    _PACKAGES,
    platforms=st.sampled_from([(LINUX,), (LINUX, ARM)]),
    variables=st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["1", "2"])),
    description=st.sampled_from(["", "one", "two"]),
)
_REPOSITORY = st.lists(_DESIRED, min_size=1, max_size=3, unique_by=lambda item: item.name)
_SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Counter = Callable[[str, int], None]


def current(registry: Registry, name: str) -> object:
    return registry.resolve(name, "current")


@_SLOW
@given(st.lists(_REPOSITORY, min_size=1, max_size=4))
def test_apply_then_plan_is_all_unchanged(repositories: list[Sequence[Desired]]) -> None:
    world = World(MemoryRegistry())
    for number, desired in enumerate(repositories):
        outcomes = world.apply(desired, commit=f"{number:040x}")
        assert not [outcome.error for outcome in outcomes if outcome.error]
        assert {step.action for step in world.plan(desired).steps} <= {Action.UNCHANGED}


@_SLOW
@given(_REPOSITORY)
def test_a_second_and_third_apply_write_nothing(count_cases: Counter, desired: Sequence[Desired]) -> None:
    world = World(MemoryRegistry())
    world.apply(desired)
    for _ in range(2):
        mortal = Mortal(world.registry)
        World(mortal, index=world.index, factory=world.factory).apply(desired)
        assert mortal.writes == 0
    count_cases("F19", len(desired))


@_SLOW
@given(_REPOSITORY, st.randoms(use_true_random=False))
def test_the_order_of_manifests_is_irrelevant(desired: list[Desired], random: object) -> None:
    first, second = World(MemoryRegistry()), World(MemoryRegistry())
    first.apply(desired)
    shuffled = list(desired)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random
    second.apply(shuffled)
    for item in desired:
        assert current(first.registry, item.name) == current(second.registry, item.name)


@_SLOW
@given(_REPOSITORY, _REPOSITORY)
def test_a_revert_builds_nothing(before: list[Desired], after: list[Desired]) -> None:
    world = World(MemoryRegistry())
    world.apply(before)
    for name in ("numpy", "pandas"):
        world.index.move(name)
    world.apply(after)
    world.factory.built.clear()
    world.apply(before)
    assert world.factory.built == []


@pytest.mark.parametrize("after", [False, True])
def test_death_at_every_write_converges(count_cases: Counter, after: bool) -> None:  # noqa: FBT001  # a parameter
    desired = [wanted("alpha", ["numpy"], platforms=(LINUX, ARM)), wanted("beta", ["pandas"])]
    edited = [wanted("alpha", ["numpy", "scipy"], platforms=(LINUX, ARM)), wanted("beta", ["pandas"])]
    reference = World(MemoryRegistry())
    reference.apply(desired)
    total = _writes(edited, desired)
    reference.apply(edited)
    assert total > 10
    for step in range(total):
        world = World(MemoryRegistry())
        world.apply(desired)
        mortal = Mortal(world.registry, dies_at=step, after=after)
        with pytest.raises(Killed):
            World(mortal, index=world.index, factory=world.factory).apply(edited)
        _assert_whole(world.registry, ["alpha", "beta"])
        outcomes = world.apply(edited)
        assert all(outcome.error is None for outcome in outcomes)
        for name in ("alpha", "beta"):
            assert current(world.registry, name) == current(reference.registry, name), f"death at write {step}"
        count_cases("F1", 1)


def _writes(edited: Sequence[Desired], desired: Sequence[Desired]) -> int:
    world = World(MemoryRegistry())
    world.apply(desired)
    mortal = Mortal(world.registry)
    World(mortal).apply(edited)
    return mortal.writes


def _assert_whole(registry: Registry, names: Sequence[str]) -> None:
    for name in names:
        observation = observe(registry, name, depth=Depth.BLOBS)
        assert isinstance(observation, Present)
        assert not observation.missing
        assert not observation.tampered


@pytest.mark.parametrize("number", range(8))
@pytest.mark.threat("F16")
def test_one_that_fails_never_stops_the_others(number: int) -> None:
    names = [f"env{index}" for index in range(8)]
    world = World(MemoryRegistry())
    world.factory.failing = {names[number]}
    outcomes = world.apply([wanted(name, [name]) for name in names])
    assert [outcome.name for outcome in outcomes if outcome.status is Status.FAILED] == [names[number]]
    assert sum(outcome.status is Status.APPLIED for outcome in outcomes) == 7
    world.factory.failing = set()
    again = world.apply([wanted(name, [name]) for name in names])
    assert [outcome.name for outcome in again if outcome.status is Status.APPLIED] == [names[number]]


def test_a_newer_recipe_alone_builds_nothing_and_a_lower_one_never_replaces_it() -> None:
    world = World(MemoryRegistry())
    world.factory.recipe = 2
    world.apply([wanted("alpha", ["numpy"])])
    for recipe in (3, 1):
        world.factory.recipe = recipe
        assert {step.action for step in world.plan([wanted("alpha", ["numpy"])]).steps} == {Action.UNCHANGED}
    before = current(world.registry, "alpha")
    (outcome,) = world.apply([wanted("alpha", ["numpy", "scipy"])])
    assert isinstance(outcome.error, GuardError)
    assert current(world.registry, "alpha") == before
    world.factory.recipe = 3
    (outcome,) = world.apply([wanted("alpha", ["numpy", "scipy"])])
    assert outcome.status is Status.APPLIED


def test_an_edit_that_no_solver_reads_keeps_the_lock() -> None:
    world = World(MemoryRegistry())
    world.apply([wanted("alpha", ["numpy"])])
    world.index.move("numpy")
    world.index.solved = 0
    (outcome,) = world.apply([wanted("alpha", ["numpy"], variables={"A": "1"})])
    assert outcome.built == 1
    assert world.index.solved == 0
