"""Whatever bytes a file holds, it is read or refused with a place; what JSON says is read as JSON says it."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ManifestError
from reconciler.manifest.conversion import convert
from reconciler.manifest.document import parse_document
from reconciler.manifest.parse import read_value
from reconciler.manifest.problem import Problem
from reconciler.values.canonical import Json

SCHEMA = (Path(__file__).parents[2] / "schemas" / "environment.schema.json").read_text(encoding="utf-8")
# The pieces that YAML is made of, so that more than noise is tried.
PIECES = st.sampled_from(
    ["name", "a", ": ", ":", "- ", "\n", "\n  ", "\r\n", "\t", "{", "}", "[", "]", ", ", "&a ", "*a", "!", "!!str ",
     "|", ">", "'", '"', "\\u0041", "\\", "#", "%", "?", "? ", "---\n", "...\n", "<<", "~", ".nan", "3.10", "python",
     "pip", "\ufeff", "\x85", "\0", "\u202e", "é", "😀"]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=80)
LETTERS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
VALUES: st.SearchStrategy[Json] = st.recursive(
    LETTERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(LETTERS.filter(bool), inner, max_size=4),
    max_leaves=12,
)


def check_refusal(data: bytes) -> None:
    for problem in refusals(data):
        assert isinstance(problem, Problem)
        assert problem.location.line > 0
        assert str(problem).isprintable()


def refusals(data: bytes) -> tuple[object, ...]:
    try:
        read_value(data, "environments/a.yaml", SCHEMA)
    except ManifestError as error:
        return error.problems or (None,)
    return ()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_at_a_place(data: bytes) -> None:
    check_refusal(data)


@given(TEXTS)
def test_any_text_is_read_or_refused_at_a_place(text: str) -> None:
    check_refusal(text.encode("utf-8", "surrogatepass"))


@given(TEXTS)
def test_any_value_of_a_field_is_read_or_refused_at_a_place(text: str) -> None:
    check_refusal(f"name: a\npython:\n  version: {text}\n".encode("utf-8", "surrogatepass"))


@given(st.dictionaries(LETTERS.filter(bool), VALUES, max_size=4), st.sampled_from([None, 2]))
def test_json_is_read_as_json_says(value: dict[str, Json], indent: int | None) -> None:
    document = parse_document(json.dumps(value, indent=indent).encode(), "a.yaml")
    assert not document.problems
    assert convert(document.root, {}).value == value


@given(TEXTS)
def test_a_second_reading_says_the_same(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    assert outcome(data) == outcome(data)


def outcome(data: bytes) -> object:
    try:
        return parse_document(data, "a.yaml")
    except ManifestError as error:
        return error.problems
