"""The closure under Hypothesis: whole, the same in whatever order, and at rest where nothing moves."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from reconciler.debian.candidate import Candidate
from reconciler.debian.closure import close
from reconciler.debian.offer import Offer
from reconciler.debian.relation import Relation, parse_provided, parse_relations
from reconciler.errors import ResolveError
from tests.offers import offer, stanza, versions, wishes

NAMES = ["aa", "bb", "cc", "dd", "ee", "ff"]
OFFERED, CONFLICTS = 0.6, 0.15
BOUNDS = ["", "", "", " (>= 2)", " (<< 3)", " (= 2)"]
seeds = st.integers(0, 1 << 32)
asked = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)


def _archive(seed: int) -> Offer:
    """Give an archive of a few packages that need, provide and exclude one another as chance has it."""
    random = Random(seed)  # noqa: S311  # of tests

    def relation() -> str:
        return random.choice([*NAMES, "virtual"]) + random.choice(BOUNDS)

    def one(name: str, version: str) -> str:
        depends = [" | ".join(relation() for _ in range(random.randint(1, 3))) for _ in range(random.randint(0, 3))]
        provides = random.choice(["", "", "virtual", "virtual (= 2)"])
        conflicts = relation() if random.random() < CONFLICTS else ""
        return stanza(name, version, ", ".join(depends), provides=provides, conflicts=conflicts)

    return offer(*(one(name, version) for name in NAMES for version in "123" if random.random() < OFFERED))


def _closed(
    found: Offer, names: Sequence[str], kept: dict[str, Candidate] | None = None
) -> dict[str, Candidate] | None:
    try:
        choices = close(wishes(*names), found, kept or {})
    except ResolveError:
        return None
    return {choice.candidate.name: choice.candidate for choice in choices}


def _meets(one: Candidate, relation: Relation) -> bool:
    if one.name == relation.name and relation.admits(one.version):
        return True
    provided = parse_provided(one.provides)
    return any(name == relation.name and relation.admits_provided(version) for name, version in provided)


@settings(deadline=None)
@given(seeds, asked)
def test_what_is_chosen_is_whole_and_stands_together(seed: int, names: list[str]) -> None:
    found = _archive(seed)
    chosen = _closed(found, names)
    assume(chosen is not None)
    assert chosen is not None
    assert set(names) <= chosen.keys()
    for one in chosen.values():
        for group in parse_relations(one.depends):
            assert any(_meets(other, relation) for relation in group for other in chosen.values())
        for (relation,) in parse_relations(one.conflicts):
            assert not any(_meets(other, relation) for other in chosen.values() if other is not one)


@settings(deadline=None)
@given(seeds, asked)
def test_nothing_is_chosen_that_nothing_needs(seed: int, names: list[str]) -> None:
    found = _archive(seed)
    chosen = _closed(found, names)
    assume(chosen is not None)
    assert chosen is not None
    reached, new = set[str](), set(names)
    while new - reached:
        reached |= new
        needs = [relation for name in new for group in parse_relations(chosen[name].depends) for relation in group]
        new = {name for name, one in chosen.items() if any(_meets(one, relation) for relation in needs)}
    assert chosen.keys() <= reached


@settings(deadline=None)
@given(seeds, asked)
@example(1050, ["cc"])
@example(249, ["ee", "ff"])
def test_what_was_chosen_stays_whatever_is_offered_later(seed: int, names: list[str]) -> None:
    found = _archive(seed)
    chosen = _closed(found, names)
    assume(chosen is not None)
    assert chosen is not None
    newer = [stanza(name, "9") for name in NAMES]
    later = Offer(parts=[*found.parts, *offer(*newer).parts])
    assert _closed(found, names, chosen) == chosen
    assert _closed(later, names, chosen) == chosen


@settings(deadline=None)
@given(seeds, asked)
def test_the_same_is_chosen_each_time(seed: int, names: list[str]) -> None:
    found = _archive(seed)
    first, second = _closed(found, names), _closed(found, names)
    assert first == second
    if first is not None:
        assert versions(close(wishes(*names), found, {})) == {name: one.version for name, one in first.items()}
