"""The planner's laws, over generated repositories and registries."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.change import Action, Plan, Policy, Step
from reconciler.plan.document import narrow, parse_document, to_document
from reconciler.plan.observed import Absent, Denied, Observation, Present, Unknown
from reconciler.plan.planner import plan
from tests.planning import AMD, ARM, MANAGER, REVISION, desired, lock_of, manifest, observed, package, past, present

NAMES = ("alpha", "beta", "gamma", "delta")
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def wanteds(draw: st.DrawFn, name: str) -> Desired:
    one = manifest(
        name,
        pip=tuple(draw(st.lists(st.sampled_from(["numpy>=2", "numpy>=2.1", "pandas"]), unique=True, max_size=2))),
        description=draw(st.sampled_from(["", "text"])),
        protected=draw(st.booleans()),
        renamed_from=draw(st.sampled_from([None, None, *NAMES])),
        platforms=draw(st.sampled_from([(AMD,), (ARM, AMD)])),
    )
    plain = desired(one, refusal=draw(st.sampled_from([None, None, None, "no builder makes this"])))
    version = draw(st.sampled_from([None, "2.0.0", "2.1.0"]))
    if version is None:
        return plain
    inputs = plain if draw(st.booleans()) else desired(manifest(name, pip=("other",)))
    return desired(one, lock=lock_of(inputs, package("numpy", version), platforms=one.platforms), refusal=plain.refusal)


@st.composite
def observations(draw: st.DrawFn, name: str) -> Observation:
    kind = draw(st.sampled_from(["present", "present", "present", "absent", "denied", "unknown"]))
    silent: dict[str, Observation] = {"absent": Absent(), "denied": Denied("403"), "unknown": Unknown("no answer")}
    if kind in silent:
        return silent[kind]
    seen = present(
        draw(wanteds(name)),
        version=draw(st.integers(1, 3)),
        manager=draw(st.sampled_from([MANAGER, MANAGER, "other"])),
        archived=draw(st.booleans()),
        bodies=draw(st.booleans()),
    )
    parts = st.sampled_from([(), (), ("lock",), ("linux/amd64",)])
    older = tuple(past(draw(wanteds(name)), version=number) for number in range(draw(st.integers(0, 2))))
    recovered = draw(st.booleans())
    return replace(seen, missing=draw(parts), tampered=draw(parts), recovered=recovered, past=older)


@dataclass(frozen=True)
class World:
    wanted: tuple[Desired, ...]
    seen: Mapping[str, Observation]
    policy: Policy

    def plan(self) -> Plan:
        return plan(self.wanted, observed(self.seen), self.policy, REVISION)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    some = st.lists(st.sampled_from(NAMES), unique=True)
    policy = Policy(
        manager=MANAGER,
        whole=draw(st.booleans()),
        names=draw(st.none() | some.map(frozenset)),
        refresh=frozenset(draw(some)),
        locked=draw(st.booleans()),
        adopt=draw(st.booleans()),
    )
    wanted = tuple(draw(wanteds(name)) for name in draw(some))
    return World(wanted, {name: draw(observations(name)) for name in draw(some)}, policy)


# -- laws of one plan -------------------------------------------------------------------------------------------


@SHARED
@given(worlds())
def test_every_declared_environment_has_exactly_one_step_and_steps_are_sorted(world: World) -> None:
    names = [step.name for step in world.plan().steps]
    asked = world.policy.names
    assert names == sorted(set(names))
    assert {one.name for one in world.wanted if asked is None or one.name in asked} <= set(names)
    assert asked is None or set(names) <= asked


@SHARED
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_is_irrelevant(world: World, chance: random.Random) -> None:
    wanted, seen = list(world.wanted), list(world.seen.items())
    chance.shuffle(wanted)
    chance.shuffle(seen)
    again = World(tuple(wanted), dict(seen), world.policy).plan()
    assert again == world.plan()
    assert to_document(again) == to_document(world.plan())


@SHARED
@given(world=worlds())
def test_nothing_is_taken_away_unless_everything_was_read(
    world: World, count_cases: Callable[[str, int], None]
) -> None:
    declared = {one.name for one in world.wanted}
    for step in world.plan().steps:
        if step.destructive or step.action is Action.ARCHIVE:
            assert world.policy.whole
            assert world.policy.names is None
            assert step.name not in declared
            assert isinstance(step.observation, Present)
            facts = step.observation.record.facts
            assert (facts.manager, facts.metadata.protected, facts.archived) == (MANAGER, False, False)
    count_cases("F18", 1)


@SHARED
@given(worlds())
def test_what_gave_no_answer_is_never_acted_on(world: World) -> None:
    for step in world.plan().steps:
        if not isinstance(world.seen.get(step.name), (Present, Absent)):
            assert step.action is Action.BLOCKED
            assert step.note


@SHARED
@given(worlds())
def test_another_managers_environment_is_acted_on_only_when_adopted(world: World) -> None:
    for step in world.plan().steps:
        seen = world.seen.get(step.name)
        if isinstance(seen, Present) and seen.record.facts.manager != MANAGER:
            assert step.action is Action.BLOCKED or world.policy.adopt


@SHARED
@given(worlds())
def test_unchanged_means_equal_identity_and_no_damage(world: World) -> None:
    wanted = {one.name: one for one in world.wanted}
    for step in world.plan().steps:
        seen = world.seen.get(step.name)
        one = wanted.get(step.name)
        if one is None or not isinstance(seen, Present):
            continue
        facts, lock = seen.record.facts, one.current_lock
        same = (
            facts.request == one.request
            and set(seen.record.artifacts) == set(one.manifest.platforms)
            and (lock is None or lock.digest == facts.lock)
            and not (seen.missing or seen.tampered or seen.recovered or facts.archived)
        )
        if step.action is Action.UNCHANGED:
            assert same
        elif same:
            assert step.action in {Action.METADATA, Action.BLOCKED} or step.name in world.policy.refresh


@SHARED
@given(worlds())
def test_every_change_has_a_reason_and_what_is_blocked_has_a_note(world: World) -> None:
    for step in world.plan().steps:
        if step.action is Action.BLOCKED:
            assert step.note
        elif step.action in {Action.REBUILD, Action.METADATA, Action.ARCHIVE}:
            assert step.changes


@SHARED
@given(worlds())
def test_known_packages_belong_to_a_known_lock(world: World) -> None:
    for step in world.plan().changes:
        assert step.packages is None or step.lock is not None
        assert step.lock_body is None or step.lock_body.digest == step.lock


# -- convergence ------------------------------------------------------------------------------------------------


def applied(step: Step) -> Observation:
    """Simulate what the registry holds after a step, as far as planning sees it."""
    before = step.observation
    assert before is not None
    version = before.record.facts.version + 1 if isinstance(before, Present) else 1
    if step.action in {Action.UNCHANGED, Action.BLOCKED}:
        return before
    if step.action is Action.ARCHIVE:
        assert isinstance(before, Present)
        return replace(before, record=replace(before.record, facts=replace(before.record.facts, archived=True)))
    assert step.desired is not None
    if step.action is Action.METADATA or step.lock_body is None:
        return present(step.desired, lock=_resolved(step), version=version)
    return present(step.desired, lock=step.lock_body, version=version)


def _resolved(step: Step) -> Lock:
    assert step.desired is not None
    if step.desired.current_lock is not None:
        return step.desired.current_lock
    return lock_of(step.desired, package("numpy", "2.9.9"))


@SHARED
@given(worlds())
def test_applying_a_plan_leaves_nothing_to_do(world: World) -> None:
    policy = replace(world.policy, refresh=frozenset())
    first = World(world.wanted, world.seen, policy).plan()
    after = {**world.seen, **{step.name: applied(step) for step in first.steps if step.observation is not None}}
    second = World(world.wanted, after, policy).plan()
    assert second.changes == ()
    assert [step.name for step in second.blocked] == [step.name for step in first.blocked]


# -- saved plans ------------------------------------------------------------------------------------------------


@SHARED
@given(worlds())
def test_a_saved_plan_narrows_its_own_plan_to_its_changes(world: World) -> None:
    one = world.plan()
    assert narrow(one, parse_document(to_document(one))).steps == one.changes


@SHARED
@given(worlds(), st.data())
def test_a_saved_plan_never_adds(world: World, data: st.DataObject) -> None:
    one = world.plan()
    saved = parse_document(to_document(one))
    some = {name: step for name, step in saved.steps.items() if data.draw(st.booleans())}
    kept = narrow(one, replace(saved, steps=some)).steps
    assert all(step in one.steps for step in kept)
    assert {step.name for step in kept} <= set(some)
