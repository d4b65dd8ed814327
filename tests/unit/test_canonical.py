"""One spelling for a value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.values.canonical import Json, digest_of, to_canonical

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_the_form_reads_back_and_is_one_line_without_spaces(value: Json) -> None:
    text = to_canonical(value).decode()
    assert json.loads(text) == value
    assert text == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), _JSON, max_size=5))
def test_the_order_of_keys_is_irrelevant(value: dict[str, Json]) -> None:
    assert digest_of(value) == digest_of(dict(reversed(value.items())))


@pytest.mark.parametrize(
    "value",
    [1.0, -0.5, 1e300, [1, 2.5], {"a": 1.5}, {"a": [True, {"b": 2e-9}]}, float("nan"), float("inf"), [[0.1]]],
)
def test_a_floating_point_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"float|JSON"):
        to_canonical(value)  # type: ignore[arg-type]  # what is refused


@pytest.mark.parametrize("text", ["a,1.5", ":2.0", "[3e4", "numpy==1.0", "1.0"])
def test_a_text_that_looks_like_a_number_is_a_text(text: str) -> None:
    assert json.loads(to_canonical([text, {"k": text}])) == [text, {"k": text}]


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        to_canonical("\ud800")
