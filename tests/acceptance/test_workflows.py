"""Runs every step of plan, apply and drift, for a pull request, a merge and a schedule."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.workflow_project import (
    COMMAND,
    INJECTIONS,
    NO_PACKAGES,
    Project,
    assert_inert,
    assert_succeeded,
)
from tests.acceptance.workflow_runner import UnknownWorkflowError

# -- what the workflows do --------------------------------------------------------------------------------------


def test_a_merge_registers_what_a_pull_request_planned_and_the_next_plan_is_empty(project: Project) -> None:
    planned = project.propose("Two environments")
    assert_succeeded(planned)
    assert "alpha" in planned.summary
    assert "create" in planned.summary
    assert project.saved() == []  # a pull request leaves nothing behind

    assert_succeeded(project.merge())
    assert {path.name for path in project.saved()[-1].iterdir()} >= {"alpha", "beta"}

    again = project.propose("Nothing new")
    assert_succeeded(again)
    assert "create" not in again.summary
    assert len(project.saved()) == 1


def test_a_merge_rebuilds_the_one_environment_that_was_edited(project: Project) -> None:
    assert_succeeded(project.merge())
    project.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    planned = project.propose("Edit alpha")
    assert_succeeded(planned)
    assert "rebuild" in planned.summary
    assert_succeeded(project.merge())
    before, after = project.saved()
    assert (before / "alpha" / "index.json").read_bytes() != (after / "alpha" / "index.json").read_bytes()
    assert (before / "beta" / "index.json").read_bytes() == (after / "beta" / "index.json").read_bytes()


def test_an_invalid_manifest_fails_the_pull_request_on_its_line(project: Project) -> None:
    project.declare("alpha", "name: alpha\npyhton: {}\n")
    result = project.propose("A typing mistake")
    assert [(step.name, step.outcome, step.status) for step in result.steps[-3:]] == [
        ("Validate", "failure", 9),
        ("Sign in to the registry", "skipped", 0),
        ("Plan", "skipped", 0),
    ]
    assert re.search(r"^::error .*file=environments/alpha\.yaml,.*line=2", result.log, re.MULTILINE)


def test_nothing_has_drifted_after_an_apply(project: Project) -> None:
    assert_succeeded(project.merge())
    result = project.look()
    assert_succeeded(result)
    assert "No drift" in result.summary


def test_drift_fails_the_check_and_is_told_in_the_summary(project: Project) -> None:
    assert_succeeded(project.merge())
    (registry,) = project.saved()
    _lose_content(registry / "alpha")
    before = sorted(path for path in registry.rglob("*"))
    result = project.look()
    assert result.step("Look for drift").status == 3
    assert "alpha" in result.summary
    assert sorted(path for path in registry.rglob("*")) == before


def test_an_apply_that_fails_keeps_what_it_registered(project: Project) -> None:
    missing = "name: beta\npython: {user_managed_dependencies: true, interpreter_path: /nowhere/python}\n"
    project.declare("beta", missing + "docker: {enabled: false}\n")
    project.commit("An interpreter that is not there")
    result = project.merge()
    assert result.step("Apply").status == 4, result.log
    assert result.step("Save the registry").outcome == "success"
    assert "alpha" in {path.name for path in project.saved()[-1].iterdir()}


def _lose_content(layout: Path) -> None:
    """Take away the manifest that ``current`` names."""
    index = json.loads((layout / "index.json").read_text())
    current = next(
        entry
        for entry in index["manifests"]
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == "current"
    )
    (layout / "blobs" / "sha256" / current["digest"].removeprefix("sha256:")).unlink()


# -- what somebody could try -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS)
@pytest.mark.threat("T14")
def test_a_branch_a_title_and_a_message_that_try_to_inject_stay_inert(ready: Project, text: str) -> None:
    ready.declare("alpha", NO_PACKAGES.format(name="alpha") + f"description: {json.dumps(text)}\n")
    result = ready.propose(text, branch=text, title=text)
    assert result.step("Validate").status in (0, 9), result.log
    assert_inert(result)


def test_files_and_fields_whose_names_try_to_inject_stay_inert(
    ready: Project, count_cases: Callable[[str, int], None]
) -> None:
    for text in INJECTIONS.values():
        name = text.replace("/", "-").replace("pwned", "owned")
        ready.declare(name, json.dumps({"name": text, text: text}))
    result = ready.propose("Hostile files")
    assert result.step("Validate").status == 9, result.log
    annotated = re.findall(r"^::error file=environments/", result.log, re.MULTILINE)
    assert len(annotated) >= len(INJECTIONS)
    assert_inert(result)
    count_cases("T14", len(INJECTIONS))


@pytest.mark.parametrize(
    ("branch", "trace"),
    [("$(touch pwned)", "a file"), ('"; touch pwned; #', "a file"), ("a\n::add-mask::a", "a command")],
)
def test_an_injection_into_a_careless_workflow_is_seen(project: Project, branch: str, trace: str) -> None:
    workflow = project.clone / ".github" / "workflows" / "plan.yml"
    careless = 'run: echo "${{ github.head_ref }}"'
    workflow.write_text(workflow.read_text().replace("run: python -m pip install --quiet .", careless))
    result = project.propose("A careless workflow", branch=branch)
    seen = "a file" if list(result.folder.rglob("*pwned*")) else "a command" if COMMAND.search(result.log) else None
    assert seen == trace
    with pytest.raises(AssertionError):
        assert_inert(result)


def test_an_action_that_the_runner_does_not_know_fails(project: Project) -> None:
    workflow = project.clone / ".github" / "workflows" / "plan.yml"
    workflow.write_text(workflow.read_text().replace("actions/setup-python@", "somebody/setup-python@"))
    with pytest.raises(UnknownWorkflowError, match="somebody/setup-python"):
        project.propose("Another action")


def test_a_run_step_ends_at_its_first_failure_and_later_steps_are_skipped(project: Project) -> None:
    workflow = project.clone / ".github" / "workflows" / "plan.yml"
    text = workflow.read_text().replace("python -m pip install --quiet .", "false | true\n          touch went-on")
    workflow.write_text(text.replace("run: false", "run: |\n          false"))
    result = project.propose("A step that fails")
    assert [step.outcome for step in result.steps] == ["success"] * 3 + ["failure", "skipped", "skipped", "skipped"]
    assert not (result.folder / "workspace" / "went-on").exists()
