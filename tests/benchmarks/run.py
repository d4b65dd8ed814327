"""Measures start-up, ``validate`` and a no-op ``plan``, each beside Terraform in the same run.

::

    python tests/benchmarks/run.py                          # 100, 1,000 and 10,000 environments, five rounds
    python tests/benchmarks/run.py --sizes 100 --rounds 9

Rounds alternate: every command runs once before any runs again, so that a slow moment of the machine hits both. What
is printed is the median and the ratio. "Cold" is without the reconciler's cache of parsed manifests. Environments are
registered by the real planner and write protocol; only the solver and the builder are replaced, by ones that give a
lock of ten packages at once and make no environment. Terraform plans as many ``terraform_data`` resources, applied
before; without Terraform its columns stay empty.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.builders.artifact import to_artifact
from reconciler.cli.wiring import Workspace, open_workspace
from reconciler.lock.model import Interpreter, Lock, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Image
from reconciler.plan.change import Policy
from reconciler.plan.planner import plan
from reconciler.ports import Progress, Resolution, Resolved, Task
from reconciler.reconcile.apply import apply
from reconciler.reconcile.means import Means
from reconciler.values.digest import Digest

SIZES = (100, 1000, 10000)
ROUNDS = 5
PACKAGES = 10

MANIFEST = """\
# yaml-language-server: $schema=../schemas/environment.schema.json
name: {name}
description: Environment number {number}
owner: benchmarks
tags: {{number: "{number}"}}
python:
  version: "3.11"
  pip: [numpy, "pandas>=2.2", scikit-learn]
docker:
  enabled: false
environment_variables:
  OMP_NUM_THREADS: "4"
  NUMBER: "{number}"
checks:
  imports: [sklearn]
"""
RESOURCE = """\
resource "terraform_data" "{name}" {{
  input = {{
    description = "Environment number {number}"
    owner       = "benchmarks"
    packages    = ["numpy", "pandas>=2.2", "scikit-learn"]
    variables   = {{ OMP_NUM_THREADS = "4", NUMBER = "{number}" }}
  }}
}}
"""


# -- what is measured -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One command in one folder, what is done before each run of it, and the exit status that it must have."""

    command: tuple[str, ...]
    folder: Path
    before: Callable[[], None] = lambda: None
    status: int = 0

    def run_s(self) -> float:
        """Run once; give the seconds that it took."""
        self.before()
        start = time.perf_counter()
        done = subprocess.run(self.command, cwd=self.folder, env=_environment(), capture_output=True, check=False)
        taken = time.perf_counter() - start
        if done.returncode != self.status:
            said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(self.command)}: exit status {done.returncode}\n{said}")
        return taken


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table: us, and the peer where there is one."""

    what: str
    ours: Contender
    peer: Contender | None
    ours_s: list[float] = field(default_factory=list)
    peer_s: list[float] = field(default_factory=list)

    def round(self) -> None:
        """Run both once."""
        self.ours_s.append(self.ours.run_s())
        if self.peer is not None:
            self.peer_s.append(self.peer.run_s())

    def to_markdown(self) -> str:
        """Write medians and their ratio."""
        ours = statistics.median(self.ours_s)
        if not self.peer_s:
            return f"| {self.what} | {ours:.3f} s | | |"
        peer = statistics.median(self.peer_s)
        return f"| {self.what} | {ours:.3f} s | {peer:.3f} s | {ours / peer:.2f} |"


def _environment() -> dict[str, str]:
    dropped = ("RECONCILER_", "TF_", "PYTHONDONTWRITEBYTECODE")  # what is installed has its bytecode
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


# -- ours -------------------------------------------------------------------------------------------------------


class AtOnce:
    """A solver that gives the same ten packages to everyone, and a builder that makes no environment."""

    name = "host"
    recipe = 1

    def resolve(self, resolution: Resolution) -> Resolved:
        """Give a lock."""
        interpreter = Interpreter(implementation="cpython", version="3.11", abi="cp311", provider="auto")
        platform = PlatformLock(
            interpreter=interpreter, libc="glibc 2.28", packages=tuple(map(_package, range(PACKAGES)))
        )
        desired = resolution.desired
        lock = Lock(inputs=desired.inputs, platforms=dict.fromkeys(desired.manifest.platforms, platform))
        return Resolved(lock=lock)

    def refusal(self, desired: Desired) -> str | None:  # noqa: ARG002  # the port's signature
        """Refuse nothing."""
        return None

    def prepare(self, desired: Desired) -> None:
        """Need nothing."""

    def build(self, task: Task) -> Image:
        """Give the artifact that the real builder gives."""
        return to_artifact(task)

    def report(self, progress: Progress) -> None:
        """Show nothing."""


def _package(number: int) -> Package:
    name = f"package-{number}"
    digest = Digest.of(name.encode()).hex
    return Package(name=name, version="1.0", file=f"package_{number}-1.0-py3-none-any.whl", size=1000, sha256=digest)


def make_repository(folder: Path, size: int, maker: AtOnce | None = None, config: str = "") -> Workspace:
    """Write and commit manifests and ``reconciler.yaml``, and register them all."""
    environments = folder / "environments"
    environments.mkdir(parents=True)
    for number in range(size):
        name = f"environment-{number:05}"
        (environments / f"{name}.yaml").write_text(MANIFEST.format(name=name, number=number))
    (folder / ".gitignore").write_text(".reconciler/\n")
    (folder / "reconciler.yaml").write_text(config)
    author = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.invalid")
    for command in (("init", "--quiet"), ("add", "--all"), (*author, "commit", "--quiet", "--message=Begin")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    workspace = open_workspace(directory=str(folder))
    register(workspace, maker or AtOnce())
    return workspace


def register(workspace: Workspace, at_once: AtOnce) -> None:
    """Apply what the workspace declares, made by ``at_once``."""
    means = Means(
        registry=workspace.registry,
        builders={"host": at_once},
        resolvers={"host": at_once},
        executor=workspace.executor,
        reporter=at_once,
    )
    policy = Policy(manager=workspace.manager)
    first = plan(workspace.desired, workspace.observed(()), policy, workspace.revision)
    failed = [outcome.error for outcome in apply(first, policy, means) if outcome.error is not None]
    if failed:
        raise failed[0]


def _reconciler(*arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).with_name("reconciler")), *arguments)


# -- the peer ---------------------------------------------------------------------------------------------------


def make_terraform(folder: Path, size: int) -> str | None:
    """Write, initialise and apply as many resources; give Terraform's path, none where it is not installed."""
    terraform = shutil.which("terraform")
    if terraform is None:
        return None
    folder.mkdir(parents=True)
    blocks = (RESOURCE.format(name=f"environment_{number:05}", number=number) for number in range(size))
    (folder / "main.tf").write_text("\n".join(blocks))
    for command in (("init", "-input=false"), ("apply", "-input=false", "-auto-approve")):
        subprocess.run([terraform, *command], cwd=folder, env=_environment(), check=True, capture_output=True)
    return terraform


