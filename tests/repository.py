"""A real git repository with manifests, and the command line that reconciles it, as users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.wheelhouse import write_wheel

PROGRAM = Path(sys.executable).parent / "reconciler"
TIMEOUT_S = 120


@dataclass
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Repository:
    """A clone in ``root``; packages come from ``wheels`` alone, handed over as a machine's own pip settings."""

    timeout_s = TIMEOUT_S

    def __init__(self, root: Path, *, wheels: Path | None = None, cache: Path | None = None) -> None:
        self.root = root
        self.wheels = wheels or root.parent / "wheels"
        self.cache = cache or root.parent / "uv-cache"
        root.mkdir(parents=True, exist_ok=True)
        self.wheels.mkdir(exist_ok=True)
        if not (root / ".git").exists():
            self.git("init", "-q", "-b", "main")
            (root / ".gitignore").write_text(".reconciler/\n")

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
        return {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "UV_CACHE_DIR": str(self.cache),
            "NO_COLOR": "1",
        }

    def release(self, name: str, version: str, *requires: str) -> None:
        """Put a wheel on the index."""
        write_wheel(self.wheels, name, version, requires=requires)

    def declare(self, name: str, *pip: str, extra: str = "") -> Path:
        """Write a manifest of a host environment."""
        path = self.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        python = f"python:\n  version: '3.11'\n  pip: [{', '.join(pip)}]\n" if pip else "python: {version: '3.11'}\n"
        path.write_text(f"name: {name}\n{python}docker: {{enabled: false}}\n{extra}")
        return path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments], check=True, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        return done.stdout.strip()

    def commit(self, message: str = "change") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, expect: int | None = 0) -> Answer:
        """Run the command line; an exit code that was not expected fails with what was printed."""
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=self.timeout_s,
            check=False,
        )
        answer = Answer(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in answer.err, answer.err
        if expect is not None:
            assert answer.code == expect, f"exit {answer.code}, expected {expect}\n{answer.out}\n{answer.err}"
        return answer
