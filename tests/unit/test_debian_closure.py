"""Which packages are needed: dependencies, what may stay, and what is refused."""

from __future__ import annotations

from itertools import permutations

import pytest

from reconciler.debian.closure import Wish, close
from reconciler.debian.offer import Offer
from reconciler.errors import ResolveError
from reconciler.lock.system import Part
from reconciler.values.location import Location
from tests.offers import kept, offer, offers, stanza, versions, wishes

# -- what is needed ---------------------------------------------------------------------------------------------


def chosen(found: Offer, *names: str, **staying: str) -> dict[str, str]:
    """Close, and give names and versions."""
    return versions(close(wishes(*names), found, kept(found, **staying)))


def test_what_is_depended_on_comes_and_what_is_only_recommended_does_not() -> None:
    found = offer(
        stanza("aa", depends="bb (>= 1)", pre_depends="cc", recommends="dd", suggests="dd"),
        stanza("bb", depends="ee"),
        *(stanza(name) for name in ("cc", "dd", "ee", "xx")),
    )
    assert set(chosen(found, "aa")) == {"aa", "bb", "cc", "ee"}


def test_packages_that_need_one_another_are_chosen_once() -> None:
    found = offer(stanza("aa", depends="bb"), stanza("bb", depends="aa"))
    assert set(chosen(found, "bb")) == {"aa", "bb"}


def test_the_newest_version_of_all_archives_is_chosen_and_of_two_alike_the_first_archives() -> None:
    found = offers(
        [[stanza("aa", "1.9"), stanza("bb", "2")], [stanza("aa", "1.10")], [stanza("bb", "2-0"), stanza("bb", "2")]]
    )
    choices = close(wishes("aa", "bb"), found, {})
    assert [(one.candidate.version, one.candidate.archive) for one in choices] == [
        ("1.10", "debian/bookworm/1"),
        ("2", "debian/bookworm/main"),
    ]


def test_of_alternatives_the_first_that_is_there_comes() -> None:
    found = offer(stanza("aa", depends="gone | bb | cc"), stanza("bb"), stanza("cc"))
    assert set(chosen(found, "aa")) == {"aa", "bb"}


@pytest.mark.parametrize("order", list(permutations(["aa", "cc", "dd"])))
def test_an_alternative_that_is_needed_anyway_is_enough_in_whatever_order(order: tuple[str, ...]) -> None:
    found = offer(stanza("aa", depends="bb | cc"), stanza("bb"), stanza("cc"), stanza("dd", depends="cc"))
    assert set(chosen(found, *order)) == {"aa", "cc", "dd"}


def test_a_virtual_package_is_provided_by_the_most_important_then_by_name() -> None:
    found = offer(
        stanza("aa", depends="virtual"),
        stanza("pp", provides="virtual"),
        stanza("qq", provides="virtual", priority="standard"),
        stanza("oo", provides="virtual"),
    )
    assert set(chosen(found, "aa")) == {"aa", "qq"}
    plain = offer(stanza("aa", depends="virtual"), stanza("pp", provides="virtual"), stanza("oo", provides="virtual"))
    assert set(chosen(plain, "aa")) == {"aa", "oo"}


def test_a_relation_with_a_version_is_met_by_what_is_provided_in_one() -> None:
    found = offer(
        stanza("aa", depends="api (>= 2)"),
        stanza("old", provides="api (= 1)"),
        stanza("plain", provides="api"),
        stanza("some", provides="api (= 2.1)"),
    )
    assert set(chosen(found, "aa")) == {"aa", "some"}


def test_what_is_provided_already_brings_no_other_provider() -> None:
    found = offer(stanza("aa", depends="virtual"), stanza("xx", provides="virtual"), stanza("bb", provides="virtual"))
    assert set(chosen(found, "aa", "xx")) == {"aa", "xx"}


def test_a_relation_may_name_the_architecture_that_is_solved_for() -> None:
    found = offer(
        stanza("aa", depends="bb:any, cc:amd64"), stanza("bb"), stanza("cc"), stanza("dd", depends="cc:arm64")
    )
    assert set(chosen(found, "aa")) == {"aa", "bb", "cc"}
    with pytest.raises(ResolveError, match="dd 1 needs cc:arm64"):
        chosen(found, "dd")


def test_a_part_is_the_same_whatever_the_parts_behind_it_add() -> None:
    found = offer(
        stanza("base", depends="xx | yy"),
        stanza("xx"),
        stanza("yy"),
        stanza("more", depends="yy, xx, zz"),
        stanza("zz"),
    )
    alone = close(wishes("base"), found, {})
    choices = close([*wishes("more", part=Part.ADDED), *wishes("base")], found, {})
    assert {one.candidate.name: one.part for one in choices} == {
        "base": Part.BASE,
        "xx": Part.BASE,
        "more": Part.ADDED,
        "yy": Part.ADDED,
        "zz": Part.ADDED,
    }
    assert [one for one in choices if one.part is Part.BASE] == list(alone)


# -- versions ---------------------------------------------------------------------------------------------------


def _twins(*found: str) -> list[str]:
    return [
        one
        for version in found
        for one in (stanza("aa", version, depends=f"aa-data (= {version})"), stanza("aa-data", version))
    ]


def test_a_version_that_is_asked_for_takes_the_ones_that_need_just_it_along() -> None:
    found = offer(*_twins("1", "2", "3"), stanza("bb", depends="aa-data"))
    assert chosen(found, "bb", "aa=2") == {"aa": "2", "aa-data": "2", "bb": "1"}


