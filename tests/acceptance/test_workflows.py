"""Runs every step of plan, apply and drift, for a pull request, a merge and a schedule."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.acceptance.workflow_runner import Event, Forge, JobResult, UnknownWorkflowError

ROOT = Path(__file__).parents[2]
PROJECT = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "reconciler", "schemas", ".github")
NO_PACKAGES = "name: {name}\npython: {{version: '3.11'}}\ndocker: {{enabled: false}}\n"
# What the runner would take for a command of a step; ours are annotations.
_COMMAND = re.compile(r"^\s*(?:::|##\[)(?!(?:error|warning|notice|debug) |(?:debug|group|endgroup)::)", re.MULTILINE)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A developer's clone of a repository that is this one but for its environments, its remote, and its forge."""

    clone: Path
    forge: Forge
    machines: Path

    def declare(self, name: str, text: str) -> None:
        """Write a manifest."""
        (self.clone / "environments" / f"{name}.yaml").write_text(text)

    def commit(self, message: str) -> str:
        """Commit everything on the branch that is checked out."""
        _git(self.clone, "add", "--all")
        _git(self.clone, "commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--message", message)
        return _git(self.clone, "rev-parse", "HEAD")

    def run(self, stem: str, event: Event) -> JobResult:
        """Run a workflow as the checked-out commit has it, on a new machine."""
        _git(self.clone, "push", "--quiet", "--force", "origin", f"{event.sha}:refs/heads/pushed", "main")
        machine = self.machines / str(len(self.forge.runs))
        return self.forge.run(self.clone / ".github" / "workflows" / f"{stem}.yml", event, machine)

    def merge(self) -> JobResult:
        """Push main, and let apply run."""
        sha = _git(self.clone, "rev-parse", "main")
        return self.run("apply", Event(name="push", ref="refs/heads/main", sha=sha))

    def propose(self, message: str, *, branch: str = "change", title: str = "Change") -> JobResult:
        """Commit, and let plan run for a pull request of it."""
        sha = self.commit(message)
        pull = {"number": 7, "title": title, "body": title, "head": {"ref": branch, "label": f"owner:{branch}"}}
        event = Event(
            name="pull_request",
            ref="refs/pull/7/merge",
            sha=sha,
            payload={"action": "opened", "pull_request": pull},
            head_ref=branch,
            base_ref="main",
        )
        return self.run("plan", event)

    def look(self) -> JobResult:
        """Let the drift check run on main, as the schedule does."""
        return self.run(
            "drift", Event(name="schedule", ref="refs/heads/main", sha=_git(self.clone, "rev-parse", "main"))
        )

    def saved(self) -> list[Path]:
        """List the saved registries, oldest first."""
        return sorted(self.forge.caches.glob("*/*"), key=lambda path: path.stat().st_mtime_ns)


