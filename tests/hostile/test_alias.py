"""T4: a long text that aliases name in thousands of places has few nodes, and would be read gigabytes long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.document import parse_document
from reconciler.manifest.node import MAX_BYTES
from reconciler.manifest.parse import read_value

SCHEMA = (Path(__file__).parents[2] / "schemas" / "environment.schema.json").read_text(encoding="utf-8")
MAX_S = 1.0
LONG = 90_000


def in_a_list(text: str, count: int) -> str:
    return f'name: a\nowner: &a "{text}"\npython: {{pip: [{",".join(["*a"] * count)}]}}\n'


def under_keys(text: str, count: int) -> str:
    return f'name: a\nowner: &a "{text}"\ntags: {{{",".join(f"k{n}: *a" for n in range(count))}}}\n'


def in_a_nested_list(text: str, count: int) -> str:
    return f'name: a\ntags: {{a: &a [["{text}"]], b: [{",".join(["*a"] * count)}]}}\n'


def in_a_key(text: str, count: int) -> str:
    return f'name: a\ntags: &a {{? "{text}" : b}}\npython: {{pip: [{",".join(["*a"] * count)}]}}\n'


AMPLIFIED = {
    "a text in a list": in_a_list("x" * LONG, 9_000),
    "a text under keys": under_keys("x" * LONG, 2_000),
    "addresses in a list": in_a_list("://" * (LONG // 3), 5_000),
    "references in a list": in_a_list("${" * (LONG // 2), 5_000),
    "a text in a list in a list": in_a_nested_list("x" * LONG, 2_000),
    "a long key": in_a_key("x" * LONG, 2_000),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in AMPLIFIED.items()])
@pytest.mark.threat("T4")
def test_a_long_text_in_many_places_is_refused_within_a_second(text: str) -> None:
    assert len(text.encode()) <= MAX_BYTES
    started = time.process_time()
    with pytest.raises(ManifestError, match="aliases stand for more than"):
        read_value(text.encode(), "environments/a.yaml", SCHEMA)
    assert time.process_time() - started < MAX_S


@pytest.mark.threat("T4")
def test_as_much_as_a_file_may_hold_may_be_named_again() -> None:
    half = "x" * (MAX_BYTES // 2 - 100)
    assert not parse_document(f"a: &a {half}\nb: [*a, *a]\n".encode(), "x.yaml").problems
    with pytest.raises(ManifestError, match="aliases stand for more than"):
        parse_document(f"a: &a {half}\nb: [*a, *a, *a]\n".encode(), "x.yaml")
