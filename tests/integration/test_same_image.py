"""The same manifest and lock on other machines: the images have the same digests, for both platforms."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uv

from tests.conftest import Required
from tests.container_case import Machine
from tests.debian import Debian
from tests.repository import PROGRAM

NAME = "same"
PACKAGES = ("numpy", "jinja2", "pyyaml", "rich")
NOBODY, NOWHERE = 65534, "http://127.0.0.1:9"
# The interpreter may be root's own: who runs it may read it, and owns nothing of it.
READING = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *READING)
PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Other:
    """What is no part of what is asked: where, as whom, and under which settings."""

    path: str
    program: str = str(PROGRAM)
    prefix: tuple[str, ...] = ()
    nobody: bool = False
    umask: int = 0o022
    variables: dict[str, str] = field(default_factory=dict)
    commits: int = 0


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A machine that applied, and what came out."""

    folder: Path
    machine: Machine
    debian: Debian
    images: dict[str, str]

    def elsewhere(self, other: Other) -> dict[str, str]:
        """Clone, take the wheels along, apply, and give what came out."""
        root = self.folder / "others" / other.path
        root.parent.mkdir(parents=True)
        subprocess.run(["git", "clone", "-q", "--", self.machine.root, root], check=True, umask=other.umask)
        shutil.copytree(self.machine.root / ".reconciler/wheels", root / ".reconciler/wheels")
        machine = Machine(root, self.debian)
        for number in range(other.commits):
            machine.commit(f"another commit {number}")
        if other.nobody:
            subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", root.parent], check=True)
        # Nothing is solved and nothing fetched: both would ask an index.
        environ = {
            **machine.environ,
            "HOME": str(root.parent),
            "PIP_INDEX_URL": "http://127.0.0.1:9",
            **other.variables,
        }
        try:
            for command in (("apply",), ("get", NAME, "-o", "json")):
                done = subprocess.run(
                    [*(AS_NOBODY if other.nobody else ()), *other.prefix, other.program, *command],
                    cwd=root, env=environ, umask=other.umask, capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == 0, done.stdout + done.stderr
            return images_of(done.stdout)
        finally:
            shutil.rmtree(self.folder / "others")


def images_of(text: str) -> dict[str, str]:
    found = json.loads(text)["artifacts"]
    return {platform: one["digest"] for platform, one in found.items()}


@pytest.fixture(scope="module")
def prepared(required: Required, debian: Debian) -> Iterator[Prepared]:
    """An environment with its lock, applied once, in a folder that every user may enter."""
    required.index()
    with tempfile.TemporaryDirectory(prefix="reconciler-same-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        machine = Machine(folder / "first", debian)
        machine.containers(NAME, *PACKAGES, platforms=("linux/amd64", "linux/arm64"))
        machine("lock")
        machine.commit()
        machine("apply")
        images = images_of(machine("get", NAME, "-o", "json").out)
        assert images.keys() == {"linux/amd64", "linux/arm64"}
        yield Prepared(folder=folder, machine=machine, debian=debian, images=images)


@pytest.mark.threat("F21")
def test_another_folder_umask_language_zone_hash_seed_and_commit(prepared: Prepared) -> None:
    variables = {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "4711"}
    other = Other(path="a/with space/ünïcode", umask=0o077, variables=variables, commits=2)
    assert prepared.elsewhere(other) == prepared.images


@pytest.mark.threat("F21")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_another_user(prepared: Prepared, required: Required) -> None:
    required.program("setpriv")
    assert prepared.elsewhere(Other(path="nobody/clone", nobody=True, umask=0o002)) == prepared.images


@pytest.mark.threat("F7")
@pytest.mark.parametrize("clock", ["-20y", "+10y"])
def test_another_clock(prepared: Prepared, required: Required, clock: str) -> None:
    prefix = (str(required.program("faketime")), "-f", clock)
    assert prepared.elsewhere(Other(path="clock/clone", prefix=prefix)) == prepared.images


@pytest.mark.threat("F21")
def test_another_installation_on_one_processor(prepared: Prepared, required: Required) -> None:
    venv = prepared.folder / "venv"
    make = ("venv", "--quiet", "--python", str(required.python("3.11")), str(venv))
    environ = {**os.environ, "VIRTUAL_ENV": str(venv)}
    for command in (make, ("pip", "install", "--quiet", str(PROJECT))):
        subprocess.run([uv.find_uv_bin(), *command], check=True, env=environ, cwd="/")
    prefix = (str(required.program("taskset")), "--cpu-list", "0")
    other = Other(path="installed/clone", program=str(venv / "bin/reconciler"), prefix=prefix)
    assert prepared.elsewhere(other) == prepared.images
