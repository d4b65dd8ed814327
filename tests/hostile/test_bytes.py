"""The same commit on other machines: hash seed, language, zone, umask, user, path, file order, processors.

The same plan, records, artifacts and state come out, digest by digest. In full (200 machines):
``RECONCILER_CASES=full pytest tests/hostile/test_bytes.py``.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import PROGRAM, TIMEOUT_S, Repository
from tests.standing import standing

MACHINES = 200 if os.environ.get("RECONCILER_CASES") == "full" else 10
NOBODY = 65534
# The interpreter may be root's own: who runs it may read it, and owns nothing of it.
READING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *READING)
MEMORY = Path("/dev/shm")  # noqa: S108  # names come in another order from a file system in memory
FILES = {
    "environments/deep/environment.yaml": """\
name: deep
python:
  version: '3.11'
  pip_file: [b.txt, ../../shared/a.txt]
  constraints: [beta<3]
docker: {enabled: false}
environment_variables: {Z: '1', A: 'ä', M: '3'}
tags: {z: '1', B: ü, a: b}
description: Größe, 大小
checks: {imports: [alpha, beta]}
""",
    "environments/deep/b.txt": "-r c.txt\nbeta\n",
    "environments/deep/c.txt": "alpha>=1\r\n",
    "shared/a.txt": "# a comment\ngamma==1.0\n",
    "environments/wide.yaml": """\
name: wide
python: {version: '3.11', pip: [gamma, beta, alpha]}
docker: {enabled: false}
""",
    "environments/plain.yml": "name: plain\npython: {version: '3.11'}\ndocker: {enabled: false}\n",
}
Counter = Callable[[str, int], None]


@dataclass(frozen=True)
class Machine:
    """Everything that is no part of what is asked."""

    seed: str
    language: str
    zone: str
    umask: int
    nobody: bool
    path: str
    memory: bool
    one_processor: bool
    order: int

    @classmethod
    def draw(cls, chance: random.Random) -> Machine:
        return cls(
            seed=str(chance.randrange(2**32)),
            language=chance.choice(["C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "de_DE.ISO-8859-1", "xx_XX", ""]),
            zone=chance.choice(["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "America/St_Johns", "No/Where"]),
            umask=chance.choice([0o000, 0o002, 0o022, 0o027, 0o077]),
            nobody=chance.random() < 0.4 and os.geteuid() == 0,
            path=chance.choice(
                ["c", "with space", "ünïcode-大", "-dash", "a/b/c/d/e/f", "x" * 120, "per%cent", "q'uote"]
            ),
            memory=chance.random() < 0.5 and os.access(MEMORY, os.W_OK),
            one_processor=chance.random() < 0.5,
            order=chance.randrange(2**32),
        )


class Elsewhere(Repository):
    """A clone on another machine."""

    machine: Machine

    @property
    def environ(self) -> dict[str, str]:
        machine = self.machine
        kept = {key: value for key, value in super().environ.items() if not key.startswith(("LC_", "LANG"))}
        return {
            **kept,
            "HOME": str(self.root.parent),
            "PYTHONHASHSEED": machine.seed,
            "LC_ALL": machine.language,
            "TZ": machine.zone,
        }

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.prefix, str(PROGRAM), *arguments],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            umask=self.machine.umask,
            check=False,
        )
        assert done.returncode == 0, (self.machine, done.stdout, done.stderr)
        return done.stdout

    @property
    def prefix(self) -> list[str]:
        processors = ["taskset", "-c", "0"] if self.machine.one_processor else []
        return [*processors, *(AS_NOBODY if self.machine.nobody else ())]


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="bytes-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)  # noqa: S103, PTH101  # other users enter it
        yield Path(name)


@pytest.fixture(scope="module")
def template(shared: Path, required: Required) -> Repository:
    required.python("3.11")
    repository = Repository(shared / "clone")
    for package in ("alpha", "beta", "gamma"):
        for version in ("1.0", "2.0"):
            repository.release(package, version)
    for path, text in FILES.items():
        (repository.root / path).parent.mkdir(parents=True, exist_ok=True)
        (repository.root / path).write_bytes(text.encode())
    repository.commit()
    return repository


def clone_to(template: Repository, machine: Machine, folder: Path) -> Elsewhere:
    root = folder / machine.path
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "-q", "--", template.root, root], check=True, umask=machine.umask)
    shuffle(root, random.Random(machine.order))  # noqa: S311  # any order will do
    repository = Elsewhere(root, wheels=template.wheels, cache=folder / "cache")
    repository.machine = machine
    if machine.nobody:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", folder], check=True)
    return repository


def shuffle(root: Path, chance: random.Random) -> None:
    """Take the files out and put them back in another order."""
    for folder in (root, root / "environments", root / "environments" / "deep"):
        names = [path.name for path in folder.iterdir() if path.name != ".git"]
        chance.shuffle(names)
        aside = root.parent / "aside"
        aside.mkdir()
        for name in names:
            (folder / name).rename(aside / name)
        chance.shuffle(names)
        for name in names:
            (aside / name).rename(folder / name)
        aside.rmdir()


def test_another_machine_gives_the_same_plan_and_the_same_bytes(
    template: Repository, required: Required, count_cases: Counter
) -> None:
    for program in ("taskset", "setpriv"):
        required.program(program)
    plan = template("plan", "-o", "json").out
    template("apply")
    expected = standing(template.root)
    chance = random.Random(20261122)  # noqa: S311  # the same machines every time
    for number in range(MACHINES):
        machine = Machine.draw(chance)
        folder = Path(
            tempfile.mkdtemp(prefix=f"machine{number}-", dir=MEMORY if machine.memory else template.root.parent)
        )
        os.chmod(folder, 0o755)  # noqa: S103, PTH101  # other users enter it
        try:
            repository = clone_to(template, machine, folder)
            assert repository.run("plan", "-o", "json") == plan, machine
            repository.run("apply")
            assert standing(repository.root) == expected, machine
        finally:
            shutil.rmtree(folder)
        count_cases("F21", 1)
