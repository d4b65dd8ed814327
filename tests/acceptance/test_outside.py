"""Commands that need no clone: they look at a registry, run what it holds, and leave nothing in the folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import PROGRAM, TIMEOUT_S, Answer, Repository


@dataclass(frozen=True)
class Away:
    """An empty folder, a user's home beside it, and a registry that a clone elsewhere wrote."""

    root: Path
    shared: Path
    environ: dict[str, str]

    @property
    def folder(self) -> Path:
        return self.root / "away"

    def __call__(self, *arguments: str, expect: int = 0, registry: str | None = None) -> Answer:
        address = [] if registry == "" else ["--registry", registry or str(self.shared)]
        command = [str(PROGRAM), arguments[0], *address, *arguments[1:]]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        assert done.returncode == expect, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert list(self.folder.iterdir()) == []
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    required.python("3.11")
    repository = Repository(tmp_path_factory.mktemp("outside") / "clone")
    (repository.root / "reconciler.yaml").write_text("manager: team\nregistry: ../shared\n")
    repository.release("alpha", "1.0")
    repository.declare("training", "alpha", extra="environment_variables: {MODE: '${MODE}'}\n")
    repository.declare("former")
    repository.commit()
    repository("apply")
    repository.declare("training", "alpha", extra="environment_variables: {MODE: 'x'}\ndescription: words\n")
    (repository.root / "environments" / "former.yaml").unlink()
    repository.commit()
    repository("apply")
    return repository


@pytest.fixture
def away(clone: Repository, tmp_path: Path) -> Away:
    (tmp_path / "away").mkdir()
    (tmp_path / "home").mkdir()
    kept = {key: value for key, value in clone.environ.items() if key != "XDG_CACHE_HOME"}
    return Away(tmp_path, clone.root.parent / "shared", {**kept, "HOME": str(tmp_path / "home")})


def test_a_registry_is_read_outside_of_a_clone(away: Away) -> None:
    listed = json.loads(away("list", "--archived", "-o", "json").out)["environments"]
    assert [(one["name"], one["version"], one["archived"]) for one in listed] == [
        ("former", 1, True),
        ("training", 2, False),
    ]
    assert json.loads(away("get", "training", "-o", "json").out)["version"] == 2
    assert json.loads(away("get", "training:1", "-o", "json").out)["version"] == 1
    versions = json.loads(away("history", "training", "-o", "json").out)["versions"]
    assert [one["version"] for one in versions] == [2, 1]
    assert list((away.root / "home").iterdir()) == []


@pytest.mark.parametrize("address", [os.path.relpath, str, lambda path: f"{path}/"])
def test_a_folder_is_named_as_any_other(clone: Repository, away: Away, address: Callable[[Path], str]) -> None:
    shutil.copytree(clone.root.parent / "shared", away.root / "shared", symlinks=True)
    text = "../shared" if address is os.path.relpath else address(away.root / "shared")
    assert "words" in away("list", registry=text).out


def test_a_registered_environment_is_explained_from_its_record(away: Away) -> None:
    text = away("explain", "training").out
    record = json.loads(away("get", "training", "-o", "json").out)
    for fact in ("request", "lock", "manager", "commit", "reference"):
        assert record[fact] in text
    assert "training  version 2  environments/training.yaml" in text
    assert "1 package for linux/amd64" in text
    assert '"requirements": ["alpha"]' in text
    assert '{"MODE": "x"}' in text
    assert text.splitlines()[-1] == "Verdict: it is registered."
    assert '{"MODE": "${MODE}"}' in away("explain", "training:1").out
    assert "archived" in away("explain", "former").out.splitlines()[-1]


def test_an_explanation_from_a_record_says_all_of_it_as_json(away: Away) -> None:
    found = json.loads(away("explain", "training:1", "-o", "json").out)
    assert (found["name"], found["version"], found["values"]["variables"]) == ("training", 1, {"MODE": "${MODE}"})
    assert found["values"].keys() == found["components"].keys()


def test_an_environment_runs_from_the_user_s_cache(away: Away) -> None:
    script = "import alpha, os, sys; print(os.environ['MODE'], sys.prefix)"
    mode, prefix = away("run", "training", "--", "python", "-c", script).out.split()
    assert mode == "x"
    assert Path(prefix).is_relative_to(away.root / "home" / ".cache" / "reconciler" / "hosts" / "training")
    away.environ["XDG_CACHE_HOME"] = str(away.root / "xdg")
    _, prefix = away("run", "training", "--", "python", "-c", script).out.split()
    assert Path(prefix).is_relative_to(away.root / "xdg" / "reconciler" / "hosts")
    away.environ["XDG_CACHE_HOME"] = "relative"  # to be ignored, says the specification
    away("run", "training", "--", "python", "-c", script)


def test_what_is_not_there_is_said_outside_of_a_clone_too(away: Away) -> None:
    for command in ("get", "history", "explain"):
        assert "did you mean `training`?" in away(command, "trainin", expect=1).err
    assert "training:7 is not registered; training has versions 2, 1" in away("explain", "training:7", expect=1).err


@pytest.mark.parametrize("command", [("list",), ("get", "training"), ("history", "training"), ("explain", "training")])
def test_without_a_clone_a_registry_has_to_be_named(away: Away, command: tuple[str, ...]) -> None:
    answer = away(*command, registry="", expect=64)
    assert "name one with --registry: a folder, or HOST/PREFIX" in answer.err
    away.environ["RECONCILER_REGISTRY"] = str(away.shared)
    away(*command, registry="")


def test_in_a_clone_what_is_declared_wins_and_the_rest_is_explained_from_the_registry(clone: Repository) -> None:
    assert "defaults that were filled in" in clone("explain", "training").out
    assert "training  version 1" in clone("explain", "training:1").out
    assert "former  version 1, archived" in clone("explain", "former").out
    error = clone("explain", "formr", expect=64).err
    assert "no environment `formr` is declared or registered (did you mean `former`?)" in error
    assert (clone.root / ".reconciler").is_dir()


def test_damage_is_named_where_a_record_is_explained(clone: Repository, away: Away) -> None:
    shutil.copytree(clone.root.parent / "shared", away.root / "shared", symlinks=True)
    record = json.loads(away("get", "training", "-o", "json").out)["digest"].removeprefix("sha256:")
    blobs = away.root / "shared" / "training" / "blobs" / "sha256"
    lock = json.loads((blobs / record).read_bytes())["manifests"][-1]["digest"].removeprefix("sha256:")
    (blobs / lock).unlink()
    text = away("explain", "training", registry="../shared").out
    assert "it is damaged (lock missing); `reconciler apply` where it is declared mends it" in text.splitlines()[-1]
