from __future__ import annotations

from reconciler.manifest.problem import Problem
from reconciler.reports.problems import to_annotations, to_json, to_text
from reconciler.values.location import Location

PROBLEM = Problem(Location("environments/a.yaml", 3, 5), "wrong", "write it right")


def test_a_line_says_where_what_and_the_fix() -> None:
    assert to_text([PROBLEM]) == ("environments/a.yaml:3:5: error: wrong (write it right)",)


def test_problems_are_sorted_and_said_once() -> None:
    first = Problem(Location("environments/a.yaml", 2, 9), "x", severity="warning")
    assert to_text([PROBLEM, first, PROBLEM]) == ("environments/a.yaml:2:9: warning: x", to_text([PROBLEM])[0])


def test_json_holds_every_part() -> None:
    assert to_json([PROBLEM]) == {
        "format_version": 1,
        "problems": [
            {
                "path": "environments/a.yaml",
                "line": 3,
                "column": 5,
                "severity": "error",
                "message": "wrong",
                "hint": "write it right",
            }
        ],
    }


def test_an_annotation_stands_at_its_line() -> None:
    assert to_annotations([PROBLEM]) == ("::error file=environments/a.yaml,line=3,col=5::wrong%0Awrite it right",)


def test_an_annotation_of_a_whole_file_has_no_line() -> None:
    found = to_annotations([Problem(Location("reconciler.yaml"), "x", severity="warning")])
    assert found == ("::warning file=reconciler.yaml::x",)


def test_nothing_in_a_problem_can_begin_another_workflow_command() -> None:
    found = to_annotations([Problem(Location("a:b,c%\n::error::d", 1, 1), "100%\r\n::set-output name=x::y")])
    assert found == ("::error file=a%3Ab%2Cc%25\\n%3A%3Aerror%3A%3Ad,line=1,col=1::100%25\\r\\n::set-output name=x::y",)


def test_a_line_sends_nothing_to_the_terminal_that_it_obeys() -> None:
    found = to_text([Problem(Location("a\x1b[31m\n.yaml", 1, 1), "x\u202ey")])
    assert found == ("a\\x1b[31m\\n.yaml:1:1: error: x\\u202ey",)
