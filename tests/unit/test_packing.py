"""How packages are divided among layers: by names and sizes alone, and stable under change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.assembly.packing import ALONE, GROUP, Group, pack
from reconciler.errors import BuildError
from reconciler.lock.model import Package

PLENTY = 10_000
SIZES = st.one_of(st.integers(1, ALONE - 1), st.integers(1, 4 * ALONE))
LOCKS = st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), SIZES, min_size=1, max_size=120)


def package(name: str, size: int, version: str = "1") -> Package:
    return Package(name=name, version=version, file=f"{name}-{version}-py3-none-any.whl", size=size, sha256="0" * 64)


def packages(sizes: dict[str, int]) -> list[Package]:
    return [package(name, size) for name, size in sizes.items()]


def names(groups: tuple[Group[Package], ...]) -> set[frozenset[str]]:
    return {frozenset(package.name for package in group.packages) for group in groups}


@given(LOCKS, st.integers(1, 60))
def test_every_package_is_in_one_layer_and_there_are_no_more_than_allowed(sizes: dict[str, int], limit: int) -> None:
    groups = pack(packages(sizes), limit_layers=limit)
    assert len(groups) <= limit
    assert sorted(package.name for group in groups for package in group.packages) == sorted(sizes)


@given(LOCKS, st.randoms())
def test_the_order_in_which_packages_come_does_not_matter(sizes: dict[str, int], random: object) -> None:
    shuffled = packages(sizes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    assert pack(shuffled, limit_layers=PLENTY) == pack(packages(sizes), limit_layers=PLENTY)


@given(LOCKS)
def test_large_packages_stand_alone_and_groups_hold_no_more_than_they_may(sizes: dict[str, int]) -> None:
    for group in pack(packages(sizes), limit_layers=PLENTY):
        large = [package for package in group.packages if package.size >= ALONE]
        assert len(group.packages) == 1 or not large
        assert len(group.packages) == 1 or sum(package.size for package in group.packages) <= GROUP


@given(LOCKS, st.data())
def test_a_new_version_of_the_same_size_changes_one_layer(sizes: dict[str, int], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(sizes)))
    before = pack(packages(sizes), limit_layers=PLENTY)
    changed = [replace(one, version="2") if one.name == name else one for one in packages(sizes)]
    after = pack(changed, limit_layers=PLENTY)
    assert names(before) == names(after)
    assert len({*before} ^ {*after}) == len(("one before", "one after"))


@given(LOCKS, st.from_regex(r"[a-z]{7}", fullmatch=True), SIZES)
def test_a_package_that_joins_only_touches_the_group_that_it_joins(sizes: dict[str, int], name: str, size: int) -> None:
    before = names(pack(packages(sizes), limit_layers=PLENTY))
    after = names(pack(packages({**sizes, name: size}), limit_layers=PLENTY))
    touched = before - after
    assert len(touched) <= 1  # the group that it went into, or that was divided for it
    assert frozenset().union(*(after - before)) == frozenset([name]).union(*touched)


def test_the_long_tail_is_a_few_layers() -> None:
    tail = packages({f"package{number}": 200_000 for number in range(400)})
    assert len(pack(tail, limit_layers=PLENTY)) < len(tail) / 10


def test_nothing_is_no_layer_and_no_room_is_an_error() -> None:
    assert pack([], limit_layers=0) == ()
    with pytest.raises(BuildError, match="no room"):
        pack([package("a", 1)], limit_layers=0)


def test_two_files_of_one_project_can_share_a_group_however_large() -> None:
    twice = [replace(package("a", ALONE - 1), version=str(number)) for number in range(20)]
    assert len(pack(twice, limit_layers=PLENTY)) == 1
