"""`reconciler gc` as people use it: on a clone with environments of both kinds, that were changed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.base_case import write_base
from tests.conftest import Required
from tests.registry_server import serving_registry
from tests.repository import PROGRAM, Repository
from tests.stale_case import Stale


@pytest.fixture
def repository(tmp_path: Path, required: Required) -> Repository:
    """A clone with a host environment and an image, each applied, changed, and applied again."""
    required.python("3.11")
    found = Repository(tmp_path / "clone")
    for version in ("1.0", "2.0"):
        found.release("alpha", version)
    write_base(found.root / "bases" / "small")
    for name in ("beta", "pip"):
        found.release(name, "1.0")
    declare(found, "alpha==1.0")
    found.commit()
    found("apply")
    declare(found, "alpha==2.0")
    found.commit()
    found("apply")
    return found


def declare(repository: Repository, requirement: str) -> None:
    repository.declare("host", requirement, "beta")
    (repository.root / "environments" / "image.yaml").write_text(
        f"name: image\npython: {{version: '3.11', pip: [{requirement}, beta], bytecode: false}}\n"
        "docker: {base_image: 'oci:bases/small'}\n"
    )


def age(repository: Repository) -> None:
    Stale(repository.root / ".reconciler").age(hours=24 * 40)


def listed(repository: Repository, *options: str) -> dict[str, int]:
    found = json.loads(repository("gc", "-o", "json", *options).out)
    return {kind: one["goes"]["count"] for kind, one in found["kinds"].items() if one["goes"]["count"]}


def test_what_goes_is_what_no_current_record_would_use(repository: Repository) -> None:
    assert listed(repository) == {}
    age(repository)
    goes = listed(repository)
    assert goes.pop("blobs") > 0
    assert goes == {"wheels": 1, "environments": 1}  # a layer that a version in the folder names frees nothing
    before = repository("gc")
    assert "Would free" in before.out
    done = repository("gc", "--delete")
    assert (
        done.out.splitlines()[-1] == before.out.splitlines()[-1].replace("Would free", "Freed").partition(";")[0] + "."
    )
    assert repository("gc", "--delete").out.splitlines()[-1].startswith("Nothing to delete; ")


@pytest.mark.parametrize("options", [(), ("--keep-size", "0", "--older-than", "0")])
def test_afterwards_nothing_is_built_and_all_is_as_it_was(repository: Repository, options: tuple[str, ...]) -> None:
    before = repository("list", "-o", "json").out
    age(repository)
    repository("gc", "--delete", *options)
    folder = repository.root / ".reconciler"
    assert bool(list((folder / "wheels").glob("*.whl"))) is (options == ())
    assert "Nothing to do: 2 environments unchanged." in repository("apply").out
    assert repository("list", "-o", "json").out == before
    where = repository("run", "host", "--", "python", "-c", "import alpha; print(alpha.__file__)").out
    assert str(folder / "hosts" / "host") in where
    assert "No drift." in repository("drift", "--deep").out
    assert "Doctor: no problem." in repository("doctor").out
    repository("run", "host:1", "--", "python", "-c", "import alpha")  # made again from its record
    declare(repository, "alpha==1.0")
    repository.commit()
    assert "applied" in repository("apply").out


def test_a_change_after_all_caches_are_gone_makes_the_same_bytes(repository: Repository, tmp_path: Path) -> None:
    age(repository)
    repository("gc", "--delete", "--keep-size", "0")
    repository.release("gamma", "1.0")
    for clone in (repository, Repository(tmp_path / "other", wheels=repository.wheels, cache=repository.cache)):
        if not (clone.root / "bases").exists():
            subprocess.run(["cp", "-a", str(repository.root / "bases"), str(clone.root)], check=True)
        declare(clone, "gamma")
        clone("apply", "image")
    images = {
        json.loads(clone("get", "image", "-o", "json").out)["artifacts"]["linux/amd64"]["digest"]
        for clone in (repository, clone)
    }
    assert len(images) == 1


def test_what_a_command_runs_in_stays_and_goes_when_it_has_ended(repository: Repository) -> None:
    code = "print('ready', flush=True); input()"
    with subprocess.Popen(
        [str(PROGRAM), "run", "host:1", "--", "python", "-c", code],
        cwd=repository.root,
        env=repository.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        age(repository)
        repository("gc", "--delete", "--keep-size", "0")
        assert len(environments(repository)) == 2
        process.communicate("\n")
    age(repository)
    repository("gc", "--delete", "--keep-size", "0")
    assert len(environments(repository)) == 1


def environments(repository: Repository) -> list[Path]:
    return sorted((repository.root / ".reconciler" / "hosts" / "host").glob("[0-9a-f]*"))


def test_an_environment_that_was_removed_needs_nothing(repository: Repository) -> None:
    (repository.root / "environments" / "host.yaml").unlink()
    repository.commit()
    repository("apply")
    age(repository)
    repository("gc", "--delete")
    assert environments(repository) == []
    repository("run", "host", "--", "python", "-c", "import alpha")


def test_a_registry_over_http_is_left_alone_and_says_what_is_needed(repository: Repository) -> None:
    with serving_registry() as server:
        address = f"{server.address}/team"
        (repository.root / "reconciler.yaml").write_text("manager: team\n")
        repository.commit()
        repository("apply", "--registry", address)
        age(repository)
        before = len(server.writes)
        done = repository("gc", "--delete", "--keep-size", "0", "--registry", address)
        assert f"note: nothing in {address} is deleted: registries collect what nothing names by themselves" in done.out
        assert len(environments(repository)) == 1
        assert "2 environments unchanged" in repository("apply", "--registry", address).out
        assert len(server.writes) == before


def test_a_registry_that_does_not_answer_keeps_every_environment(repository: Repository) -> None:
    age(repository)
    done = repository("gc", "--delete", "--keep-size", "0", "--registry", "127.0.0.1:9/team")
    assert "note: no environment goes, as nobody knows which are needed: " in done.out
    assert len(environments(repository)) == 2
    assert not list((repository.root / ".reconciler" / "wheels").glob("*.whl"))


def test_outside_of_a_clone_the_users_caches_are_looked_at(repository: Repository, tmp_path: Path) -> None:
    class Outside(Repository):
        @property
        def environ(self) -> dict[str, str]:
            return {**super().environ, "XDG_CACHE_HOME": str(tmp_path / "caches")}

    outside = Outside(tmp_path / "nowhere", wheels=repository.wheels, cache=repository.cache)
    subprocess.run(["rm", "-rf", str(outside.root / ".git")], check=True)
    registry = str(repository.root / ".reconciler" / "registry")
    for reference in ("host", "host:1"):
        outside("run", reference, "--registry", registry, "--", "python", "-c", "import alpha")
    made = tmp_path / "caches" / "reconciler"
    Stale(made).age(24 * 40)
    told = outside("gc", "--delete")
    assert "no registry is named, so that no environment goes; name one with --registry" in told.out
    assert len(list((made / "hosts" / "host").glob("[0-9a-f]*"))) == 2
    outside("gc", "--delete", "--registry", registry)
    assert len(list((made / "hosts" / "host").glob("[0-9a-f]*"))) == 1
    assert [path.name for path in outside.root.iterdir() if path.name != ".gitignore"] == []


def test_a_stranger_in_the_folder_is_named(repository: Repository) -> None:
    notes = repository.root / ".reconciler" / "wheels" / "notes.txt"
    notes.write_text("mine")
    age(repository)
    done = repository("gc", "--delete", "--keep-size", "0")
    assert "not ours, left alone: .reconciler/wheels/notes.txt" in done.out
    assert notes.read_text() == "mine"
    assert json.loads(repository("gc", "-o", "json").out)["foreign"] == [str(notes)]


@pytest.mark.parametrize("size", ["", "much", "-1", "1XB", "1e9", "٣GB", "0x10", "1.GB"])
def test_a_size_that_is_none_is_a_usage_error(tmp_path: Path, size: str) -> None:
    assert "--keep-size" in Repository(tmp_path / "clone")("gc", "--keep-size", size, expect=64).err


@pytest.mark.parametrize("days", ["-1", "soon"])
def test_days_that_are_none_are_a_usage_error(tmp_path: Path, days: str) -> None:
    assert "--older-than" in Repository(tmp_path / "clone")("gc", "--older-than", days, expect=64).err


def test_in_a_fresh_clone_there_is_nothing_and_nothing_is_made(tmp_path: Path) -> None:
    clone = Repository(tmp_path / "fresh")
    assert clone("gc").out == "reconciler gc · .reconciler\n\nNothing to delete; the caches hold 0 B.\n"
    clone("gc", "--delete")
    assert not (clone.root / ".reconciler").exists()
