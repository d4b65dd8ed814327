"""Environments that build on others: what is a change, what is planned, and what can't be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from reconciler.assembly.account import account_of, accounts_over
from reconciler.lock.model import Base, Lock
from reconciler.manifest.desired import Desired, build_key
from reconciler.manifest.model import Docker
from reconciler.plan.change import Action, Plan, Policy, Reason, Step
from reconciler.plan.observed import Absent, Denied, Observation, Past, Unknown
from reconciler.plan.order import MAX_CHAIN, base_problems
from reconciler.plan.pool import past_of
from reconciler.reconcile.apply import blocked_error
from tests.planning import AMD, ARM, POLICY, actions, desired, digest, lock_of, manifest, package, planned, present

LOW = desired("low")
EDITED = desired(manifest("low", pip=("numpy>=2.1",)))


def stack(low: Desired = LOW, locks: Mapping[str, Lock | None] = MappingProxyType({})) -> list[Desired]:
    """Give three environments, one on the other, with these committed locks."""
    low = replace(low, lock=locks.get("low"))
    mid = desired("mid", below=low, lock=locks.get("mid"))
    return [low, mid, desired("top", below=mid, lock=locks.get("top"))]


def seen(wanted: list[Desired], **others: Observation) -> dict[str, Observation]:
    return {**{one.name: present(one) for one in wanted}, **others}


def plan(wanted: list[Desired], found: Mapping[str, Observation], policy: Policy = POLICY) -> Plan:
    return planned(list(reversed(wanted)), found, policy)


def step(one: Plan, name: str) -> Step:
    return next(step for step in one.steps if step.name == name)


def reasons(one: Step) -> list[Reason]:
    return [change.reason for change in one.changes]


# -- what is a change -------------------------------------------------------------------------------------------


def test_a_change_of_a_definition_is_one_of_all_that_stands_on_it() -> None:
    before, after = stack(), stack(EDITED)
    for was, now in zip(before, after, strict=True):
        assert was.request != now.request
        assert was.inputs != now.inputs


def test_what_no_solver_sees_of_it_leaves_the_locks_above_up_to_date() -> None:
    variables = desired(manifest("low", environment_variables={"A": "1"}))
    for was, now in list(zip(stack(), stack(variables), strict=True))[1:]:
        assert was.request != now.request
        assert was.inputs == now.inputs


def test_another_user_below_is_another_question() -> None:
    user = desired(replace(LOW.manifest, docker=Docker(user="ml")))
    assert stack(user)[1].inputs != stack()[1].inputs


def test_a_build_key_covers_what_is_below_and_is_as_before_without() -> None:
    plain = build_key(LOW.request, AMD, digest("lock"), ("assemble", 1))
    assert plain == build_key(LOW.request, AMD, digest("lock"), ("assemble", 1), None)
    assert (
        len({plain, *(build_key(LOW.request, AMD, digest("lock"), ("assemble", 1), digest(text)) for text in "ab")})
        == 3
    )


# -- locks ------------------------------------------------------------------------------------------------------


def locked(low: Desired = LOW, version: str = "2.0.0") -> list[Desired]:
    plain = stack(low)
    lowest = lock_of(plain[0], package("numpy", version))
    middle = lock_of(plain[1], package("six", "1"), below=lowest)
    top = lock_of(plain[2], package("flask", "1"), below=middle)
    return stack(low, {"low": lowest, "mid": middle, "top": top})


def test_a_chain_of_locks_that_fit_is_up_to_date() -> None:
    assert all(one.current_lock is not None for one in locked())


def test_a_lock_is_out_of_date_as_soon_as_one_below_is_another() -> None:
    wanted = locked()
    moved = lock_of(wanted[0], package("numpy", "2.0.1"))
    again = stack(LOW, {**{one.name: one.lock for one in wanted}, "low": moved})
    assert [one.current_lock is not None for one in again] == [True, False, False]


def test_without_a_committed_lock_below_none_above_counts() -> None:
    locks = {one.name: one.lock for one in locked()[1:]}
    assert [one.current_lock for one in stack(LOW, locks)] == [None, None, None]


def test_a_lock_for_another_environment_of_the_same_lock_is_out_of_date() -> None:
    low = replace(LOW, lock=lock_of(LOW, package("numpy", "2.0.0")))
    twin = replace(desired(replace(LOW.manifest, name="twin")), lock=low.lock)
    lock = lock_of(desired("mid", below=twin), below=low.lock)
    assert desired("mid", below=twin, lock=lock).current_lock == lock
    assert desired("mid", below=low, lock=replace(lock, inputs=desired("mid", below=low).inputs)).current_lock is None


# -- the plan ---------------------------------------------------------------------------------------------------


def test_what_stands_on_what_is_unchanged_is_unchanged() -> None:
    assert set(actions(plan(stack(), seen(stack()))).values()) == {Action.UNCHANGED}


def test_a_definition_below_rebases_all_above_for_its_sake() -> None:
    one = plan(stack(EDITED), seen(stack()))
    assert actions(one) == {"low": Action.REBUILD, "mid": Action.REBASE, "top": Action.REBASE}
    (change,) = step(one, "top").changes
    assert (change.reason, change.path) == (Reason.BASE, "docker.base_environment")
    assert (change.old, change.new) == (str(stack()[1].request), str(stack(EDITED)[1].request))
    assert str(change.location) == "environments/top.yaml:41:3"
    assert step(one, "top").lock is None


def test_a_change_of_ones_own_besides_is_a_rebuild() -> None:
    wanted = stack(EDITED)
    edited = desired(manifest("mid", pip=("six",)), below=wanted[0])
    one = plan([wanted[0], edited], seen(stack()))
    assert step(one, "mid").action is Action.REBUILD
    assert set(reasons(step(one, "mid"))) == {Reason.BASE, Reason.REQUEST}


def test_another_name_below_is_a_rebase_and_a_base_of_another_kind_a_rebuild() -> None:
    twin = desired(replace(LOW.manifest, name="twin"))
    one = plan([LOW, twin, desired("mid", below=twin)], seen([*stack()[:2], twin]))
    (change,) = step(one, "mid").changes
    assert (step(one, "mid").action, change.old, change.new) == (Action.REBASE, "low", "twin")
    alone = desired(manifest("mid", pip=("six",)))
    assert step(plan([LOW, alone], seen(stack()[:2])), "mid").action is Action.REBUILD


def test_committed_locks_below_rebase_with_the_packages_that_move() -> None:
    one = plan(locked(version="2.0.1"), seen(locked()))
    assert actions(one) == {"low": Action.REBUILD, "mid": Action.REBASE, "top": Action.REBASE}
    assert reasons(step(one, "mid")) == [Reason.BASE, Reason.LOCK]
    assert step(one, "mid").lock == locked(version="2.0.1")[1].lock.digest  # type: ignore[union-attr]  # it has one


def test_another_committed_lock_of_ones_own_besides_is_a_rebuild() -> None:
    wanted = locked(version="2.0.1")
    middle = lock_of(wanted[1], package("six", "2"), below=wanted[0].lock)
    one = plan([wanted[0], replace(wanted[1], lock=middle)], seen(locked()))
    assert step(one, "mid").action is Action.REBUILD


def test_a_build_below_that_is_another_rebases_with_both_keys() -> None:
    found = seen(stack(), low=present(LOW, key="other key"))
    one = plan(stack(), found)
    assert actions(one) == {"low": Action.UNCHANGED, "mid": Action.REBASE, "top": Action.REBASE}
    (change,) = step(one, "mid").changes
    assert (change.reason, change.old, change.new) == (
        Reason.BASE, str(digest("key of low")), str(digest("other key of low"))
    )  # fmt: skip
    (change,) = step(one, "top").changes
    assert (change.old, change.new) == (str(digest("key of mid")), "mid as its own step leaves it")


def test_builds_below_for_several_platforms_are_told_apart() -> None:
    both = (AMD, ARM)
    low = desired(manifest("low", platforms=both))
    mid = desired(manifest("mid", platforms=both), below=low)
    (change,) = step(plan([low, mid], seen([low, mid], low=present(low, key="x"))), "mid").changes
    assert change.old == {str(platform): str(digest("key of low")) for platform in both}
    assert change.new == {str(platform): str(digest("x of low")) for platform in both}


def test_a_refresh_below_rebases_what_stands_on_it() -> None:
    one = plan(stack(), seen(stack()), replace(POLICY, refresh=frozenset({"low"})))
    assert actions(one) == {"low": Action.REBUILD, "mid": Action.REBASE, "top": Action.REBASE}


def test_metadata_below_moves_nothing() -> None:
    low = desired(manifest("low", description="text"))
    assert actions(plan(stack(low), seen(stack()))) == {
        "low": Action.METADATA, "mid": Action.UNCHANGED, "top": Action.UNCHANGED
    }  # fmt: skip


@pytest.mark.threat("F13")
def test_damage_below_moves_nothing() -> None:
    found = seen(stack(), low=present(LOW, missing=("linux/amd64",)))
    assert actions(plan(stack(), found)) == {"low": Action.REBUILD, "mid": Action.UNCHANGED, "top": Action.UNCHANGED}


def test_all_that_is_new_is_created() -> None:
    found = dict.fromkeys(("low", "mid", "top"), Absent())
    assert set(actions(plan(stack(), found)).values()) == {Action.CREATE}


def test_what_was_archived_below_is_restored_without_a_rebase() -> None:
    assert actions(plan(stack(), seen(stack(), low=present(LOW, archived=True)))) == {
        "low": Action.REUSE, "mid": Action.UNCHANGED, "top": Action.UNCHANGED
    }  # fmt: skip


# -- going back -------------------------------------------------------------------------------------------------


def earlier(one: Desired, **more: str) -> Past:
    return replace(past_of(present(one, **more)), version=1, record=digest(f"first {one.name}"))  # type: ignore[arg-type]  # keys


def test_a_revert_goes_back_in_all_of_the_chain() -> None:
    wanted = stack()
    found = {
        one.name: present(now, key="new", on="new", past=(earlier(one),), version=2)
        for one, now in zip(wanted, stack(EDITED), strict=True)
    }
    assert set(actions(plan(wanted, found)).values()) == {Action.REUSE}


def test_an_earlier_build_does_not_serve_where_what_is_below_is_another() -> None:
    wanted = stack()[:2]
    other = present(stack(EDITED)[1], key="new", past=(earlier(wanted[1], on="old"),), version=2)
    assert step(plan(wanted, seen(wanted, mid=other)), "mid").action is Action.REBASE


def test_the_same_definition_on_another_build_does_not_serve() -> None:
    low, mid = stack()[:2]
    twin = desired(replace(mid.manifest, name="twin"), below=low)
    one = plan([low, mid, twin], {"low": present(low, key="x"), "mid": present(mid), "twin": Absent()})
    assert step(one, "twin").action is Action.CREATE


# -- what can't be planned --------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [{"top"}, {"mid", "top"}])
def test_what_waits_for_something_below_is_refused_with_the_command(names: set[str]) -> None:
    one = plan(stack(EDITED), seen(stack()), replace(POLICY, whole=False, names=frozenset(names)))
    assert set(actions(one).values()) == {Action.BLOCKED}
    assert set(actions(one)) == names
    assert "`reconciler apply low" in step(one, min(names)).note
    assert step(one, "top").location.line == 41


def test_what_waits_for_nothing_below_is_applied_alone() -> None:
    wanted = stack(desired(manifest("low", description="text")))
    edited = desired(manifest("mid", pip=("six",)), below=wanted[0])
    one = plan([wanted[0], edited], seen(stack()), replace(POLICY, whole=False, names=frozenset({"mid"})))
    assert actions(one) == {"mid": Action.REBUILD}


@pytest.mark.parametrize("answer", [Denied("no"), Unknown("no answer")])
def test_what_is_known_of_nothing_below_moves_nothing_and_nothing_is_built_on_it(answer: Observation) -> None:
    assert actions(plan(stack(), seen(stack(), low=answer))) == {
        "low": Action.BLOCKED, "mid": Action.UNCHANGED, "top": Action.UNCHANGED
    }  # fmt: skip
    edited = desired(manifest("mid", pip=("six",)), below=LOW)
    assert step(plan([LOW, edited], seen(stack(), low=answer)), "mid").note == "low, which it builds on, is blocked"


@pytest.mark.parametrize(
    ("answer", "code"), [(Denied("no"), 77), (Unknown("no answer"), 69), (Unknown("no", corrupt=True), 1)]
)
def test_what_is_blocked_from_below_fails_as_that_does(answer: Observation, code: int) -> None:
    edited = desired(manifest("mid", pip=("six",)), below=LOW)
    one = plan([LOW, edited, desired("top", below=edited)], seen(stack(), low=answer))
    assert {blocked_error(step).exit_code for step in one.blocked} == {code}
    assert len(one.blocked) == 3


def test_what_is_refused_below_blocks_what_is_new_above() -> None:
    low = desired("low", refusal="no builder")
    found: dict[str, Observation] = dict.fromkeys(("low", "mid", "top"), Absent())
    assert set(actions(plan(stack(low), found)).values()) == {Action.BLOCKED}


def test_a_base_that_nobody_declares_blocks() -> None:
    one = planned(desired(manifest("mid", docker=Docker(base_environment="gone"))), {"mid": Absent()})
    assert "which no manifest declares" in step(one, "mid").note


# -- what is no base --------------------------------------------------------------------------------------------


def test_a_platform_that_is_not_below_is_a_problem_at_its_line() -> None:
    (problem,) = base_problems([LOW, desired(manifest("mid", platforms=(AMD, ARM)), below=LOW)])
    assert str(problem).startswith("environments/mid.yaml:20:1: there is no low for linux/arm64")
    assert "environments/low.yaml" in problem.hint


def test_what_is_no_image_is_no_base() -> None:
    host = desired(manifest("low", docker=Docker(enabled=False)))
    (problem,) = base_problems([host, desired("mid", below=host)])
    assert "environments/mid.yaml:41:3: base_environment names low, which is no container image" in str(problem)


def test_a_circle_of_many_is_told_in_time() -> None:
    names = [f"e{number:06}" for number in range(4_000)]
    bases = zip(names, [*names[1:], names[0]], strict=True)
    circle = [desired(manifest(name, docker=Docker(base_environment=base))) for name, base in bases]
    assert base_problems(circle) == ()  # too long a chain, which is told where what is below is known


def test_a_chain_that_is_too_long_is_a_problem() -> None:
    chain = [LOW]
    for number in range(MAX_CHAIN + 1):
        chain.append(desired(f"e{number}", below=chain[-1]))
    (problem,) = base_problems(chain)
    assert (problem.location.path, "more than 50" in problem.message) == (f"environments/e{MAX_CHAIN}.yaml", True)


# -- who runs ---------------------------------------------------------------------------------------------------

ACCOUNTS = "root:x:0:0::/root:/bin/sh\n"
ROOT = Base(image="oci:x", digest=str(digest("x")), python="usr/bin/python3", passwd=ACCOUNTS)


def above(base: Base, docker: Docker) -> Base:
    passwd, group = accounts_over(base, docker)
    return replace(base, image="environment:x", passwd=passwd, group=group)


@pytest.mark.parametrize("user", [None, "ml", "root", "0", "5000", "5000:5001", "ml:0"])
def test_whoever_runs_below_runs_above(user: str | None) -> None:
    own = account_of(ROOT, user)
    stacked = account_of(above(ROOT, Docker(user=user)), None, own.user)
    assert (stacked.user, stacked.home, stacked.uid, stacked.owned) == (own.user, own.home, own.uid, False)
    twice = above(above(ROOT, Docker(user=user)), Docker(base_environment="x"))
    assert account_of(twice, None, own.user) == stacked


def test_another_user_is_made_beside_the_one_below() -> None:
    account = account_of(above(ROOT, Docker()), "ml", "1000:1000")
    assert (account.name, account.uid, account.owned) == ("ml", 1001, True)
    assert accounts_over(above(ROOT, Docker()), Docker(base_environment="x", user="ml"))[0] == account.passwd