def _interpreter(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    inside = next((folder / "lib").glob("python3.*/site-packages"))
    (inside / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter such as setup-python brings, with what reconciler needs there already (not reconciler itself)."""
    return _interpreter(tmp_path_factory.mktemp("interpreter"))


@pytest.fixture
def project(tmp_path: Path, interpreter: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    # pip reads 0 as "no isolation": the wheel is built with the hatchling that is there, without an index.
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", remote], check=True)
    _git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone.mkdir()
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, clone / name)
    (clone / "environments").mkdir()
    _git(clone, "init", "--quiet", "--initial-branch=main")
    _git(clone, "remote", "add", "origin", remote.as_uri())
    forge = Forge(remote=remote, caches=tmp_path / "caches", python=interpreter)
    project = Project(clone=clone, forge=forge, machines=tmp_path / "machines")
    for name in ("alpha", "beta"):
        project.declare(name, NO_PACKAGES.format(name=name))
    project.commit("Begin")
    return project


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter where reconciler is installed too, for tests of something else than the installation."""
    python = _interpreter(tmp_path_factory.mktemp("installed"))
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", str(ROOT)]
    subprocess.run(command, check=True)
    return python


@pytest.fixture
def ready(project: Project, installed: Path) -> Project:
    """The project on machines where reconciler is installed."""
    forge = replace(project.forge, python=installed, done_before=frozenset(["Install"]))
    return replace(project, forge=forge)


def _assert_succeeded(result: JobResult) -> None:
    assert result.succeeded, [(step.name, step.outcome, step.status) for step in result.steps] + [result.log]


# -- what the workflows do --------------------------------------------------------------------------------------


def test_a_merge_registers_what_a_pull_request_planned_and_the_next_plan_is_empty(project: Project) -> None:
    planned = project.propose("Two environments")
    _assert_succeeded(planned)
    assert "alpha" in planned.summary
    assert "create" in planned.summary
    assert project.saved() == []  # a pull request leaves nothing behind

    _assert_succeeded(project.merge())
    assert {path.name for path in project.saved()[-1].iterdir()} >= {"alpha", "beta"}

    again = project.propose("Nothing new")
    _assert_succeeded(again)
    assert "create" not in again.summary
    assert len(project.saved()) == 1


def test_a_merge_rebuilds_the_one_environment_that_was_edited(project: Project) -> None:
    _assert_succeeded(project.merge())
    project.declare("alpha", NO_PACKAGES.format(name="alpha") + "environment_variables: {A: b}\n")
    planned = project.propose("Edit alpha")
    _assert_succeeded(planned)
    assert "rebuild" in planned.summary
    _assert_succeeded(project.merge())
    before, after = project.saved()
    assert (before / "alpha" / "index.json").read_bytes() != (after / "alpha" / "index.json").read_bytes()
    assert (before / "beta" / "index.json").read_bytes() == (after / "beta" / "index.json").read_bytes()


def test_an_invalid_manifest_fails_the_pull_request_on_its_line(project: Project) -> None:
    project.declare("alpha", "name: alpha\npyhton: {}\n")
    result = project.propose("A typing mistake")
    assert [(step.name, step.outcome, step.status) for step in result.steps[-2:]] == [
        ("Validate", "failure", 9),
        ("Plan", "skipped", 0),
    ]
    assert re.search(r"^::error .*file=environments/alpha\.yaml,.*line=2", result.log, re.MULTILINE)


def test_nothing_has_drifted_after_an_apply(project: Project) -> None:
    _assert_succeeded(project.merge())
    result = project.look()
    _assert_succeeded(result)
    assert "No drift" in result.summary


def test_drift_fails_the_check_and_is_told_in_the_summary(project: Project) -> None:
    _assert_succeeded(project.merge())
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

INJECTIONS = {
    "substitution": "$(touch pwned)",
    "backticks": "`touch pwned`",
    "double-quote": '"; touch pwned; #',
    "single-quote": "'; touch pwned; #",
    "branch": "$(touch${IFS}pwned)",
    "branch-backticks": "`touch${IFS}pwned`",
    "branch-pipe": "a|touch${IFS}pwned",
    "and": "&& touch pwned &&",
    "line": "a\ntouch pwned\n",
    "brace": "a}; touch pwned; {",
    "expression": "${{ github.event.pull_request.head.ref }}${{ secrets.TOKEN }}",
    "set-output": "a\n::set-output name=pwned::pwned",
    "set-env": "a\n::set-env name=PATH::/pwned",
    "percent": "a%0A::add-path::/pwned",
    "return": "a\r::stop-commands::pwned",
    "stop": "::stop-commands::pwned",
    "old-form": "a\n##[add-mask]a",
    "option": "--upload-pack=touch${IFS}pwned",
    "heredoc": "a\nPATH<<END\n/pwned\nEND",
    "path": "../../pwned",
    "terminal": "\x1b]0;pwned\x07",
    "fence": "a\n```\n</details>\n## pwned",
}


def _assert_inert(result: JobResult) -> None:
    assert not list(result.folder.rglob("*pwned*"))
    files = [path.read_text() for path in (result.folder / "files").iterdir()]
    assert not [text for text in files if "pwned" in text]
    lines = result.log.replace("\r", "\n")
    assert _COMMAND.search(lines) is None, lines
    assert "Traceback" not in result.log
    assert "\n## pwned" not in result.summary


@pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS)
@pytest.mark.threat("T14")
def test_a_branch_a_title_and_a_message_that_try_to_inject_stay_inert(ready: Project, text: str) -> None:
    ready.declare("alpha", NO_PACKAGES.format(name="alpha") + f"description: {json.dumps(text)}\n")
    result = ready.propose(text, branch=text, title=text)
    assert result.step("Validate").status in (0, 9), result.log
    _assert_inert(result)


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
    _assert_inert(result)
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
    seen = "a file" if list(result.folder.rglob("*pwned*")) else "a command" if _COMMAND.search(result.log) else None
    assert seen == trace
    with pytest.raises(AssertionError):
        _assert_inert(result)


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
    assert [step.outcome for step in result.steps] == ["success"] * 3 + ["failure", "skipped", "skipped"]
    assert not (result.folder / "workspace" / "went-on").exists()
