"""Caches that somebody committed: they would be believed by their keys, so nothing is done with them there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.repository import Repository

pytestmark = pytest.mark.threat("T11")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "clone")
    found.declare("training")
    found.commit()
    return found


@pytest.mark.parametrize("name", ["cache", "hosts", "interpreters", "layers", "wheels"])
@pytest.mark.parametrize("command", [["plan"], ["apply"], ["validate"], ["lock"]])
def test_a_committed_cache_is_refused_in_one_line(repository: Repository, name: str, command: list[str]) -> None:
    file = repository.root / ".reconciler" / name / "planted"
    file.parent.mkdir(parents=True)
    file.write_text("x")
    repository.git("add", "--force", str(file))
    repository.commit()
    done = repository(*command, expect=6)
    assert done.err == (
        "error: git keeps files of .reconciler, and what stands there would be believed "
        "(git rm -r --cached .reconciler, and name it in .gitignore)\n"
    )
    repository.git("rm", "-r", "-q", "--cached", ".reconciler")
    shutil.rmtree(repository.root / ".reconciler" / name)
    repository(*command)


def test_a_cache_that_git_ignores_is_used(repository: Repository) -> None:
    repository("apply")
    repository("apply")
    assert (repository.root / ".reconciler" / "cache").is_dir()
