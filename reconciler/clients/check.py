"""The checks that a manifest declares: modules that import, and a command that succeeds."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.clients.activation import activate, expand_known, hide
from reconciler.clients.child import run
from reconciler.errors import BuildError
from reconciler.manifest.model import Manifest

LIMIT_S = 900
"""Seconds that a check may take."""
LAST_LINES = 15
"""Lines of what a check wrote that are shown."""
IMPORT = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"


def run_checks(manifest: Manifest, interpreter: Path, *, environment: Path | None = None) -> None:
    """Run the checks with an interpreter, in an empty folder; the first that fails is a BuildError.

    What ``${VAR}`` stands for is set where this machine knows it, and hidden in what is reported.
    """
    checks = manifest.checks
    check = _Check(manifest=manifest, interpreter=interpreter, environment=environment)
    if checks.imports:
        check.run("imports", [str(interpreter), "-c", IMPORT, *checks.imports])
    if checks.command:
        check.run("command", checks.command)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Check:
    manifest: Manifest
    interpreter: Path
    environment: Path | None

    def run(self, field: str, argv: Sequence[str]) -> None:
        variables, secrets = expand_known(self.manifest.environment_variables, os.environ)
        environ = activate(os.environ, self.interpreter.parent, variables, environment=self.environment)
        environ.pop("PYTHONPATH", None)  # the caller's modules prove nothing about the environment
        program = shutil.which(argv[0], path=environ["PATH"])
        if program is None:
            raise failure(self.manifest, field, f"there is no command {argv[0]!a} in the environment", "")
        with tempfile.TemporaryDirectory(prefix="reconciler-check-") as folder:
            done = run([program, *argv[1:]], folder=Path(folder), environ=environ, limit_s=LIMIT_S)
        if done.status:
            output = hide("\n".join(done.output.splitlines()[-LAST_LINES:]), secrets)
            raise failure(self.manifest, field, f"ended with status {done.status}", output)


def failure(manifest: Manifest, field: str, what: str, output: str) -> BuildError:
    """Say which check failed, how, and the end of what it wrote."""
    return BuildError(
        f"checks.{field} failed: {what}",
        where=manifest.locate(f"checks.{field}"),
        hint="nothing was registered",
        detail=output or None,
    )