# -- the table --------------------------------------------------------------------------------------------------


def rows_of(folder: Path, size: int) -> Iterable[Row]:
    """Prepare both sides of one size; the size 1 stands for start-up and one file."""
    repository, peers = folder / f"{size}", folder / f"{size}-terraform"
    workspace = make_repository(repository, size)
    terraform = make_terraform(peers, size)
    cache = workspace.root / ".reconciler" / "cache"

    def cold() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    def peer(*arguments: str) -> Contender | None:
        return Contender(command=(terraform, *arguments), folder=peers) if terraform else None

    if size == 1:
        yield Row(what="`--help`", ours=Contender(command=_reconciler("--help"), folder=repository), peer=peer("-help"))
    for command, theirs in (
        (("validate",), ("validate",)),
        (("plan", "--detailed-exitcode"), ("plan", "-input=false", "-detailed-exitcode", "-lock=false")),
    ):
        what = f"{command[0]}, {size:,} environment{'s' if size > 1 else ''}"
        ours = _reconciler(*command)
        yield Row(
            what=f"{what}, cold", ours=Contender(command=ours, folder=repository, before=cold), peer=peer(*theirs)
        )
        yield Row(what=f"{what}, warm", ours=Contender(command=ours, folder=repository), peer=peer(*theirs))


def measure(sizes: Sequence[int], rounds: int, folder: Path) -> Mapping[str, Row]:
    """Run everything, a round after the other; give the rows by what they measure."""
    rows: dict[str, Row] = {}
    for size in (1, *sizes):
        for row in rows_of(folder, size):
            rows[row.what] = row
    for number in range(rounds):
        for row in rows.values():
            row.round()
        sys.stderr.write(f"round {number + 1} of {rounds}\n")
    return rows


def main(arguments: Sequence[str] | None = None) -> str:
    """Measure what the command line asks for; give the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many environments, with commas")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as folder:
        rows = measure([int(size) for size in options.sizes.split(",")], options.rounds, Path(folder))
    head = f"| median of {options.rounds} | reconciler | terraform | ratio |\n| --- | ---: | ---: | ---: |\n"
    return head + "\n".join(row.to_markdown() for row in rows.values()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(main())
