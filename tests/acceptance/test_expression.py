from __future__ import annotations

import pytest

from tests.acceptance.expression import Scope, UnknownExpressionError, Value

CONTEXTS: dict[str, Value] = {
    "github": {"ref": "refs/heads/main", "event": {"title": "${{ github.ref }}"}},
    "steps": {},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("github.ref", "refs/heads/main"),
        ("github.nothing.here", None),
        ("'it''s'", "it's"),
        ("github.ref == 'REFS/HEADS/MAIN'", True),
        ("github.ref != 'refs/heads/main'", False),
        ("github.nothing || 'other'", "other"),
        ("github.ref && 'then'", "then"),
        ("!(always() && failure())", True),
        ("steps.a.outputs.b == ''", True),
    ],
)
def test_an_expression_means_what_it_means_on_github(text: str, value: object) -> None:
    assert Scope(contexts=CONTEXTS).evaluate(text) == value


@pytest.mark.parametrize("text", ["secrets.TOKEN", "hashFiles('x')", "github.ref ==", "(always()", "1 + 1", "a b", ""])
def test_what_the_evaluator_was_not_taught_is_an_error(text: str) -> None:
    with pytest.raises(UnknownExpressionError):
        Scope(contexts=CONTEXTS).evaluate(text)


def test_a_value_that_holds_an_expression_is_not_evaluated_again() -> None:
    assert Scope(contexts=CONTEXTS).interpolate("<${{ github.event.title }}>") == "<${{ github.ref }}>"


@pytest.mark.parametrize(
    ("condition", "failed", "runs"),
    [
        (None, False, True),
        (None, True, False),
        ("github.ref", True, False),
        ("always()", True, True),
        ("${{ failure() }}", False, False),
        ("${{ failure() }}", True, True),
    ],
)
def test_a_step_runs_after_a_failure_only_where_its_condition_says_so(
    condition: str | None,
    failed: bool,  # noqa: FBT001  # a case of a table
    runs: bool,  # noqa: FBT001  # a case of a table
) -> None:
    assert Scope(contexts=CONTEXTS, failed=failed).condition(condition) is runs
