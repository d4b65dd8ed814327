"""What a remote registry is asked by plan, apply and drift, and what follows from its being denied.

The command line's own planning, on registries in memory that count requests and deny what is not there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.cli.planning import Derived, Wishes, derive, look_for_drift
from reconciler.cli.wiring import Workspace
from reconciler.errors import DeniedError
from reconciler.executors.serial import Serial
from reconciler.plan.change import Action, Step
from reconciler.plan.drift import DriftReport
from reconciler.plan.observed import Absent, Denied, Present, Witness
from reconciler.reconcile.access import registered_names
from reconciler.reconcile.apply import apply
from reconciler.reconcile.inspect import list_environments
from reconciler.reconcile.ledger import state_tag
from reconciler.reconcile.observe import observe
from reconciler.reconcile.outcome import Outcome, Status, exit_code
from reconciler.values.digest import Digest
from tests.asked import WRITES, Asked, Denying
from tests.world import MANAGER, Mortal, World

NAMES = tuple(f"env-{number}" for number in range(6))
STATE = "reconciler-state"


@dataclass
class Clone:
    """A clone whose commands all see this registry; each is a run of its own, with the cache that the last one left."""

    root: Path
    registry: Asked
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.registry)
        (self.root / "environments").mkdir()
        (self.root / "reconciler.yaml").write_text(f"manager: {MANAGER}\nregistry: registry.example.com/team\n")

    def declare(self, *names: str, pip: str = "numpy", extra: str = "") -> None:
        for name in names:
            text = f"name: {name}\npython: {{pip: [{pip}, {name}]}}\ndocker: {{enabled: false}}\n{extra}"
            (self.root / "environments" / f"{name}.yaml").write_text(text)

    def workspace(self) -> Workspace:
        workspace = Workspace(root=self.root)
        vars(workspace)["opened"] = self.registry
        return workspace

    def plan(self, *names: str, repair: bool = False, closely: bool = False) -> Derived:
        workspace = self.workspace()
        try:
            return derive(workspace, Wishes(names=frozenset(names) or None, repair=repair), closely=closely)
        finally:
            workspace.remember()

    def actions(self, *names: str, repair: bool = False) -> dict[str, Action]:
        return {step.name: step.action for step in self.plan(*names, repair=repair).plan.steps}

    def apply(self, *names: str, repair: bool = False) -> tuple[Outcome, ...]:
        derived = self.plan(*names, repair=repair, closely=True)
        return apply(derived.plan, derived.policy, self.world.means())

    def drift(self, *names: str, deep: bool = False) -> DriftReport:
        workspace = self.workspace()
        try:
            return look_for_drift(workspace, names, deep=deep)
        finally:
            workspace.remember()

    def step(self, name: str) -> Step:
        return next(step for step in self.plan().plan.steps if step.name == name)

    @property
    def built(self) -> int:
        return len(self.world.factory.built)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with everything applied, and nothing in its cache."""
    clone = Clone(tmp_path, Asked())
    clone.declare(*NAMES)
    assert {outcome.status for outcome in clone.apply()} == {Status.APPLIED}
    for path in (tmp_path / ".reconciler" / "cache" / "remote").rglob("*"):
        if path.is_file():
            path.unlink()
    clone.registry.since()
    return clone


def current(clone: Clone, name: str) -> Present:
    seen = clone.plan(name).observed.environments[name]
    assert isinstance(seen, Present)
    return seen


# -- one request an environment ---------------------------------------------------------------------------------


def test_what_is_unchanged_costs_one_request_each_with_and_without_a_cache(clone: Clone) -> None:
    assert set(clone.actions().values()) == {Action.UNCHANGED}
    assert clone.registry.since() == {"fetch": len(NAMES)}
    for _ in range(2):
        assert set(clone.actions().values()) == {Action.UNCHANGED}
        assert clone.registry.since() == {"resolve": len(NAMES)}
    assert Counter(outcome.status for outcome in clone.apply()) == {Status.UNCHANGED: len(NAMES)}
    assert clone.registry.since() == {"resolve": len(NAMES)}


def test_only_what_changed_is_looked_at_closely(clone: Clone) -> None:
    clone.plan()
    clone.registry.asked.clear()
    clone.declare("env-0", pip="pandas")
    clone.declare("env-1", extra="description: words\n")
    assert [name for name, action in clone.actions().items() if action is not Action.UNCHANGED] == ["env-0", "env-1"]
    each = Counter(repository for _, repository in clone.registry.asked)
    assert {each[name] for name in NAMES[2:]} == {1}
    assert min(each["env-0"], each["env-1"]) > 3


@pytest.mark.parametrize("command", ["plan", "apply", "drift"])
def test_nobody_s_repositories_are_listed(clone: Clone, command: str) -> None:
    getattr(clone, command)()
    assert "repositories" not in {what for what, _ in clone.registry.asked}


def test_a_definition_that_another_environment_has_is_taken_from_it_once_it_is_seen_whole(clone: Clone) -> None:
    clone.plan()
    text = (clone.root / "environments" / "env-0.yaml").read_text()
    (clone.root / "environments" / "twin.yaml").write_text(text.replace("name: env-0", "name: twin"))
    assert clone.step("twin").action is Action.REUSE
    clone.registry.delete("env-0", current(clone, "env-0").record.lock_entry.digest)
    assert clone.step("twin").action is Action.CREATE


