"""What the workflows say, without running them: triggers, permissions, pins."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.workflow_runner import read_job, read_workflow

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DECISION = ROOT / ".github" / "decisions" / "0001-actions.md"
_USES = re.compile(r"uses: (\S+?)@([0-9a-f]{40}) # (v[0-9.]+)")
_CITATION = re.compile(r"`([\w.-]+/[\w.-]+)` `\.github/workflows/[\w.-]+` at `[0-9a-f]{40}`")

each = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)


def _tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is part of the test extra"
    return found


def test_there_is_a_plan_an_apply_a_drift_check_and_the_project_s_own_checks() -> None:
    assert [path.stem for path in WORKFLOWS] == ["apply", "ci", "drift", "plan"]


@pytest.mark.parametrize(
    ("stem", "triggers"),
    [
        ("plan", {"pull_request": None}),
        ("apply", {"push": {"branches": ["main"]}}),
        ("drift", {"schedule": [{"cron": "17 4 * * *"}], "workflow_dispatch": None}),
    ],
)
def test_a_workflow_starts_on_its_event_alone(stem: str, triggers: dict[str, Any]) -> None:
    assert read_workflow(ROOT / ".github" / "workflows" / f"{stem}.yml")["on"] == triggers


@each
@pytest.mark.threat("T14")
def test_no_workflow_runs_with_the_rights_of_the_base_for_a_pull_request(workflow: Path) -> None:
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(read_workflow(workflow)["on"])


@each
@pytest.mark.threat("T14")
def test_a_job_reads_the_repository_and_apply_alone_writes_packages(workflow: Path) -> None:
    packages = {"apply": {"packages": "write"}, "plan": {"packages": "read"}, "drift": {"packages": "read"}}
    assert read_workflow(workflow)["permissions"] == {}
    assert read_job(workflow)["permissions"] == {"contents": "read", **packages.get(workflow.stem, {})}


@each
@pytest.mark.threat("T14")
def test_a_secret_is_seen_by_the_step_that_signs_in_and_by_no_other(workflow: Path) -> None:
    text = workflow.read_text()
    steps = read_job(workflow)["steps"]
    values = [(step["name"], str(value)) for step in steps for value in step.get("env", {}).values()]
    named = [(step, value) for step, value in values if "secrets." in value or "github.token" in value]
    assert text.count("secrets.") + text.count("github.token") == len(named)
    allowed = {
        ("Sign in to the registry", "${{ secrets.RECONCILER_REGISTRY_PASSWORD }}"),
        ("Sign in to the registry", "${{ github.token }}"),
        ("Plan", "${{ secrets.RECONCILER_REGISTRY_PASSWORD != '' }}"),
    }
    assert set(named) <= allowed


@pytest.mark.threat("T14")
def test_what_a_pull_request_brings_is_installed_before_anybody_signs_in() -> None:
    for path in WORKFLOWS:
        names = [step["name"] for step in read_job(path)["steps"]]
        assert "Sign in to the registry" not in names[: names.index("Install")] if "Install" in names else True


def test_the_three_workflows_sign_in_alike() -> None:
    texts = [path.read_text() for path in WORKFLOWS if path.stem != "ci"]
    starts = [text.index("      # The password leaves this step") for text in texts]
    steps = {text[start : text.index("\n\n", start)] for text, start in zip(texts, starts, strict=True)}
    assert len(steps) == 1


@each
@pytest.mark.threat("T14")
def test_no_shell_code_holds_an_expression(workflow: Path) -> None:
    assert not [step["run"] for step in read_job(workflow)["steps"] if "${{" in step.get("run", "")]


@each
@pytest.mark.threat("T14")
def test_every_action_is_pinned_by_a_digest_that_the_decision_cites(workflow: Path) -> None:
    text = workflow.read_text()
    pinned = _USES.findall(text)
    assert len(pinned) == text.count("uses:")
    for action, digest, release in pinned:
        repository = "/".join(action.split("/")[:2])
        row = next(line for line in DECISION.read_text().splitlines() if line.startswith(f"| `{repository}@{digest}`"))
        assert f" {release} " in row
        assert len(set(_CITATION.findall(row))) >= 2


@each
def test_a_checkout_keeps_no_token_and_a_job_ends(workflow: Path) -> None:
    job = read_job(workflow)
    checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == [False]
    assert job["timeout-minutes"] <= 60


def test_applies_run_one_at_a_time_and_a_running_one_is_never_cut_off() -> None:
    concurrency = read_workflow(ROOT / ".github" / "workflows" / "apply.yml")["concurrency"]
    assert concurrency == {"group": "apply", "cancel-in-progress": False}


@pytest.mark.threat("T14")
def test_zizmor_finds_nothing() -> None:
    command = [_tool("zizmor"), "--offline", "--no-config", "--pedantic", "--no-progress", *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_workflow_follows_github_s_schema() -> None:
    command = [_tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
