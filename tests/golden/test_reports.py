"""Reports as people and programs see them, against files.

The files change only on purpose: ``UPDATE_GOLDEN=1 pytest tests/golden`` writes them; look at the difference before it
is committed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.errors import BuildError, UnavailableError
from reconciler.manifest.model import Docker
from reconciler.plan.ability import judge_feature
from reconciler.plan.change import Action, Plan
from reconciler.plan.diagnosis import (
    Damage,
    Diagnosis,
    Group,
    Mark,
    Place,
    Remark,
    Remedy,
    judge_state,
    remark_of,
)
from reconciler.plan.document import to_json
from reconciler.plan.drift import DriftReport, drift
from reconciler.plan.explanation import Explanation, explanation
from reconciler.plan.observed import Absent, Denied, Observation, Present
from reconciler.plan.state import State
from reconciler.ports import Progress, Stage
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reports import drift as drift_reports
from reconciler.reports.doctor import doctor_json, doctor_text
from reconciler.reports.environments import get_json, get_text, history_text, list_json, list_text
from reconciler.reports.explain import explain_json, explain_text
from reconciler.reports.json import to_text
from reconciler.reports.markdown import plan_markdown
from reconciler.reports.outcome import outcome_json, outcome_markdown, outcome_text
from reconciler.reports.progress import Lines, Live
from reconciler.reports.style import Style
from reconciler.reports.text import plan_text
from reconciler.values.location import Location
from tests.planning import (
    AMD,
    ARM,
    MANAGER,
    REGISTRY,
    desired,
    digest,
    locked,
    manifest,
    observed,
    package,
    past,
    planned,
    present,
)

FOLDER = Path(__file__).parent / "reports"
UPDATE = "UPDATE_GOLDEN"


def service(version: str, **fields: object) -> Present:
    one = locked(manifest("service", pip=("fastapi", f"numpy>={version}")), package("numpy", version, 14_000_000))
    return present(one, version=4, **fields)  # type: ignore[arg-type]  # fields of Present


def world() -> Plan:
    """Give a plan with every action in it."""
    wanted = [
        desired(manifest("training", pip=("scikit-learn",))),
        locked(
            manifest("service", pip=("fastapi", "numpy>=2.1.3", "uvicorn")),
            package("numpy", "2.1.3", 15_200_000),
            package("uvicorn", "0.30.0", 62_000),
        ),
        desired(manifest("described", pip=("a",), description="Tabular training stack", tags={"team": "risk"})),
        desired(manifest("gpu", pip=("b",), compute="gpu", docker=Docker(shm_size="2g"))),
        desired(manifest("mended", pip=("c",))),
        desired(manifest("reverted", pip=("d==1",))),
        desired(manifest("renamed", pip=("e",), renamed_from="former")),
        desired(manifest("ported", pip=("f",), platforms=(AMD, ARM))),
        desired(manifest("denied", pip=("g",))),
        desired("same"),
    ]
    seen: dict[str, Observation] = {
        "training": Absent(),
        "service": service("2.0.0"),
        "described": present(desired(manifest("described", pip=("a",)))),
        "gpu": present(desired(manifest("gpu", pip=("b",)))),
        "mended": present(desired(manifest("mended", pip=("c",))), tampered=("linux/amd64",), missing=("v1-lock",)),
        "reverted": present(
            desired(manifest("reverted", pip=("d==2",))),
            version=2,
            past=(past(desired(manifest("reverted", pip=("d==1",)))),),
        ),
        "renamed": Absent(),
        "former": present(desired(manifest("former", pip=("e",)))),
        "ported": present(desired(manifest("ported", pip=("f",)))),
        "denied": Denied("the registry answers 403"),
        "same": present(desired("same")),
        "old": present(desired(manifest("old", pip=("h",)))),
        "kept": present(desired(manifest("kept", protected=True))),
    }
    return planned(wanted, seen)


def quiet() -> Plan:
    return planned(desired("same"), {"same": present(desired("same"))})


def drifting() -> DriftReport:
    held = {name: present(desired(name)) for name in ("moved", "broken", "whole")}
    seen: dict[str, Observation] = {
        "moved": replace(held["moved"], digest=digest("other")),
        "broken": replace(held["broken"], tampered=("linux/amd64",), missing=("v1-lock",)),
        "whole": held["whole"],
        "gone": Absent(),
        "denied": Denied("the registry answers 403"),
    }
    records = {name: one.digest for name, one in held.items()} | {"gone": digest("gone"), "denied": digest("denied")}
    edited = desired(manifest("whole", description="new"))
    plan = planned([edited, desired("moved"), desired("broken")], seen)
    return drift(State(manager=MANAGER, records=records), observed(seen), plan)


def explained() -> Explanation:
    wanted = desired(manifest("training", pip=("numpy>=2.1",), environment_variables={"OMP_NUM_THREADS": "4"}))
    seen = present(desired("training"))
    (step,) = planned(wanted, {"training": seen}).steps
    return explanation(wanted, seen, step)


def outcomes() -> tuple[Outcome, ...]:
    error = BuildError(
        "uv could not install numpy",
        where=Location("environments/broken.yaml", 5, 3),
        hint="look at what uv says",
        detail="first line\n::error::second line",
    )
    return (
        Outcome(name="broken", action=Action.REBUILD, status=Status.FAILED, error=error),
        Outcome(
            name="late",
            action=Action.REBUILD,
            status=Status.SUPERSEDED,
            version=4,
            digest=digest("late"),
            notes=("superseded: commit 111111111111 comes before 222222222222, which was applied to late",),
        ),
        Outcome(name="same", action=Action.UNCHANGED, status=Status.UNCHANGED, digest=digest("same")),
        Outcome(
            name="training",
            action=Action.CREATE,
            status=Status.APPLIED,
            version=1,
            digest=digest("training"),
            built=1,
            notes=("torch brings 2.1 GB of CUDA wheels",),
        ),
    )


def diagnosed() -> Diagnosis:
    """Give a diagnosis with every mark, of a folder that is damaged here and there."""
    place = Place(
        registry=REGISTRY, name="training", manager=MANAGER, ours=MANAGER, folder=f"{REGISTRY}/training", file="FILE"
    )
    tag = Damage(part="v1", tag="v1", text=f"is gone, it has to name {digest('v1')}", remedy=Remedy.APPLY)
    old = Damage(part="v1: lock, layer", text="sha256:ab is not there", remedy=Remedy.RESTORE, digest=digest("lock"))
    state = State(manager=MANAGER, began="1a2b3c4d" * 5, records={"training": digest("training")})
    answered = Remark(mark=Mark.OK, subject=REGISTRY, text="answers in 3 ms")
    counted = Remark(mark=Mark.NOTE, subject="environments", text="1 whole of 2; 3 versions")
    left = Remark(mark=Mark.NOTE, subject="training", part=".tmp-1", text="1 left over\n::error::x", hint="tidy up")
    features = (("delete", None, "the registry answers 405"), ("list repositories", False, ""), ("mount", True, ""))
    groups = (
        Group(title="registry", remarks=(answered,)),
        Group(title="rights", remarks=(judge_feature("push", "", "`docker login HOST`", supported=False),)),
        Group(
            title="features", remarks=tuple(judge_feature(name, text, "", supported=it) for name, it, text in features)
        ),
        Group(title="state records", remarks=(judge_state("m-1", state),)),
        Group(title="environments", remarks=(counted, remark_of(tag, place), remark_of(old, place), left)),
    )
    return Diagnosis(registry=REGISTRY, groups=groups)


def unanswered() -> Diagnosis:
    error = UnavailableError("registry.example.org does not answer", hint="check the address and the network")
    remark = Remark(mark=Mark.PROBLEM, subject="registry.example.org/ml", text=error.message, hint=error.hint or "")
    groups = (Group(title="registry", remarks=(remark,)),)
    return Diagnosis(registry="registry.example.org/ml", groups=groups, ended_by=error)


def versions() -> tuple[Present, ...]:
    return (
        present(desired(manifest("training", description="Tabular training stack")), version=2),
        present(desired("training"), version=1, archived=True),
    )


def progress(kind: type[Lines]) -> str:
    @dataclass
    class Clock:
        now: float = 0.0

        def __call__(self) -> float:
            self.now += 0.25
            return self.now

    stream = io.StringIO()
    with kind(stream, Style(width=60), Clock()) as display:
        display.report(Progress(name="a", stage=Stage.RESOLVING))
        display.report(Progress(name="b", stage=Stage.BUILDING, detail="linux/amd64"))
        display.report(Progress(name="a", stage=Stage.DONE, detail="create v1"))
        display.report(Progress(name="b", stage=Stage.FAILED, detail="no space\n::error::x"))
    return stream.getvalue().replace("\x1b", "<ESC>")


REPORTS: dict[str, Callable[[], str]] = {
    "plan.txt": lambda: plan_text(world()),
    "plan-verbose.txt": lambda: plan_text(world(), Style(verbose=True, width=140)),
    "plan-colour.txt": lambda: plan_text(world(), Style(colour=True)).replace("\x1b", "<ESC>"),
    "plan.md": lambda: plan_markdown(world()),
    "plan.json": lambda: to_text(to_json(world())),
    "quiet.txt": lambda: plan_text(quiet()),
    "quiet.md": lambda: plan_markdown(quiet()),
    "empty.txt": lambda: plan_text(planned([], {})),
    "drift.txt": lambda: drift_reports.drift_text(drifting()),
    "drift.md": lambda: drift_reports.drift_markdown(drifting()),
    "drift.json": lambda: to_text(drift_reports.drift_json(drifting())),
    "doctor.txt": lambda: doctor_text(diagnosed()),
    "doctor-colour.txt": lambda: doctor_text(diagnosed(), Style(colour=True)).replace("\x1b", "<ESC>"),
    "doctor-unanswered.txt": lambda: doctor_text(unanswered()),
    "doctor.json": lambda: to_text(doctor_json(diagnosed())),
    "explain.txt": lambda: explain_text(explained()),
    "explain.json": lambda: to_text(explain_json(explained())),
    "outcome.txt": lambda: outcome_text(outcomes()),
    "outcome.md": lambda: outcome_markdown(outcomes()),
    "outcome.json": lambda: to_text(outcome_json(outcomes())),
    "list.txt": lambda: list_text(versions()[:1]),
    "list.json": lambda: to_text(list_json(versions()[:1], REGISTRY)),
    "history.txt": lambda: history_text(versions()),
    "get.txt": lambda: get_text(versions()[0], REGISTRY),
    "get.json": lambda: to_text(get_json(versions()[0], REGISTRY)),
    "progress-lines.txt": lambda: progress(Lines),
    "progress-live.txt": lambda: progress(Live),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_as_its_file_says(name: str) -> None:
    text = REPORTS[name]()
    path = FOLDER / name
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


def test_every_file_belongs_to_a_report() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(REPORTS)


def test_the_summary_is_the_last_line_of_a_plan() -> None:
    assert plan_text(world()).splitlines()[-1].startswith("Plan: ")


def test_the_verdict_is_the_first_line_that_is_seen_of_a_comment() -> None:
    assert plan_markdown(world()).splitlines()[1].startswith("### Plan: ")
