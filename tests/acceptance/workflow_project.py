"""A repository that is this one but for its environments, and what it is to stay inert against."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from tests.acceptance.workflow_runner import Event, Forge, JobResult

ROOT = Path(__file__).parents[2]
PROJECT = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "reconciler", "schemas", ".github")
NO_PACKAGES = "name: {name}\npython: {{version: '3.11'}}\ndocker: {{enabled: false}}\n"
# What the runner would take for a command of a step; ours are annotations.
COMMAND = re.compile(r"^\s*(?:::|##\[)(?!(?:error|warning|notice|debug) |(?:debug|group|endgroup)::)", re.MULTILINE)


def git(folder: Path, *arguments: str) -> str:
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
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--message", message)
        return git(self.clone, "rev-parse", "HEAD")

    def run(self, stem: str, event: Event) -> JobResult:
        """Run a workflow as the checked-out commit has it, on a new machine."""
        git(self.clone, "push", "--quiet", "--force", "origin", f"{event.sha}:refs/heads/pushed", "main")
        machine = self.machines / str(len(self.forge.runs))
        return self.forge.run(self.clone / ".github" / "workflows" / f"{stem}.yml", event, machine)

    def merge(self, *, sha: str | None = None) -> JobResult:
        """Push main, and let apply run; with ``sha`` as if this commit had been pushed, and its run come late."""
        sha = sha or git(self.clone, "rev-parse", "main")
        return self.run("apply", Event(name="push", ref="refs/heads/main", sha=sha))

    def propose(
        self, message: str, *, branch: str = "change", title: str = "Change", is_fork: bool = False
    ) -> JobResult:
        """Commit, and let plan run for a pull request of it."""
        sha = self.commit(message)
        head = {"ref": branch, "label": f"owner:{branch}", "repo": {"fork": is_fork}}
        pull = {"number": 7, "title": title, "body": title, "head": head}
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
            "drift", Event(name="schedule", ref="refs/heads/main", sha=git(self.clone, "rev-parse", "main"))
        )

    def with_registry(self, address: str, *, password: str = "", **more: str) -> Project:
        """Give the same with the registry in the repository's variables, and its password among the secrets."""
        variables = {"RECONCILER_REGISTRY": address, **more}
        secrets = {"RECONCILER_REGISTRY_PASSWORD": password} if password else {}
        return replace(self, forge=replace(self.forge, variables=variables, secrets=secrets))

    def saved(self) -> list[Path]:
        """List the saved registries, oldest first."""
        return sorted(self.forge.caches.glob("*/*"), key=lambda path: path.stat().st_mtime_ns)


def assert_succeeded(result: JobResult) -> None:
    assert result.succeeded, [(step.name, step.outcome, step.status) for step in result.steps] + [result.log]


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


def assert_inert(result: JobResult) -> None:
    assert not list(result.folder.rglob("*pwned*"))
    files = [path.read_text() for path in (result.folder / "files").iterdir()]
    assert not [text for text in files if "pwned" in text]
    lines = result.log.replace("\r", "\n")
    assert COMMAND.search(lines) is None, lines
    assert "Traceback" not in result.log
    assert "\n## pwned" not in result.summary