def test_an_older_version_is_chosen_where_the_newest_is_too_new_for_another() -> None:
    found = offer(stanza("aa", "1"), stanza("aa", "2"), stanza("bb", depends="cc"), stanza("cc", depends="aa (<< 2)"))
    assert chosen(found, "aa", "bb") == {"aa": "1", "bb": "1", "cc": "1"}


def test_an_older_version_is_chosen_where_the_newest_needs_what_is_not_there() -> None:
    found = offer(stanza("aa", "1"), stanza("aa", "2", depends="gone"))
    assert chosen(found, "aa") == {"aa": "1"}


# -- what stays -------------------------------------------------------------------------------------------------


def test_what_is_there_stays_although_something_newer_is_offered() -> None:
    found = offer(*_twins("1", "2"), stanza("bb", depends="aa"), stanza("bb", "2", depends="aa"))
    assert chosen(found, "bb", aa="1", aa_data="1", bb="1") == {"aa": "1", "aa-data": "1", "bb": "1"}


def test_only_what_a_new_wish_moves_moves() -> None:
    found = offer(*_twins("1", "2", "3"), stanza("bb"), stanza("bb", "2"), stanza("new", depends="aa-data (>= 2)"))
    assert chosen(found, "aa", "bb", "new", aa="1", aa_data="1", bb="1") == {
        "aa": "3",
        "aa-data": "3",
        "bb": "1",
        "new": "1",
    }


def test_a_package_that_may_move_takes_along_what_needs_just_it() -> None:
    found = offer(*_twins("1", "2"), stanza("bb"), stanza("bb", "2"))
    assert chosen(found, "aa", "bb", aa_data="1", bb="1") == {"aa": "2", "aa-data": "2", "bb": "1"}


def test_what_breaks_an_older_version_moves_it() -> None:
    found = offer(stanza("aa"), stanza("aa", "2"), stanza("new", breaks="aa (<< 2)"))
    assert chosen(found, "aa", "new", aa="1") == {"aa": "2", "new": "1"}
    assert chosen(found, "new", "aa", aa="1") == {"aa": "2", "new": "1"}


def test_the_alternative_that_is_there_stays() -> None:
    found = offer(stanza("aa", depends="bb | cc"), stanza("bb"), stanza("cc"), stanza("vv", depends="ww"))
    assert set(chosen(found, "aa", aa="1", cc="1")) == {"aa", "cc"}


def test_what_nothing_needs_any_more_goes() -> None:
    found = offer(stanza("aa", depends="bb"), stanza("bb"), stanza("cc"))
    assert set(chosen(found, "cc", aa="1", bb="1", cc="1")) == {"cc"}


# -- what is refused --------------------------------------------------------------------------------------------


def refusal(found: Offer, *names: str, **staying: str) -> str:
    """Give what is said."""
    with pytest.raises(ResolveError) as caught:
        chosen(found, *names, **staying)
    return caught.value.message


def test_what_is_nowhere_is_named_with_all_that_leads_to_it() -> None:
    found = offer(
        stanza("aa", depends="bb"), stanza("bb", "2", depends="cc (>= 3)"), stanza("cc", "1"), stanza("cc", "2")
    )
    assert refusal(found, "aa") == (
        "aa 1 needs bb: bb 2 needs cc (>= 3): of cc the archives have 2, 1, and not cc (>= 3)"
    )
    assert refusal(offer(stanza("aa", depends="bb | cc")), "aa") == "aa 1 needs bb | cc: no archive has bb | cc"


@pytest.mark.parametrize("field", ["conflicts", "breaks"])
def test_packages_that_conflict_are_refused_by_name(field: str) -> None:
    found = offer(stanza("aa", depends="cc"), stanza("bb", **{field: "cc (<< 2)"}), stanza("cc"))
    assert refusal(found, "aa", "bb") == "aa 1 needs cc: cc 1 can't be installed beside bb 1"
    assert refusal(found, "cc", "bb") == "bb 1 can't be installed beside cc 1"


def test_what_conflicts_with_a_name_conflicts_with_all_that_provide_it_but_itself() -> None:
    mail = [stanza(name, provides="mta", conflicts="mta") for name in ("aa", "bb")]
    assert set(chosen(offer(*mail), "aa")) == {"aa"}
    assert refusal(offer(*mail), "aa", "bb") == "bb 1 can't be installed beside aa 1"


def test_an_alternative_that_conflicts_is_passed_over() -> None:
    found = offer(stanza("aa", depends="bb | cc"), stanza("bb", conflicts="dd"), stanza("cc"), stanza("dd"))
    assert set(chosen(found, "aa", "dd")) == {"aa", "cc", "dd"}


def test_an_alternative_whose_own_needs_can_not_be_met_is_passed_over() -> None:
    found = offer(
        stanza("aa", depends="bb | cc"), stanza("bb", depends="xx"), stanza("xx", depends="gone"), stanza("cc")
    )
    assert set(chosen(found, "aa")) == {"aa", "cc"}


def test_versions_that_two_ask_for_and_no_one_has_are_refused() -> None:
    found = offer(*_twins("1", "2"), stanza("bb", depends="aa-data (>> 1)"))
    assert refusal(found, "aa=1", "bb") == "aa 1 needs aa-data (= 1): aa-data (>> 1) is needed too"


def test_a_refusal_is_where_the_package_is_asked_for() -> None:
    where = Location("environments/some.yaml", 7, 3)
    found = offer(stanza("aa", depends="bb"), stanza("bb", depends="gone"))
    with pytest.raises(ResolveError) as caught:
        close([Wish(name="aa", part=Part.ADDED, where=where)], found, {})
    assert caught.value.where == where