# -- what one request does not see ------------------------------------------------------------------------------


def damage(clone: Clone, how: str) -> None:
    record = current(clone, "env-0").record
    stored = clone.registry.blobs["env-0"]
    (artifact,) = record.artifacts.values()
    if how == "an artifact is gone":
        clone.registry.delete("env-0", artifact.digest)
    elif how == "the lock is changed":
        stored[record.lock_entry.digest] = stored[record.lock_entry.digest].replace(b"m", b"n", 1)
    elif how == "a tag is gone":
        clone.registry.delete("env-0", "v1-lock")
    else:
        raise AssertionError(how)


DAMAGE = ("an artifact is gone", "the lock is changed", "a tag is gone")


@pytest.mark.threat("F13")
@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("look", ["named", "repair"])
def test_damage_that_the_cache_hides_is_seen_by_drift_and_mended_where_it_is_looked_for(
    clone: Clone, how: str, look: str
) -> None:
    names, repair = (("env-0",), False) if look == "named" else ((), True)
    clone.plan(repair=True)  # all of it is in the cache now
    damage(clone, how)
    assert set(clone.actions().values()) == {Action.UNCHANGED}
    assert {finding.name for finding in clone.drift().findings} == {"env-0"}
    found = clone.actions(*names, repair=repair)
    assert found["env-0"] is not Action.UNCHANGED
    assert {found[name] for name in found if name != "env-0"} <= {Action.UNCHANGED}
    clone.apply(*names, repair=repair)
    assert clone.drift(deep=True).findings == ()
    assert set(clone.actions(repair=True).values()) == {Action.UNCHANGED}


@pytest.mark.threat("F13")
def test_a_current_that_is_gone_or_went_back_is_seen_by_every_plan_also_where_the_cache_has_all(clone: Clone) -> None:
    clone.declare("env-0", pip="pandas")
    clone.apply()
    clone.plan(repair=True)
    kept = dict(clone.registry.tagged["env-0"])
    clone.registry.delete("env-0", "current")
    assert clone.step("env-0").action is not Action.UNCHANGED
    clone.registry.tagged["env-0"] = kept | {"current": kept["v1"]}
    assert clone.step("env-0").action is not Action.UNCHANGED
    clone.apply()
    assert clone.registry.tagged["env-0"]["current"] == kept["current"]


@pytest.mark.threat("F13")
def test_a_record_that_is_gone_is_not_taken_from_the_cache(clone: Clone) -> None:
    clone.declare("env-0", extra="description: words\n")
    clone.apply()
    clone.plan(repair=True)
    clone.registry.delete("env-0", clone.registry.tagged["env-0"]["current"].digest)
    step = clone.step("env-0")
    assert step.action is not Action.UNCHANGED
    assert step.observed == clone.registry.tagged["env-0"]["v1"].digest


@pytest.mark.threat("F11")
def test_a_damaged_cache_changes_no_plan(clone: Clone, count_cases: Callable[[str, int], None]) -> None:
    clone.plan()
    folder = clone.root / ".reconciler" / "cache" / "remote"
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    randomness = random.Random(7)  # noqa: S311  # damage, not a secret
    for _ in range(20):
        for path, whole in files.items():
            place = randomness.randrange(len(whole) - 1)
            changed = bytes([whole[place] ^ 1 << randomness.randrange(8)])
            path.write_bytes(whole[:place] + changed + whole[place + 1 :])
        clone.registry.since()
        assert set(clone.actions().values()) == {Action.UNCHANGED}
        assert clone.registry.since()["fetch"] == len(NAMES)
    count_cases("F11", 19)


# -- denied -----------------------------------------------------------------------------------------------------


@pytest.fixture
def denying(tmp_path: Path) -> Clone:
    return Clone(tmp_path, Denying())


def door(clone: Clone) -> Denying:
    assert isinstance(clone.registry, Denying)
    return clone.registry


class Untold(Mortal):
    """A registry that answers for manifests and denies the list of tags."""

    def tags(self, repository: str) -> tuple[str, ...]:
        raise DeniedError(f"{repository}: denied")


def written(clone: Clone) -> list[tuple[str, str]]:
    return [(what, name) for what, name in clone.registry.asked if what in WRITES - {"claim"}]


@pytest.mark.threat("F8")
def test_a_first_create_works_where_what_is_not_there_is_denied(denying: Clone) -> None:
    denying.declare("first", "second")
    with pytest.raises(DeniedError, match=r"registry\.example\.com/team denies .* \(log in.*apply begins"):
        denying.plan()
    assert {what for what, _ in denying.registry.asked} == {"fetch"}
    assert {outcome.status for outcome in denying.apply()} == {Status.APPLIED}
    assert set(denying.actions().values()) == {Action.UNCHANGED}
    denying.declare("third")
    step = denying.step("third")
    assert (step.action, 'answers "denied"' in step.note) == (Action.CREATE, True)
    assert ("claim", "third") not in denying.registry.asked
    assert denying.drift().pending == ("third",)
    assert {one.name: one.status for one in denying.apply()}["third"] is Status.APPLIED
    assert denying.built == 3


