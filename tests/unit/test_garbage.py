"""What goes and what stays, as a function over values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.plan.garbage import CACHES, GRACE_S, File, Holding, Kind, Level, Link, Needs, Rule, Selection, select

NOW = 1_800_000_000.0
DAY = 86_400.0
NUMBERS = count()


def rule(*, older_than_s: float = 30 * DAY, keep_bytes: int = 1 << 40, now_s: float = NOW) -> Rule:
    return Rule(now_s=now_s, older_than_s=older_than_s, keep_bytes=keep_bytes)


def holding(
    kind: Kind = Kind.WHEEL,
    *,
    days: float = 1.0,
    level: Level = Level.SPARE,
    size: int = 0,
    links: tuple[Link, ...] = (),
) -> Holding:
    name = str(next(NUMBERS))
    return Holding(kind=kind, name=name, place=f"/{name}", used_s=NOW - days * DAY, level=level, size=size, links=links)


def goes(holdings: Sequence[Holding], given_rule: Rule | None = None) -> list[Holding]:
    return list(select(holdings, given_rule or rule()).taken)


def test_what_is_needed_stays_however_old_and_large() -> None:
    needed = holding(Kind.ENVIRONMENT, days=9000, level=Level.NEEDED, size=1 << 50)
    assert goes([needed], rule(keep_bytes=0, older_than_s=0)) == []


def test_waste_goes_whatever_there_is_room_for() -> None:
    waste = holding(Kind.BLOB, level=Level.WASTE, size=1)
    assert goes([waste, holding(size=1)]) == [waste]


def test_what_was_not_used_for_long_goes_where_nothing_would_use_it() -> None:
    old, wanted, young = holding(days=31, size=1), holding(days=31, size=1, level=Level.WANTED), holding(size=1)
    assert goes([old, wanted, young]) == [old]


def test_for_the_size_the_longest_unused_goes_first_and_what_is_wanted_last() -> None:
    wanted = holding(days=9, size=10, level=Level.WANTED)
    first, second = holding(days=3, size=10), holding(days=2, size=10)
    everything = [wanted, second, first]
    assert goes(everything, rule(keep_bytes=30)) == []
    assert goes(everything, rule(keep_bytes=29)) == [first]
    assert goes(everything, rule(keep_bytes=10)) == [first, second]
    assert goes(everything, rule(keep_bytes=9)) == [first, second, wanted]


@pytest.mark.threat("F7")
@pytest.mark.parametrize("age_s", [0.0, GRACE_S - 1, -1.0, -DAY, -9000 * DAY])
@pytest.mark.parametrize("level", [Level.WASTE, Level.SPARE, Level.WANTED])
def test_what_was_used_within_the_hour_or_in_the_future_stays(age_s: float, level: Level) -> None:
    assert goes([holding(days=age_s / DAY, level=level, size=9)], rule(keep_bytes=0, older_than_s=0)) == []


@pytest.mark.threat("F7")
@pytest.mark.parametrize("years", [-50, -1, 1, 50])
def test_a_clock_that_is_wrong_by_years_takes_nothing_that_is_needed(years: int) -> None:
    wrong = rule(now_s=NOW + years * 365 * DAY)
    needed, wanted = holding(level=Level.NEEDED, size=1), holding(level=Level.WANTED, size=1)
    taken = goes([needed, wanted, holding(size=1)], wrong)
    assert not {needed, wanted} & set(taken)
    assert taken == [] or years > 0


def test_a_file_with_two_names_is_counted_once_and_freed_with_the_second() -> None:
    link = Link(file=(1, 1), size=100, names=2)
    first, second = holding(days=3, links=(link,)), holding(days=2, links=(link,))
    selection = select([first, second], rule(keep_bytes=99))
    assert (selection.held, selection.taken, selection.frees) == (100, (first, second), (0, 100))
    assert selection.there[Kind.WHEEL].size == 100
    assert goes([first, second], rule(keep_bytes=100)) == []


def test_a_layer_whose_bytes_the_registry_holds_too_frees_nothing_and_stays() -> None:
    link = Link(file=(1, 1), size=100, names=2)
    shared = holding(Kind.LAYER, days=99, links=(link,))
    selection = select([shared], rule(keep_bytes=0))
    assert (selection.held, selection.taken) == (0, ())


def test_a_file_that_a_needed_environment_has_too_is_not_freed() -> None:
    link = Link(file=(1, 1), size=100, names=2)
    needed = holding(Kind.ENVIRONMENT, level=Level.NEEDED, links=(link,))
    other = holding(Kind.ENVIRONMENT, days=99, links=(link,), size=1)
    selection = select([needed, other], rule(keep_bytes=0))
    assert (selection.taken, selection.frees, selection.left) == ((other,), (1,), 100)


def test_environments_that_could_not_be_judged_are_needed() -> None:
    known = Needs(environments=frozenset(["aa"]), unknown=frozenset(["broken"]))
    assert known.level_of_environment("any", "aa") is Level.NEEDED
    assert known.level_of_environment("any", "bb") is Level.SPARE
    assert known.level_of_environment("broken", "bb") is Level.NEEDED
    assert Needs(unknown=None).level_of_environment("any", "bb") is Level.NEEDED


# -- whatever there is ------------------------------------------------------------------------------------------

SIZES = st.integers(0, 50)


@st.composite
def disks(draw: st.DrawFn) -> list[Holding]:
    """Draw holdings that share some files among them and some with others."""
    files = draw(st.lists(st.tuples(SIZES, st.integers(0, 2)), max_size=5))
    number = draw(st.integers(1, 8))
    has = [sorted(draw(st.sets(st.sampled_from(range(len(files)))))) if files else [] for _ in range(number)]
    names = Counter(file for one in has for file in one)
    found = []
    for place, mine in enumerate(has):
        links = tuple(
            Link(file=(0, file), size=files[file][0], names=names[file] + files[file][1])
            for file in mine
            if names[file] + files[file][1] > 1
        )
        level = draw(st.sampled_from(Level))
        kind = draw(st.sampled_from([Kind.BLOB, Kind.LEFTOVER] if level is Level.WASTE else sorted(CACHES, key=str)))
        found.append(
            Holding(
                kind=kind,
                name=str(place),
                place=f"/{place}",
                used_s=NOW - draw(st.sampled_from([-9 * DAY, 0, GRACE_S, DAY, 20 * DAY, 40 * DAY])),
                level=level,
                size=draw(SIZES),
                links=links,
            )
        )
    return found


def left_of(holdings: Sequence[Holding], selection: Selection) -> list[Holding]:
    return [one for one in holdings if one not in selection.taken]


def bytes_on(holdings: Sequence[Holding], outside: Counter[File]) -> int:
    """Count what a disk holds: each file while any name of it is left."""
    sizes = {link.file: link.size for one in holdings for link in one.links}
    gone = {file: size for file, size in sizes.items() if not outside[file]}
    return sum(one.size for one in holdings) + sum(gone.values())


@given(holdings=disks(), keep=SIZES)
def test_never_what_is_needed_or_new_and_until_it_is_enough_or_nothing_is_left(
    holdings: list[Holding], keep: int
) -> None:
    given_rule = rule(keep_bytes=keep)
    selection = select(holdings, given_rule)
    assert len(set(selection.taken)) == len(selection.taken)
    for one in selection.taken:
        assert one.level is not Level.NEEDED
        assert one.used_s <= NOW - GRACE_S
    if selection.left > keep:
        rest = [one for one in left_of(holdings, selection) if one.kind in CACHES]
        assert all(one.level is Level.NEEDED or one.used_s > NOW - GRACE_S or not one.size for one in rest)
    assert select(list(reversed(holdings)), given_rule) == selection


@given(holdings=disks(), keep=SIZES)
def test_what_is_said_to_be_freed_is_what_the_disk_holds_less(holdings: list[Holding], keep: int) -> None:
    selection = select(holdings, rule(keep_bytes=keep))
    links = {link.file: link.names for one in holdings for link in one.links}
    known = Counter(link.file for one in holdings for link in one.links)
    outside = Counter({file: names - known[file] for file, names in links.items()})
    before, after = bytes_on(holdings, outside), bytes_on(left_of(holdings, selection), outside)
    assert before - after == selection.freed
    assert selection.left <= selection.held
