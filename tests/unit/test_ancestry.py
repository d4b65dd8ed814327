"""How a commit stands to one that a registry holds, over generated histories."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from reconciler.plan.ancestry import Answer, Judgement, Relation, Verdict, judge
from reconciler.reconcile.lineage import Lineage
from reconciler.values.commit import Commit
from tests.graph import Graph, commit

Counter = Callable[[str, int], None]
A, B = Commit("a" * 40), Commit("b" * 40)
GRAPHS = 26


def relation(ours: Commit | None, theirs: Commit | None, first: bool | None, second: bool | None) -> Relation:  # noqa: FBT001  # a table's columns
    return judge(ours, theirs, Answer(theirs_first=first, ours_first=second)).relation


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (True, False, Relation.NEWER),
        (True, None, Relation.NEWER),
        (False, True, Relation.OLDER),
        (None, True, Relation.OLDER),
        (False, False, Relation.DIVERGED),
        (None, False, Relation.UNKNOWN),
        (False, None, Relation.UNKNOWN),
        (None, None, Relation.UNKNOWN),
    ],
)
def test_every_answer_is_one_relation(*, first: bool | None, second: bool | None, expected: Relation) -> None:
    assert relation(A, B, first, second) is expected
    assert relation(A, A, first, second) is Relation.SAME
    assert relation(A, None, first, second) is relation(None, None, first, second) is Relation.FIRST
    assert relation(None, B, first, second) is Relation.UNTRACKED


@pytest.mark.parametrize("one", Relation)
def test_only_what_is_known_to_be_newer_goes_on(one: Relation) -> None:
    verdicts = {
        Relation.FIRST: Verdict.GO_ON,
        Relation.SAME: Verdict.GO_ON,
        Relation.NEWER: Verdict.GO_ON,
        Relation.OLDER: Verdict.SUPERSEDED,
    }
    judgement = Judgement(ours=A, theirs=B, relation=one)
    assert judgement.verdict is verdicts.get(one, Verdict.REFUSED)
    assert Judgement(ours=A, theirs=B, relation=one, take_over=True).verdict is Verdict.GO_ON


@pytest.mark.parametrize(
    ("one", "hint"),
    [
        (Relation.DIVERGED, "merge or rebase"),
        (Relation.UNKNOWN, "git fetch --unshallow"),
        (Relation.UNTRACKED, "apply from a clone"),
    ],
)
def test_a_refusal_names_both_commits_and_what_to_do(one: Relation, hint: str) -> None:
    ours = None if one is Relation.UNTRACKED else A
    error = Judgement(ours=ours, theirs=B, relation=one).refusal("training v3")
    assert error.exit_code == 6
    assert B.short in error.message
    assert ours is None or A.short in error.message
    assert "training v3" in error.message
    assert hint in str(error.hint)
    assert "--take-over" in str(error.hint)


def test_what_is_superseded_is_one_line_with_both_commits() -> None:
    line = Judgement(ours=A, theirs=B, relation=Relation.OLDER).superseded("the registry")
    assert line.startswith(f"superseded: commit {A.short} ")
    assert B.short in line
    assert "\n" not in line


# -- over histories ---------------------------------------------------------------------------------------------


def graphs() -> Iterator[tuple[Graph, dict[str, set[str]]]]:
    """Give histories with branches, merges and unrelated beginnings, and the ancestors of each commit in them."""
    chance = random.Random(20261123)  # noqa: S311  # any spread will do, and the same every time
    for number in range(GRAPHS):
        parents: dict[str, list[str]] = {}
        before: dict[str, set[str]] = {}
        for index in range(chance.randint(2, 12)):
            name = f"{number}.{index}"
            count = min(len(parents), chance.choice([0, 1, 1, 1, 1, 2]))
            parents[name] = chance.sample(sorted(parents), count)
            before[name] = {name}.union(*(before[one] for one in parents[name]))
        yield Graph(parents), before


def expected(before: dict[str, set[str]], ours: str, theirs: str) -> Relation:
    if ours == theirs:
        return Relation.SAME
    if theirs in before[ours]:
        return Relation.NEWER
    return Relation.OLDER if ours in before[theirs] else Relation.DIVERGED


def sampled(names: list[str], chance: random.Random) -> list[tuple[str, str]]:
    return [(chance.choice(names), chance.choice(names)) for _ in range(6)]


def test_commits_of_any_history_are_judged_as_it_is(count_cases: Counter) -> None:
    chance = random.Random(1)  # noqa: S311  # as above
    for graph, before in graphs():
        for ours, theirs in sampled(sorted(before), chance):
            lineage = Lineage(graph, Commit(commit(ours)))
            assert lineage.judge(commit(theirs)).relation is expected(before, ours, theirs)
            count_cases("F6", 1)
        assert graph.deepened == 0


@pytest.mark.parametrize("gives", [True, False])
def test_a_shallow_clone_is_deepened_once_and_never_told_more_than_is_known(
    count_cases: Counter, *, gives: bool
) -> None:
    chance = random.Random(2)  # noqa: S311  # as above
    for graph, before in graphs():
        for ours, theirs in sampled(sorted(before), chance):
            others = [name for name in sorted(before) if name != ours]
            shallow = Graph({}, [], gives=gives)
            shallow.parents = graph.parents
            shallow.lacking = {commit(name) for name in chance.sample(others, chance.randint(1, len(others)))}
            truth = expected(before, ours, theirs)
            lineage = Lineage(shallow, Commit(commit(ours)))
            found = lineage.judge(commit(theirs)).relation
            assert found is truth if gives else found in {truth, Relation.UNKNOWN}
            assert shallow.deepened <= 1
            assert lineage.judge(commit(theirs)).relation is found
            assert shallow.deepened <= 1, "an answer is kept"
            count_cases("F6", 1)


def test_without_a_history_nothing_but_the_same_commit_goes_on() -> None:
    lineage = Lineage(None, A)
    assert lineage.judge(str(A)).verdict is Verdict.GO_ON
    assert lineage.judge(None).verdict is Verdict.GO_ON
    assert lineage.judge(str(B)).relation is Relation.UNKNOWN


def test_more_unknown_commits_than_a_few_do_not_fetch_for_ever() -> None:
    graph = Graph({"1": "", "2": "1"}, lacking=["2"], gives=False)
    lineage = Lineage(graph, Commit(commit("1")))
    for number in range(20):
        assert lineage.judge(f"{number:040x}").relation is Relation.UNKNOWN
    assert graph.deepened == 3