@pytest.mark.threat("F8")
def test_an_expired_token_builds_and_writes_nothing(denying: Clone) -> None:
    denying.declare("first")
    denying.apply()
    denying.declare("second")
    denying.registry.asked.clear()
    door(denying).unreadable = door(denying).unwritable = {"*"}
    for work in (denying.plan, denying.apply, denying.drift):
        with pytest.raises(DeniedError) as caught:
            work()
        assert caught.value.exit_code == 77
    assert (denying.built, written(denying)) == (1, [])


@pytest.mark.threat("F8")
def test_what_the_state_knows_and_the_registry_denies_is_blocked_and_nothing_is_built(denying: Clone) -> None:
    denying.declare("first", "second")
    denying.apply()
    denying.declare("first", pip="pandas")
    denying.registry.asked.clear()
    door(denying).unreadable = {"first"}
    assert denying.step("first").action is Action.BLOCKED
    outcomes = denying.apply()
    assert {one.name: one.status for one in outcomes} == {"first": Status.BLOCKED, "second": Status.UNCHANGED}
    assert (denying.built, [name for _, name in written(denying) if name != STATE]) == (2, [])
    assert ("claim", "first") not in denying.registry.asked


@pytest.mark.threat("F8")
@pytest.mark.parametrize("also_there", [False, True])
def test_where_we_may_not_push_what_is_denied_is_never_built(denying: Clone, *, also_there: bool) -> None:
    denying.declare("first")
    denying.apply()
    denying.declare("second")
    door(denying).unwritable = {"second"}
    if also_there:
        door(denying).unreadable = {"second"}
    assert denying.step("second").action is Action.CREATE
    outcomes = {one.name: one for one in denying.apply()}
    assert outcomes["first"].status is Status.UNCHANGED
    assert isinstance(outcomes["second"].error, DeniedError)
    assert exit_code(tuple(outcomes.values())) != 0
    assert denying.built == 1


@pytest.mark.threat("F8")
def test_what_is_there_and_may_be_written_and_not_read_is_not_built_over(denying: Clone) -> None:
    denying.declare("first")
    denying.apply()
    denying.declare("second")
    door(denying).claimed.add("second")
    door(denying).unreadable = {"second"}
    (failed,) = [one for one in denying.apply() if one.name == "second"]
    assert isinstance(failed.error, DeniedError)
    assert denying.built == 1


@pytest.mark.threat("F8")
def test_only_for_a_name_that_the_state_does_not_know_it_is_asked_whether_we_may_push(denying: Clone) -> None:
    registry, witness = door(denying), Witness(manager=MANAGER, record=Digest.of(b"record"))
    assert isinstance(observe(registry, "first", witness=witness, vouched=True, claim=True), Denied)
    assert ("claim", "first") not in registry.asked
    assert isinstance(observe(registry, "first", claim=True), Absent)
    registry.unwritable = {"second"}
    assert isinstance(observe(registry, "second", vouched=True), Absent)
    assert isinstance(observe(registry, "second", vouched=True, claim=True), Denied)


@pytest.mark.threat("F8")
def test_what_is_denied_after_the_first_answer_is_not_absent(denying: Clone) -> None:
    denying.declare("first")
    denying.apply()
    for tag in ("current", "v1"):
        denying.registry.delete("first", tag)
    registry = Untold(denying.registry)
    assert isinstance(observe(registry, "first", vouched=True), Denied)


@pytest.mark.threat("F8")
def test_a_damaged_state_vouches_for_nothing(denying: Clone) -> None:
    denying.declare("first")
    denying.apply()
    denying.declare("second")
    state = denying.registry.fetch(STATE, state_tag(MANAGER))
    denying.registry.blobs[STATE][state.digest] = b"{}"
    assert denying.step("second").action is Action.BLOCKED


# -- names ------------------------------------------------------------------------------------------------------


def test_what_is_listed_comes_from_the_states(clone: Clone) -> None:
    clone.registry.blobs["foreign"] = {}
    listed = list_environments(clone.registry, Serial())
    assert [one.record.facts.name for one in listed.environments] == list(NAMES)
    assert (listed.notes, listed.unreadable) == ((), {})
    assert clone.registry.since() == {"fetch": len(NAMES)}


def test_a_damaged_state_is_noted_where_names_come_from_states(clone: Clone) -> None:
    state = clone.registry.fetch(STATE, state_tag(MANAGER))
    clone.registry.push(STATE, state, tags=["m-other"])
    clone.registry.tagged[STATE][state_tag(MANAGER)] = clone.registry.fetch("env-0", "current").describe()
    found = registered_names(clone.registry)
    assert found.names == NAMES
    assert [state_tag(MANAGER) in note for note in found.notes] == [True]


def test_a_registry_without_any_state_is_listed(clone: Clone) -> None:
    del clone.registry.blobs[STATE], clone.registry.tagged[STATE]
    assert registered_names(clone.registry).names == NAMES
