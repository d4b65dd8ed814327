"""Drift told apart from what is pending, and the state that witnesses it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.errors import CorruptError
from reconciler.plan.drift import DriftReport, Finding, Kind, drift
from reconciler.plan.observed import Absent, Denied, Observation, Present, Unknown
from reconciler.plan.state import State, parse_state
from reconciler.values.digest import Digest
from tests.planning import MANAGER, desired, digest, manifest, observed, planned, present

COMMIT = "1a2b3c4d" * 5
NEXT = "5a2b3c4d" * 5
A = desired("a")
HELD = present(A)


def state(records: Mapping[str, Digest], **more: str) -> State:
    return State(manager=MANAGER, records=records, **more)


def drifted(seen: Observation, one: State) -> DriftReport:
    world = {"a": seen}
    return drift(one, observed(world), planned(A, world))


def finding(seen: Observation, one: State | None = None) -> Finding:
    (found,) = drifted(seen, one or state({"a": HELD.digest}, began=COMMIT, finished=COMMIT)).findings
    return found


def test_what_was_applied_is_no_drift() -> None:
    report = drifted(HELD, state({"a": HELD.digest}))
    assert (report.drifted, report.findings, report.pending, report.checked) == (False, (), (), 1)


@pytest.mark.threat("F13")
def test_a_tag_that_moved_is_named_with_both_digests() -> None:
    found = finding(replace(HELD, digest=digest("other")))
    assert (found.kind, found.path) == (Kind.MOVED, "current")
    assert (found.expected, found.found) == (HELD.digest, digest("other"))


@pytest.mark.threat("F13")
def test_what_is_gone_is_deleted() -> None:
    found = finding(Absent())
    assert (found.kind, found.expected, found.found) == (Kind.DELETED, HELD.digest, None)


@pytest.mark.threat("F13")
@pytest.mark.parametrize("kind", [Kind.MISSING, Kind.TAMPERED])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("linux/amd64", digest("artifact of a")),
        ("lock", digest("lock of a")),
        ("request", digest("request of a")),
        ("v1", HELD.digest),
        ("v1-linux-amd64", digest("artifact of a")),
        ("v1-lock", digest("lock of a")),
        ("v9", None),
    ],
)
def test_damaged_content_is_named_with_the_digest_that_it_has_to_have(
    kind: Kind, path: str, expected: Digest | None
) -> None:
    broken = replace(HELD, missing=(path,)) if kind is Kind.MISSING else replace(HELD, tampered=(path,))
    found = finding(broken)
    assert (found.kind, found.path, found.expected) == (kind, path, expected)


@pytest.mark.threat("F13")
def test_a_current_that_is_gone_is_recovered() -> None:
    assert finding(replace(HELD, recovered=True)).kind is Kind.RECOVERED


@pytest.mark.threat("F13")
def test_what_another_manager_took_is_foreign() -> None:
    found = finding(present(A, manager="other"))
    assert (found.kind, found.note) == (Kind.FOREIGN, "registered by other")


def test_what_was_always_another_managers_is_no_drift() -> None:
    assert not drifted(present(A, manager="other"), state({})).drifted


@pytest.mark.threat("F13")
def test_a_corrupt_record_is_tampered() -> None:
    assert finding(Unknown("the index is cut", corrupt=True)).kind is Kind.TAMPERED


@pytest.mark.parametrize("seen", [Denied("403"), Unknown("no answer")])
def test_no_answer_is_neither_drift_nor_its_absence(seen: Observation) -> None:
    report = drifted(seen, state({"a": HELD.digest}))
    assert not report.drifted
    assert [name for name, _ in report.unreadable] == ["a"]


def test_what_state_names_and_nobody_looked_at_is_unreadable() -> None:
    report = drift(state({"a": HELD.digest}), observed({}), planned([], {}))
    assert [name for name, _ in report.unreadable] == ["a"]


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (desired(manifest("a", pip=("scipy",))), HELD),
        (desired(manifest("a", description="new")), HELD),
        (A, Absent()),
        (None, HELD),
    ],
)
def test_what_git_is_ahead_of_is_pending_and_no_drift(wanted: object, seen: Observation) -> None:
    records = {"a": seen.digest} if isinstance(seen, Present) else {}
    world = {"a": seen}
    edited = [wanted] if isinstance(wanted, type(A)) else []
    report = drift(state(records), observed(world), planned(edited, world))
    assert (report.findings, report.pending) == ((), ("a",))


def test_damage_alone_is_not_pending() -> None:
    broken = replace(HELD, missing=("lock",))
    assert drifted(broken, state({"a": HELD.digest})).pending == ()


def test_without_a_state_only_content_is_judged() -> None:
    assert not drifted(HELD, state({})).drifted
    assert drifted(replace(HELD, tampered=("lock",)), state({})).drifted


def test_what_an_interrupted_apply_left_is_no_drift() -> None:
    moved = replace(HELD, digest=digest("next"))
    assert not drifted(moved, state({"a": HELD.digest}, began=COMMIT, finished=NEXT)).drifted
    assert drifted(moved, state({"a": HELD.digest}, began=NEXT, finished=COMMIT)).drifted
    facts = replace(HELD.record.facts, parent=HELD.digest)
    child = replace(moved, record=replace(HELD.record, facts=facts))
    assert not drifted(child, state({"a": HELD.digest}, began=COMMIT, finished=COMMIT)).drifted


def test_findings_are_sorted_by_name() -> None:
    world: dict[str, Observation] = {name: Absent() for name in "cab"}
    report = drift(state(dict.fromkeys("bca", HELD.digest)), observed(world), planned([], {}))
    assert [found.name for found in report.findings] == ["a", "b", "c"]


# -- state ------------------------------------------------------------------------------------------------------

FULL = state({"b": digest("b"), "a": digest("a")}, began=COMMIT, finished=NEXT)


def test_a_state_is_read_back_as_it_was_written() -> None:
    assert parse_state(FULL.to_content()) == FULL
    assert parse_state(State(manager=MANAGER).to_content()) == State(manager=MANAGER)


def test_a_state_is_canonical() -> None:
    again = state({"a": digest("a"), "b": digest("b")}, began=COMMIT, finished=NEXT)
    assert FULL.to_content() == again.to_content()


VALUE = json.loads(FULL.to_content())
BROKEN: dict[str, object] = {
    "null": None,
    "array": [],
    "no version": {key: value for key, value in VALUE.items() if key != "format_version"},
    "version true": {**VALUE, "format_version": True},
    "version 2": {**VALUE, "format_version": 2},
    "more": {**VALUE, "more": 1},
    "less": {key: value for key, value in VALUE.items() if key != "records"},
    "manager a number": {**VALUE, "manager": 1},
    "manager endless": {**VALUE, "manager": "m" * 5000},
    "short commit": {**VALUE, "began": "1a2b3c4"},
    "commit an option": {**VALUE, "began": "--output=x"},
    "commit a number": {**VALUE, "finished": 1},
    "records a list": {**VALUE, "records": []},
    "a name that leads out": {**VALUE, "records": {"../a": str(digest("a"))}},
    "no digest": {**VALUE, "records": {"a": "sha256:00"}},
    "digest null": {**VALUE, "records": {"a": None}},
}


@pytest.mark.threat("F12")
@pytest.mark.parametrize("case", BROKEN)
def test_a_state_that_is_none_is_corrupt(case: str) -> None:
    with pytest.raises(CorruptError, match="state can't be read"):
        parse_state(json.dumps(BROKEN[case]).encode())


@pytest.mark.threat("F12")
@pytest.mark.parametrize("cut", range(len(FULL.to_content())))
def test_a_state_cut_anywhere_is_corrupt(cut: int) -> None:
    with pytest.raises(CorruptError):
        parse_state(FULL.to_content()[:cut])


@pytest.mark.threat("F12")
@pytest.mark.parametrize(
    "data", [b"\xff", b"[" * 100_000, b"NaN", b'{"format_version": NaN}', b" " * (33 << 20), FULL.to_content() + b"\n"]
)
def test_bytes_that_are_no_state_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptError):
        parse_state(data)
