"""Versions of Debian packages under Hypothesis: an order, and the one that dpkg has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.debian.version import parse_version
from tests.debian import Required

parts = st.text("01~+.az9Z", max_size=6)
upstreams = st.builds(lambda first, rest: f"{first}{rest}", st.sampled_from("019"), st.text("01~+.-az9Z", max_size=6))
versions = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "", "0:", "1:", "10:"]),
    upstreams.filter(lambda text: not text.endswith("-")),
    st.one_of(st.just(""), parts.filter(bool).map("-{}".format)),
)


@pytest.fixture
def dpkg(required: Required) -> Path:
    return required.program("dpkg")


def _signs(dpkg: Path, pairs: list[tuple[str, str]]) -> list[str]:
    script = (
        'while read -r a b; do if "$0" --compare-versions "$a" lt "$b"; then echo "<";'
        ' elif "$0" --compare-versions "$a" eq "$b"; then echo "="; else echo ">"; fi; done'
    )
    text = "".join(f"{left} {right}\n" for left, right in pairs)
    done = subprocess.run(["sh", "-c", script, dpkg], input=text, capture_output=True, text=True, check=True)
    return done.stdout.split()


def _own_sign(left: str, right: str) -> str:
    one, other = parse_version(left), parse_version(right)
    return "<" if one < other else "=" if one == other else ">"


def test_versions_have_the_order_that_dpkg_has(dpkg: Path) -> None:
    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.tuples(versions, versions), min_size=5, max_size=20))
    def compare(pairs: list[tuple[str, str]]) -> None:
        assert [_own_sign(*pair) for pair in pairs] == _signs(dpkg, pairs)

    compare()


def test_close_versions_have_the_order_that_dpkg_has(dpkg: Path) -> None:
    written = [
        "1.0",
        "1.0-0",
        "0:1.0",
        "1.0~",
        "1.0~~",
        "1.0~a",
        "1.0a",
        "1.0+",
        "1.0.",
        "1.00",
        "1.0-1",
        "1.0-1~",
        "1:0",
    ]
    written += [
        "1.0-1+b1",
        "1.0-1.1",
        "1-1-1",
        "1-1",
        "1.10",
        "1.9",
        "2.36-9+deb12u10",
        "2.36-9+deb12u9",
        "0",
        "0~",
        "00",
    ]
    pairs = [(left, right) for left in written for right in written]
    assert [_own_sign(*pair) for pair in pairs] == _signs(dpkg, pairs)


@given(versions, versions, versions)
def test_the_order_is_total(one: str, two: str, three: str) -> None:
    found = sorted(map(parse_version, (one, two, three)))
    assert found[0] <= found[1] <= found[2]
    assert found[0] <= found[2]
    assert (parse_version(one) == parse_version(two)) is (hash(parse_version(one)) == hash(parse_version(two)))
