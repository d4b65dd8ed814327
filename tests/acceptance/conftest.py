"""What workflows run on: interpreters such as a hosted runner has, and a repository with its remote and its forge."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.workflow_project import NO_PACKAGES, PROJECT, ROOT, Project, git
from tests.acceptance.workflow_runner import Forge


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
    git(remote, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone.mkdir()
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, clone / name)
    (clone / "environments").mkdir()
    git(clone, "init", "--quiet", "--initial-branch=main")
    git(clone, "remote", "add", "origin", remote.as_uri())
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
