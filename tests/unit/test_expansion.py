"""References to variables, and what a program in an environment sees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.clients.activation import activate, expand_known, hide
from reconciler.errors import UsageError
from reconciler.values.expansion import expand, references


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("${A}", "one"),
        ("x${A}y${B}", "xoney${A}"),
        ("$A $(A) %A% ${} ${a b} ${1}", "$A $(A) %A% ${} ${a b} ${1}"),
        ("$${A}", "$one"),
        ("${A", "${A"),
    ],
)
def test_only_a_braced_name_is_expanded_and_only_once(text: str, expanded: str) -> None:
    assert expand(text, {"A": "one", "B": "${A}"}) == expanded


def test_an_unset_name_is_named() -> None:
    with pytest.raises(UsageError, match="MISSING"):
        expand("${MISSING}", {})


@given(st.text(st.characters(exclude_characters="$")))
def test_text_without_a_reference_stays_as_it_is(text: str) -> None:
    assert references(text) == ()
    assert expand(text, {}) == text


def test_what_this_machine_does_not_know_is_left_out() -> None:
    written = {"KEY": "${TOKEN}", "GONE": "a${MISSING}", "PLAIN": "x"}
    assert expand_known(written, {"TOKEN": "secret"}) == ({"KEY": "secret", "PLAIN": "x"}, frozenset({"secret"}))


@pytest.mark.threat("T13")
def test_the_longest_secret_is_hidden_first() -> None:
    assert hide("a secret-long, a secret", {"secret", "secret-long", "a"}) == "a ***, a ***"


def test_an_environment_comes_first_on_path_and_takes_no_other_python_along() -> None:
    own = {"PATH": "/usr/bin", "PYTHONHOME": "/other", "VIRTUAL_ENV": "/other", "KEPT": "1"}
    active = activate(own, Path("/e/bin"), {"KEPT": "2"}, environment=Path("/e"))
    assert active == {"PATH": f"/e/bin{os.pathsep}/usr/bin", "VIRTUAL_ENV": "/e", "KEPT": "2", "PYTHONNOUSERSITE": "1"}
    assert "VIRTUAL_ENV" not in activate(own, Path("/e/bin"), {})
