"""Challenges are read as RFC 9110 writes them, and what is no challenge is passed over."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.clients.registry.challenge import (
    MAX_CHALLENGES,
    MAX_LENGTH,
    MAX_PARAMETERS,
    Challenge,
    parse_challenges,
)

TOKEN = st.text("!#$%&'*+.^_`|~-09azAZ", min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
CHALLENGE = st.builds(
    lambda scheme, parameters: Challenge(scheme=scheme.lower(), parameters=parameters),
    TOKEN,
    st.dictionaries(TOKEN.map(str.lower), VALUE, max_size=4),
)
GAP = st.sampled_from(["", " ", "\t", "  "])


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def written(challenge: Challenge, gap: str = "") -> str:
    pairs = (f"{name}{gap}={gap}{quoted(value)}" for name, value in challenge.parameters.items())
    return f"{challenge.scheme} {f'{gap},{gap}'.join(pairs)}"


def read(*values: str) -> list[tuple[str, dict[str, str]]]:
    return [(found.scheme, dict(found.parameters)) for found in parse_challenges(values)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([""], []),
        ([" , ,"], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="a b"'], [("basic", {"realm": "a b"})]),
        (
            ['Bearer realm="https://auth.example.org/t",service="r",scope="repository:a:pull,push"'],
            [("bearer", {"realm": "https://auth.example.org/t", "service": "r", "scope": "repository:a:pull,push"})],
        ),
        (['BEARER REALM="x" , Service = y'], [("bearer", {"realm": "x", "service": "y"})]),
        (['Basic realm="x", Bearer realm="y"'], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (['Basic realm="x"', "Bearer realm=y"], [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (['Basic, Bearer realm="y"'], [("basic", {}), ("bearer", {"realm": "y"})]),
        (["Negotiate YWJj==, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (['Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'],
         [("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}), ("basic", {"realm": "simple"})]),
        (['Bearer realm="a, Basic realm=b"'], [("bearer", {"realm": "a, Basic realm=b"})]),
        (['Bearer realm=""'], [("bearer", {"realm": ""})]),
        (["Bearer realm=https://auth.example.org/token,service=r"],
         [("bearer", {"realm": "https://auth.example.org/token", "service": "r"})]),
        (['Bearer realm="x" service="y"'], [("bearer", {"realm": "x", "service": "y"})]),
        (['Bearer realm="first",realm="second"'], [("bearer", {"realm": "first"})]),
        (['Bearer realm="open, service="y"'], [("bearer", {"realm": "open, service="})]),
        (['Bearer realm="open, service=y'], [("bearer", {"service": "y"})]),
        (['Bearer realm="a\r\nX: y", service=z'], [("bearer", {"service": "z"})]),
        (['=x, ,"a", Basic realm=x'], [("basic", {"realm": "x"})]),
        (['realm="x"'], []),
    ],
)  # fmt: skip
def test_challenges_are_read(values: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert read(*values) == expected


def test_what_is_read_is_bounded() -> None:
    assert read(f'Basic realm="{"x" * MAX_LENGTH}"') == []
    assert len(read(*["Basic realm=x"] * 1000)) == MAX_CHALLENGES
    assert len(read(",".join(f"S{n} a=b" for n in range(500)))) == MAX_CHALLENGES
    ((_, parameters),) = read("Basic " + ",".join(f"a{n}=b" for n in range(500)))
    assert len(parameters) == MAX_PARAMETERS


@given(st.lists(CHALLENGE, max_size=4), GAP)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_in_one_header_or_in_several(challenges: list[Challenge], gap: str) -> None:
    apart = [written(challenge, gap) for challenge in challenges]
    assert parse_challenges(apart) == tuple(challenges)
    assert parse_challenges([f"{gap},{gap}".join(apart)]) == tuple(challenges)


@given(st.lists(st.one_of(st.text(max_size=60), st.text('abB =,"\\\t/', max_size=60)), max_size=4))
@settings(max_examples=300, deadline=None)
def test_whatever_comes_gives_challenges_without_control_characters(values: list[str]) -> None:
    for challenge in parse_challenges(values):
        assert challenge.scheme == challenge.scheme.lower() != ""
        for text in (*challenge.parameters, *challenge.parameters.values()):
            assert not any(character < " " and character != "\t" for character in text)


@given(CHALLENGE, st.text('abB =,"\\\t', max_size=40))
@settings(max_examples=150, deadline=None)
def test_rubbish_in_another_header_changes_nothing(challenge: Challenge, rubbish: str) -> None:
    assert parse_challenges([written(challenge), rubbish])[0] == challenge
