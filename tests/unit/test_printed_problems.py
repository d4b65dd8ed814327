from __future__ import annotations

import json

import pytest

from reconciler.manifest.problem import Problem
from reconciler.reports.problems import render_github, render_json, render_text
from reconciler.values.location import Location

FOUND = (
    Problem(Location("b.yaml", 2, 3), "unknown field `base_imge`", "did you mean `base_image`?"),
    Problem(Location("a.yaml", 1, 1), "the file is empty"),
)


def test_text_is_a_line_for_each_problem_in_order() -> None:
    assert render_text(FOUND) == (
        "a.yaml:1:1: error: the file is empty\n"
        "b.yaml:2:3: error: unknown field `base_imge` (did you mean `base_image`?)\n"
    )


def test_json_can_be_read_and_is_ascii() -> None:
    text = render_json((Problem(Location("ü.yaml", 1, 1), "é"),))
    assert text.isascii()
    assert text.endswith("}\n")
    assert json.loads(text)["problems"][0]["path"] == "ü.yaml"


def test_an_annotation_is_a_line_for_each_problem() -> None:
    lines = render_github(FOUND).splitlines()
    assert lines[0] == "::error file=a.yaml,line=1,col=1::the file is empty"
    assert len(lines) == 2


@pytest.mark.parametrize("render", [render_text, render_github])
def test_nothing_is_printed_where_nothing_is_wrong(render: object) -> None:
    assert callable(render)
    assert render(()) == ""
