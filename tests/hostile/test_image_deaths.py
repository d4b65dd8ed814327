"""An apply of an image that is killed at each of its changes to the disk, that shares it, and that runs out of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.base_case import write_base
from tests.conftest import Required
from tests.repository import PROGRAM, Repository
from tests.wheelhouse import write_wheel

STRIDE = 1 if os.environ.get("RECONCILER_CASES") == "full" else 5
DEAD = 77
DYING = f"""
import os, sys
left = int(sys.argv.pop(1))
def die(event, arguments):
    global left
    if event in ("os.link", "os.mkdir", "os.rename", "os.remove"):
        left -= 1
        if left < 0:
            os._exit({DEAD})
sys.addaudithook(die)
from reconciler.cli.main import main
main(["apply"])
"""
Counter = Callable[[str, int], None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two environments that share a layer, with their locks, and what comes out when nobody disturbs."""
    repository = Repository(tmp_path_factory.mktemp("deaths") / "clone")
    write_base(repository.root / "bases/small")
    repository.release("pip", "1.0")
    write_wheel(repository.wheels, "large", "1.0", modules={"large.py": "#" + os.urandom(1 << 20).hex()})
    (repository.root / "environments").mkdir()
    for name in ("one", "two"):
        (repository.root / "environments" / f"{name}.yaml").write_text(
            f"name: {name}\ndocker: {{base_image: 'oci:bases/small'}}\nenvironment_variables: {{OWN: {name}}}\n"
            "python: {version: '3.11', pip: [large], bytecode: false}\n"
        )
    repository("lock")
    repository.commit()
    return repository


def copied(template: Repository, folder: Path) -> Repository:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-a", template.root, folder], check=True)
    return Repository(folder, wheels=template.wheels, cache=template.cache)


def artifacts(repository: Repository) -> list[object]:
    return [json.loads(repository("get", name, "-o", "json").out)["artifacts"] for name in ("one", "two")]


@pytest.mark.threat("F1")
def test_one_rerun_does_the_rest_wherever_it_was_killed(
    template: Repository, tmp_path: Path, count_cases: Counter
) -> None:
    whole = copied(template, tmp_path / "whole")
    whole("apply")
    expected, step, status = artifacts(whole), 0, DEAD
    while status == DEAD:
        repository = copied(template, tmp_path / "killed")
        done = subprocess.run(
            [sys.executable, "-c", DYING, str(step)],
            cwd=repository.root, env=repository.environ, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        status = done.returncode
        repository("doctor", expect=None)  # what is there is never taken for something else
        repository("apply")
        assert artifacts(repository) == expected, f"killed before change {step}"
        assert repository("doctor").code == 0
        assert "unchanged" in repository("plan").out
        count_cases("F1", 1)
        step += STRIDE
    assert status == 0, done.stderr
    assert step > 40


@pytest.mark.threat("F3")
def test_two_that_apply_at_once_make_a_layer_once(template: Repository, tmp_path: Path) -> None:
    repository = copied(template, tmp_path / "shared")
    running = [
        subprocess.Popen([PROGRAM, "apply", name], cwd=repository.root, env=repository.environ, stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=60)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    layers = [one for one in (repository.root / ".reconciler/layers").glob("*.tar.gz") if one.stat().st_size > 1 << 20]
    assert len(layers) == 1
    assert repository("doctor").code == 0


@pytest.fixture
def disk(required: Required, template: Repository, tmp_path: Path) -> Iterator[Repository]:
    """A clone whose caches and registry are on a disk of 1.5 MB, which the layer alone does not fit on twice."""
    repository = copied(template, tmp_path / "full")
    place = repository.root / ".reconciler"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if os.geteuid() != 0:
        required.refuse("mounting a small disk needs root")
    options = ["-t", "tmpfs", "-o", "size=1500k", "none", str(place)]
    if subprocess.run([required.program("mount"), *options], check=False).returncode:
        required.refuse("a small disk can't be mounted here")
    yield repository
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.threat("F15")
def test_a_disk_that_is_full_is_one_line_and_more_room_is_all_that_is_needed(disk: Repository) -> None:
    done = disk("apply", "one", expect=1)
    assert "No space left on device" in done.out
    assert "free some space" in done.out
    assert disk("get", "one", expect=None).code != 0
    place = str(disk.root / ".reconciler")
    subprocess.run(["mount", "-o", "remount,size=32m", place], check=True)
    disk("apply")
    assert disk("doctor").code == 0
    left = [path.name for path in Path(place).rglob(".tmp-*")]
    assert left == []
