"""What a plan must not do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import GuardError, ManifestError
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker
from reconciler.plan.change import Plan, Policy
from reconciler.plan.document import narrow, parse_document, to_document
from reconciler.plan.guard import refuse
from reconciler.plan.observed import Absent, Observation
from reconciler.plan.order import base_problems, order
from tests.planning import POLICY, REVISION, desired, locked, manifest, package, planned, present

A = desired("a")
OURS: dict[str, Observation] = {f"gone-{number}": present(desired(f"gone-{number}")) for number in range(6)}


def removing(count: int) -> Plan:
    seen = dict(list(OURS.items())[:count])
    return planned([A], {"a": present(A), **seen})


def refused(one: Plan, policy: Policy = POLICY, **more: bool) -> str:
    with pytest.raises(GuardError) as caught:
        refuse(one, policy, **more)
    assert caught.value.exit_code == 6
    return str(caught.value)


@pytest.mark.parametrize(("count", "limit"), [(0, 0), (1, 1), (5, 5), (6, 6)])
def test_as_many_removals_as_allowed_pass(count: int, limit: int) -> None:
    refuse(removing(count), replace(POLICY, max_deletes=limit))


@pytest.mark.parametrize(("count", "limit"), [(1, 0), (5, 4), (6, 5)])
def test_more_removals_are_refused_with_the_option_that_allows_them(count: int, limit: int) -> None:
    message = refused(removing(count), replace(POLICY, max_deletes=limit))
    assert f"{count} environments would be removed, more than {limit}: gone-0" in message
    assert f"--max-deletes {count}" in message


@pytest.mark.threat("F18")
@pytest.mark.parametrize("count", [1, 6])
def test_a_repository_that_suddenly_declares_nothing_is_refused_whatever_the_limit(count: int) -> None:
    one = planned([], dict(list(OURS.items())[:count]))
    assert "declares nothing" in refused(one, replace(POLICY, max_deletes=1000))


def test_a_repository_that_never_declared_anything_passes() -> None:
    refuse(planned([], {"a": Absent(), "b": present(A, manager="other")}), POLICY)


@pytest.mark.threat("F18")
def test_a_saved_plan_that_only_removes_is_judged_by_what_is_declared() -> None:
    one = removing(1)
    kept = narrow(one, parse_document(to_document(one)))
    assert [step.name for step in kept.steps] == ["gone-0"]
    refuse(kept, POLICY)


def test_locked_names_what_has_no_lock_and_how_to_make_it() -> None:
    policy = replace(POLICY, locked=True)
    message = refused(planned([A, locked("b", package("x", "1"))], {"a": present(A), "b": Absent()}, policy), policy)
    assert "no lock that is up to date for a" in message
    assert "`reconciler lock a`" in message
    refuse(planned(locked("b", package("x", "1")), {"b": Absent()}, policy), policy)


@pytest.mark.parametrize(
    ("remote", "dirty", "allowed", "changes", "passes"),
    [
        (True, True, False, True, False),
        (True, True, True, True, True),
        (True, False, False, True, True),
        (False, True, False, True, True),
        (True, True, False, False, True),
    ],
)
def test_a_shared_registry_takes_no_dirty_tree(
    *, remote: bool, dirty: bool, allowed: bool, changes: bool, passes: bool
) -> None:
    one = planned(A, {"a": Absent() if changes else present(A)})
    one = replace(one, revision=replace(REVISION, dirty=dirty))
    if passes:
        refuse(one, POLICY, remote=remote, allow_dirty=allowed)
    else:
        assert "--allow-dirty" in refused(one, remote=remote, allow_dirty=allowed)


# -- order ------------------------------------------------------------------------------------------------------


def upon(name: str, base: str | None) -> Desired:
    return desired(manifest(name, docker=Docker(base_environment=base)))


def waves(*wanted: Desired) -> list[list[str]]:
    one = planned(list(wanted), {item.name: Absent() for item in wanted})
    return [[step.name for step in wave] for wave in order(one.steps)]


def test_what_another_builds_on_comes_first() -> None:
    assert waves(upon("a", "c"), upon("b", None), upon("c", "d"), upon("d", None)) == [["b", "d"], ["c"], ["a"]]


def test_a_base_that_has_no_step_is_no_obstacle() -> None:
    assert waves(upon("a", "elsewhere")) == [["a"]]


@pytest.mark.parametrize("chain", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a", "d": "a"}])
def test_a_circle_is_named(chain: dict[str, str]) -> None:
    wanted = [upon(name, base) for name, base in chain.items()]
    with pytest.raises(ManifestError, match="a → ") as caught:
        waves(*wanted)
    assert caught.value.exit_code == 9
    (problem,) = base_problems(wanted)
    assert "in a circle: a → " in problem.message


def test_a_base_that_is_not_declared_is_a_problem_at_its_line() -> None:
    (problem,) = base_problems([upon("a", "nowhere"), upon("b", "a")])
    assert str(problem).startswith("environments/a.yaml:41:3: base_environment names 'nowhere'")
