"""An apply that makes images is interrupted or killed: a quick end, no process left, and one rerun does the rest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.base_case import write_base
from tests.repository import PROGRAM, Repository
from tests.wheelhouse import write_wheel

PACKAGES, SIZE = 12, 6 << 20
LIMIT_S = 30.0
Counter = Callable[[str, int], None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """An environment of wheels that take a while, with its lock, and what comes out when nobody disturbs."""
    repository = Repository(tmp_path_factory.mktemp("interrupted") / "clone")
    write_base(repository.root / "bases/small")
    repository.release("pip", "1.0")
    names = [f"large{number}" for number in range(PACKAGES)]
    for name in names:
        write_wheel(repository.wheels, name, "1.0", modules={f"{name}.py": "#" + os.urandom(SIZE // 2).hex()})
    path = repository.declare("images", *names)
    text = path.read_text().replace("enabled: false", 'base_image: "oci:bases/small"')
    path.write_text(text.replace("python:\n", "python:\n  bytecode: false\n  base_packages: ignore\n"))
    repository("lock")
    repository.commit()
    repository("apply")
    return repository


def artifacts(repository: Repository) -> object:
    return json.loads(repository("get", "images", "-o", "json").out)["artifacts"]


def clone(template: Repository, folder: Path) -> Repository:
    root = folder / "clone"
    subprocess.run(["git", "clone", "-q", "--", template.root, root], check=True)
    return Repository(root, wheels=template.wheels, cache=template.cache)


def begun(repository: Repository, layers: int) -> subprocess.Popen[str]:
    """Start an apply in a group of its own, and give it when so many layers are there and more are being made."""
    process = subprocess.Popen(
        [PROGRAM, "apply"],
        cwd=repository.root, env=repository.environ, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    folder, end = repository.root / ".reconciler/layers", time.monotonic() + LIMIT_S
    while len(list(folder.glob("*.json"))) < layers and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()
    return process


def group_of(number: int) -> list[str]:
    """Name the processes of a group that run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[2] == str(number) and fields[0] != "Z":
            found.append(path.parent.name)
    return found


@pytest.mark.threat("F17")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("layers", [1, 6])
def test_an_interrupt_ends_it_soon_and_a_rerun_does_the_rest(
    template: Repository, tmp_path: Path, number: signal.Signals, layers: int
) -> None:
    repository = clone(template, tmp_path)
    process = begun(repository, layers)
    start = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, time.monotonic() - start < 10) == (130, True)
    assert "Traceback" not in said
    assert group_of(process.pid) == []
    repository("apply")
    assert artifacts(repository) == artifacts(template)
    repository("doctor")


@pytest.mark.threat("F1")
@pytest.mark.parametrize("layers", [0, 3, 6, 12])
def test_a_kill_leaves_what_a_rerun_goes_on_with(template: Repository, tmp_path: Path, layers: int) -> None:
    repository = clone(template, tmp_path)
    process = begun(repository, layers)
    process.kill()
    process.communicate()
    kept = {path.name: path.stat().st_ino for path in (repository.root / ".reconciler/layers").glob("*.tar.gz")}
    about = {path.stem for path in (repository.root / ".reconciler/layers").glob("*.json")}
    repository("apply")
    assert artifacts(repository) == artifacts(template)
    repository("doctor")
    again = {path.name: path.stat().st_ino for path in (repository.root / ".reconciler/layers").glob("*.tar.gz")}
    assert {name for name in kept if name.split(".")[0] in about and again[name] != kept[name]} == set()


@pytest.mark.threat("F11")
def test_a_layer_that_was_damaged_in_the_cache_is_never_registered(template: Repository, tmp_path: Path) -> None:
    repository = clone(template, tmp_path)
    shutil.copytree(template.root / ".reconciler/layers", repository.root / ".reconciler/layers")
    damaged = max((repository.root / ".reconciler/layers").glob("*.tar.gz"), key=lambda path: path.stat().st_size)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    answer = repository("apply", expect=None)
    if answer.code:
        assert "is damaged" in answer.err + answer.out
        repository("apply")
    assert artifacts(repository) == artifacts(template)
    repository("doctor")
