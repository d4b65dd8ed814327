"""Runs a workflow of this repository as GitHub does, on this machine.

Each ``run:`` step is a real ``bash --noprofile --norc -eo pipefail`` with GitHub's environment files; the three
actions have a local equivalent; any other action, shell or key of a step is an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.expression import Scope, Value

SHELLS = {None: ("bash", "-e"), "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail")}
"""What GitHub starts on Linux where a workflow names no shell, which does not see the head of a pipe fail; and bash."""
_STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env"}
_INHERITED = re.compile(r"(PIP|UV|SSL|REQUESTS|CURL|GIT_CONFIG|GIT_AUTHOR|GIT_COMMITTER)_.*|LANG|TZ|.*_PROXY|.*_proxy")
_HEREDOC = re.compile(r"([^=<]+)<<(.+)")


class UnknownWorkflowError(Exception):
    """A workflow uses what this runner was not taught."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What started a workflow: ``ref`` is what is checked out, ``payload`` the event's own document."""

    name: str
    ref: str
    sha: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    head_ref: str = ""
    base_ref: str = ""

    @property
    def is_of_a_fork(self) -> bool:
        """Whether it is a pull request from a fork: GitHub then keeps the variables and secrets to itself."""
        head = self.payload.get("pull_request", {}).get("head", {})
        return head.get("repo", {}).get("fork") is True


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What one step did: its outcome is ``success``, ``failure`` or ``skipped``."""

    name: str
    outcome: str
    status: int = 0
    log: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobResult:
    """What a job did: its steps in order, the summary, and the folder that it ran in."""

    steps: tuple[StepResult, ...]
    summary: str
    folder: Path

    @property
    def succeeded(self) -> bool:
        """Whether no step failed."""
        return all(step.outcome != "failure" for step in self.steps)

    @property
    def log(self) -> str:
        """Everything that the steps printed."""
        return "".join(step.log for step in self.steps)

    def step(self, name: str) -> StepResult:
        """Find a step by its name."""
        return next(step for step in self.steps if step.name == name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Forge:
    """What outlives a job: the bare remote, the caches (by scope), and where the interpreter is.

    ``done_before`` names steps whose work is on every machine already; they are passed over. ``variables`` and
    ``secrets`` are the repository's, ``machine`` what a runner of one's own has in its environment.
    """

    remote: Path
    caches: Path
    python: Path
    done_before: frozenset[str] = frozenset()
    runs: list[Path] = field(default_factory=list)
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    token: str = "token-of-the-job"  # noqa: S105  # of no forge

    def run(self, workflow: Path, event: Event, folder: Path) -> JobResult:
        """Run the only job of a workflow on a new machine, which is ``folder``."""
        self.runs.append(folder)
        job = read_job(workflow)
        shell = read_workflow(workflow).get("defaults", {}).get("run", {}).get("shell")
        return _Job(forge=self, event=event, folder=folder, number=len(self.runs), shell=shell).run(job)


def read_workflow(path: Path) -> dict[str, Any]:
    """Read a workflow; YAML 1.1 makes True of the key ``on``, which is put right."""
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    document["on"] = document.pop(True)
    return document


def read_job(path: Path) -> dict[str, Any]:
    """Read the only job of a workflow."""
    (job,) = read_workflow(path)["jobs"].values()
    found: dict[str, Any] = job
    return found


@dataclass(kw_only=True, slots=True)
class _Job:
    forge: Forge
    event: Event
    folder: Path
    number: int
    env: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    steps: dict[str, Value] = field(default_factory=dict)
    failed: bool = False
    shell: str | None = None

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def temp(self) -> Path:
        return self.folder / "temp"

    def run(self, job: Mapping[str, Any]) -> JobResult:
        for name in ("workspace", "temp", "home", "files"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "event.json").write_text(json.dumps(self.event.payload))
        (self.folder / "summary").touch()
        self.env |= {name: self.scope.interpolate(str(value)) for name, value in job.get("env", {}).items()}
        results = tuple(self.step(step, index) for index, step in enumerate(job["steps"]))
        return JobResult(steps=results, summary=(self.folder / "summary").read_text(), folder=self.folder)

    def step(self, step: Mapping[str, Any], index: int) -> StepResult:
        if not set(step) <= _STEP_KEYS:
            raise UnknownWorkflowError(f"no equivalent for {set(step) - _STEP_KEYS}")
        if not self.scope.condition(step.get("if")):
            result = StepResult(name=step["name"], outcome="skipped")
        elif step["name"] in self.forge.done_before:
            result = StepResult(name=step["name"], outcome="success", log="done before\n")
        elif "uses" in step:
            result = self.action(step)
        else:
            result = self.script(step, index)
        self.failed = self.failed or result.outcome == "failure"
        if "id" in step:
            before = self.steps.get(step["id"])
            outputs = before.get("outputs") if isinstance(before, Mapping) else None
            self.steps[step["id"]] = {"outcome": result.outcome, "conclusion": result.outcome, "outputs": outputs}
        return result

    # -- run: ---------------------------------------------------------------------------------------------------

    def script(self, step: Mapping[str, Any], index: int) -> StepResult:
        files = {name: self.folder / "files" / f"{index}-{name}" for name in ("ENV", "OUTPUT", "PATH")}
        for file in files.values():
            file.touch()
        script = self.temp / f"{index}.sh"
        script.write_text(self.scope.interpolate(step["run"]))
        variables = {name: self.scope.interpolate(str(value)) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            [*SHELLS[self.shell], str(script)],
            cwd=self.workspace,
            env=self.variables(files) | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            check=False,
        )
        self.env |= _read_pairs(files["ENV"])
        self.path[:0] = files["PATH"].read_text().split()
        if "id" in step:
            self.steps[step["id"]] = {"outputs": _read_pairs(files["OUTPUT"])}
        outcome = "failure" if done.returncode else "success"
        return StepResult(name=step["name"], outcome=outcome, status=done.returncode, log=done.stdout)

    def variables(self, files: Mapping[str, Path]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
        return {
            **inherited,
            **self.forge.machine,
            **self.env,
            "PATH": os.pathsep.join([*self.path, "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.folder / "home"),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_NAME": self.event.name,
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REF": self.event.ref,
            "GITHUB_REF_NAME": self.event.ref.removeprefix("refs/").partition("/")[2],
            "GITHUB_HEAD_REF": self.event.head_ref,
            "GITHUB_BASE_REF": self.event.base_ref,
            "GITHUB_SHA": self.event.sha,
            "GITHUB_REPOSITORY": "owner/repository",
            "GITHUB_RUN_ID": str(self.number),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            **{f"GITHUB_{name}": str(file) for name, file in files.items()},
            "RUNNER_TEMP": str(self.temp),
            "RUNNER_OS": "Linux",
        }

    @property
    def scope(self) -> Scope:
        github: dict[str, Value] = {
            "event_name": self.event.name,
            "event": self.event.payload,
            "ref": self.event.ref,
            "actor": "somebody",
            "token": self.forge.token,
            "head_ref": self.event.head_ref,
            "base_ref": self.event.base_ref,
            "sha": self.event.sha,
            "run_id": str(self.number),
            "run_attempt": "1",
            "workspace": str(self.workspace),
        }
        kept = self.event.is_of_a_fork
        contexts: dict[str, Value] = {
            "github": github,
            "env": dict(self.env),
            "steps": dict(self.steps),
            "vars": {} if kept else dict(self.forge.variables),
            "secrets": {} if kept else dict(self.forge.secrets),
        }
        return Scope(contexts=contexts, failed=self.failed)

    # -- uses: --------------------------------------------------------------------------------------------------

    def action(self, step: Mapping[str, Any]) -> StepResult:
        action, _, _ = step["uses"].partition("@")
        known: dict[str, Callable[[Mapping[str, str]], str]] = {
            "actions/checkout": self.check_out,
            "actions/setup-python": self.set_up_python,
            "actions/cache/restore": self.restore,
            "actions/cache/save": self.save,
        }
        if action not in known:
            raise UnknownWorkflowError(f"no equivalent for {action}")
        arguments = {name: self.scope.interpolate(str(value)) for name, value in step.get("with", {}).items()}
        return StepResult(name=step["name"], outcome="success", log=known[action](arguments))

    def check_out(self, arguments: Mapping[str, str]) -> str:
        if arguments.get("persist-credentials") != "False":
            raise UnknownWorkflowError("the checkout keeps its credentials")
        depth = arguments.get("fetch-depth", "1")
        shallow = () if depth == "0" else (f"--depth={depth}",)
        branches = ("+refs/heads/*:refs/remotes/origin/*",) if depth == "0" else ()
        git = ("git", "-c", "protocol.file.allow=always", "-C", str(self.workspace))
        for command in (
            ("init", "--quiet"),
            ("remote", "add", "origin", self.forge.remote.as_uri()),
            ("fetch", "--quiet", *shallow, "origin", *branches, f"+{self.event.sha}:refs/remotes/pull/merge"),
            ("checkout", "--quiet", "--detach", self.event.sha),
        ):
            subprocess.run([*git, *command], check=True, capture_output=True)
        return ""

    def set_up_python(self, arguments: Mapping[str, str]) -> str:
        seen = subprocess.run([self.forge.python, "--version"], check=True, capture_output=True, text=True).stdout
        if not seen.startswith(f"Python {arguments['python-version']}."):
            raise UnknownWorkflowError(f"{arguments['python-version']} was asked for, here is {seen}")
        self.path.insert(0, str(self.forge.python.parent))
        return seen

    def restore(self, arguments: Mapping[str, str]) -> str:
        prefixes = [arguments["key"], *arguments.get("restore-keys", "").split()]
        for scope in (self.event.ref, "refs/heads/main"):
            for prefix in prefixes:
                found = sorted(self.scope_folder(scope).glob(f"{prefix}*"), key=lambda path: path.stat().st_mtime_ns)
                if found:
                    shutil.copytree(found[-1], self.workspace / arguments["path"], symlinks=True)
                    return f"restored {found[-1].name}\n"
        return "nothing to restore\n"

    def save(self, arguments: Mapping[str, str]) -> str:
        source = self.workspace / arguments["path"]
        if not source.exists():
            return "nothing to save\n"
        target = self.scope_folder(self.event.ref) / arguments["key"]
        shutil.copytree(source, target, symlinks=True)  # a key that exists can't be written again
        os.utime(target)
        return f"saved {target.name}\n"

    def scope_folder(self, ref: str) -> Path:
        return self.forge.caches / ref.encode().hex()[:200]


def _read_pairs(file: Path) -> dict[str, str]:
    """Read ``NAME=value`` and ``NAME<<END`` of an environment file."""
    pairs: dict[str, str] = {}
    lines = iter(file.read_text().splitlines())
    for line in lines:
        heredoc = _HEREDOC.fullmatch(line)
        if heredoc:
            pairs[heredoc[1]] = "\n".join(iter(lambda: next(lines), heredoc[2]))
        elif line:
            name, separator, value = line.partition("=")
            if not separator:
                raise UnknownWorkflowError(f"{line!r} is no line of an environment file")
            pairs[name] = value
    return pairs
