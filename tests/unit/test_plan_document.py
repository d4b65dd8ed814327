"""A plan as a file: what is written, what is read back, and when it is stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from reconciler.errors import StalePlanError, UsageError
from reconciler.plan.change import Action, Plan
from reconciler.plan.document import MAX_BYTES, narrow, parse_document, portable, to_document
from reconciler.plan.observed import Absent, Observation
from tests.planning import POLICY, desired, digest, locked, manifest, package, past, planned, present

SCHEMA = Path(__file__).parents[2] / "schemas" / "plan.schema.json"
A, B = desired("a"), desired(manifest("b", pip=("only-b",)))
NEW, TWIN = desired(manifest("new", pip=("only-new",))), desired("twin")
EDITED = desired(manifest("a", pip=("numpy>=3",), description="text", environment_variables={"X": "1"}))


def rich_plan() -> Plan:
    """Give a plan with every part of the document in it."""
    seen: dict[str, Observation] = {
        "a": present(A, version=2, past=(past(EDITED),)),
        "b": present(B),
        "gone": present(desired("gone")),
        "kept": present(desired(manifest("kept", protected=True))),
        "locked": present(desired("locked")),
        "new": Absent(),
    }
    wanted = [EDITED, B, locked("locked", package("numpy", "3.0")), NEW, desired("unread")]
    return planned(wanted, seen)


def document(one: Plan) -> dict[str, Any]:
    value = json.loads(to_document(one))
    assert isinstance(value, dict)
    return value


def test_a_document_meets_its_schema() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema, registry=referencing.Registry())
    value = document(rich_plan())
    assert {step["action"] for step in value["steps"]} >= {
        "reuse",
        "unchanged",
        "archive",
        "blocked",
        "rebuild",
        "create",
    }
    assert [error.message for error in validator.iter_errors(value)] == []


def test_every_field_of_the_schema_is_described() -> None:
    def lacking(path: str, value: dict[str, Any]) -> list[str]:
        found = []
        for name, field in value.get("properties", {}).items():
            if "$ref" not in field and "description" not in field:
                found.append(f"{path}.{name}")
            found += lacking(f"{path}.{name}", field)
        for name, field in value.get("definitions", {}).items():
            found += [name] * ("description" not in field) + lacking(name, field)
        return found

    assert lacking("", json.loads(SCHEMA.read_text())) == []


def test_a_document_is_canonical_and_ends_with_a_line() -> None:
    data = to_document(rich_plan())
    assert data == to_document(rich_plan())
    assert data.endswith(b"}\n")


@pytest.mark.parametrize(
    ("address", "shown"),
    [("/home/me/repo/.reconciler/registry", ".reconciler/registry"), ("host.invalid/ml", "host.invalid/ml")],
)
def test_no_path_of_this_machine_is_written(address: str, shown: str) -> None:
    assert portable(address) == shown
    assert document(replace(rich_plan(), registry=address))["registry"] == shown


def test_what_is_read_back_is_what_staleness_needs() -> None:
    one = rich_plan()
    saved = parse_document(to_document(one))
    assert [(step.name, step.action, step.observed, step.request, step.lock) for step in saved.steps.values()] == [
        (step.name, step.action, step.observed, step.request, step.lock) for step in one.steps
    ]


# -- reading strictly -------------------------------------------------------------------------------------------


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    value = document(rich_plan())
    change(value)
    return json.dumps(value).encode()


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "not UTF-8": b"\xff\xfe",
    "not JSON": b"{",
    "deep": b"[" * 200_000,
    "a key twice": b'{"format_version": 1, "format_version": 1}',
    "no version": edited(lambda value: value.pop("format_version")),
    "next version": edited(lambda value: value.update(format_version=2)),
    "version true": edited(lambda value: value.update(format_version=True)),
    "no registry": edited(lambda value: value.pop("registry")),
    "manager a number": edited(lambda value: value.update(manager=1)),
    "no steps": edited(lambda value: value.pop("steps")),
    "steps an object": edited(lambda value: value.update(steps={})),
    "too many steps": edited(lambda value: value.update(steps=[None] * 100_001)),
    "a step null": edited(lambda value: value["steps"].append(None)),
    "a step twice": edited(lambda value: value["steps"].append(value["steps"][0])),
    "a name that leads out": edited(lambda value: value["steps"][0].update(name="../b")),
    "a name with a line": edited(lambda value: value["steps"][0].update(name="a\n::error::b")),
    "no such action": edited(lambda value: value["steps"][0].update(action="destroy")),
    "action a list": edited(lambda value: value["steps"][0].update(action=["create"])),
    "no digest": edited(lambda value: value["steps"][0].update(request="sha256:00")),
    "digest a number": edited(lambda value: value["steps"][0].update(observed=1)),
    "digest left out": edited(lambda value: value["steps"][0].pop("lock")),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_plan_is_refused_in_one_line(case: str) -> None:
    with pytest.raises(UsageError, match="the saved plan can't be used") as caught:
        parse_document(BROKEN[case])
    assert "\n" not in str(caught.value)


def test_what_is_too_large_is_refused_unread() -> None:
    with pytest.raises(UsageError, match="larger than"):
        parse_document(b" " * (MAX_BYTES + 1))


# -- narrowing --------------------------------------------------------------------------------------------------

BEFORE: dict[str, Observation] = {"a": present(A), "b": Absent()}


def saved_of(one: Plan, names: set[str] | None = None) -> bytes:
    value = document(one)
    value["steps"] = [step for step in value["steps"] if names is None or step["name"] in names]
    return json.dumps(value).encode()


def test_steps_that_were_not_saved_are_left_out_and_said() -> None:
    one = planned([EDITED, B], BEFORE)
    kept = narrow(one, parse_document(saved_of(one, {"b"})))
    assert [step.name for step in kept.steps] == ["b"]
    assert kept.notes == ("1 more to do than the saved plan says: left out",)


def test_a_step_at_its_target_is_done() -> None:
    saved = parse_document(to_document(planned([EDITED, B], BEFORE)))
    after = planned([EDITED, B], {"a": present(EDITED, version=2), "b": Absent()})
    assert [step.action for step in narrow(after, saved).steps] == [Action.UNCHANGED, Action.CREATE]


def test_a_build_that_came_meanwhile_serves() -> None:
    saved = parse_document(to_document(planned([A, TWIN], {"a": Absent(), "twin": Absent()})))
    after = planned([A, TWIN], {"a": present(A), "twin": Absent()})
    assert [step.action for step in narrow(after, saved).steps] == [Action.UNCHANGED, Action.REUSE]


def test_a_build_that_was_to_serve_and_is_gone_is_stale() -> None:
    saved = parse_document(to_document(planned([A, TWIN], {"a": present(A), "twin": Absent()})))
    after = planned([A, TWIN], {"a": Absent(), "twin": Absent()})
    with pytest.raises(StalePlanError, match="create now, saved was reuse"):
        narrow(after, saved)


def test_an_archive_that_happened_is_done() -> None:
    saved = parse_document(to_document(planned([B], {"a": present(A), "b": Absent()})))
    after = planned([B], {"a": present(A, archived=True), "b": Absent()})
    assert [step.name for step in narrow(after, saved).steps] == ["b"]


OTHER = desired(manifest("a", pip=("scipy",)))
STALE: dict[str, tuple[Plan, str]] = {
    "another action": (planned([EDITED], {"a": Absent()}), "the action is create now, saved was rebuild"),
    "another record": (planned([EDITED], {"a": present(A, version=7)}), "the record is"),
    "another request": (planned([OTHER], {"a": present(A)}), "the target is request"),
    "another lock": (
        planned([desired(EDITED.manifest, lock=locked(EDITED.manifest, package("x", "1")).lock)], {"a": present(A)}),
        "the target is request",
    ),
    "blocked now": (planned([EDITED], {}), "the action is blocked now"),
    "at another target": (planned([OTHER], {"a": present(OTHER)}), "the action is unchanged now"),
    "not declared": (planned([], {}), "it is neither declared nor registered now"),
}


@pytest.mark.parametrize("case", STALE)
def test_what_no_longer_fits_is_refused_by_name_and_difference(case: str) -> None:
    saved = parse_document(to_document(planned([EDITED], {"a": present(A)})))
    now, difference = STALE[case]
    with pytest.raises(StalePlanError, match="no longer fits a: ") as caught:
        narrow(now, saved)
    assert difference in str(caught.value)
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("field", ["registry", "manager"])
def test_a_plan_of_another_registry_or_manager_is_refused(field: str) -> None:
    one = planned([EDITED], {"a": present(A)})
    saved = parse_document(edited_of(one, field))
    with pytest.raises(StalePlanError, match=field):
        narrow(one, saved)


def edited_of(one: Plan, field: str) -> bytes:
    return json.dumps({**document(one), field: "other\n::error::x"}).encode()


FORGED: dict[str, dict[str, object]] = {
    "destroys what is declared": {"action": "archive"},
    "builds what is unchanged": {"action": "rebuild"},
    "goes back to what it likes": {"action": "reuse", "reuse": {"name": "a", "version": 1, "record": str(digest("x"))}},
    "names another lock": {"action": "rebuild", "lock": str(digest("evil"))},
    "names another request": {"action": "rebuild", "request": str(digest("evil"))},
}


@pytest.mark.parametrize("case", FORGED)
def test_a_tampered_file_adds_nothing(case: str) -> None:
    one = planned([A, B], {"a": present(A), "b": Absent()})
    value = document(one)
    value["steps"][0].update(FORGED[case])
    saved = parse_document(json.dumps(value).encode())
    try:
        kept = narrow(one, saved).steps
    except StalePlanError:
        return
    assert all(step in one.steps for step in kept)
    assert {step.name: step.action for step in kept}.get("a", Action.UNCHANGED) is Action.UNCHANGED


def test_a_file_can_not_remove_what_a_partial_plan_does_not() -> None:
    whole = planned([B], {"a": present(A), "b": Absent()})
    partial = planned([B], {"a": present(A), "b": Absent()}, replace(POLICY, whole=False))
    assert [step.name for step in narrow(partial, parse_document(to_document(whole))).steps] == ["b"]
