"""An apply that waits for an interpreter is interrupted or killed: nothing of it goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.base_case import write_base
from tests.integration.test_compiled import greeted
from tests.own_base import HERE, LOADER, MINOR, own_root
from tests.repository import PROGRAM, Repository

LIMIT_S = 60.0


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository whose base has an interpreter that greets, and never answers."""
    repository = Repository(tmp_path / "clone")
    write_base(repository.root / "bases/own", own_root({LOADER: greeted(b"exec sleep 300")}), platform=HERE)
    for name in ("pip", "thing"):
        repository.release(name, "1.0")
    path = repository.declare("images", "thing")
    text = path.read_text().replace("enabled: false", 'base_image: "oci:bases/own"')
    text = text.replace("python:\n", f"python:\n  version: '{MINOR}'\n  base_packages: ignore\n")
    path.write_text("\n".join(dict.fromkeys(text.splitlines())) + f"\nplatforms: [{HERE}]\n")
    repository("lock")
    repository.commit()
    return repository


def sleeping(folder: Path) -> list[str]:
    """Name the processes that run in the folder of an interpreter."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(path.readlink()).startswith(f"{folder}/.reconciler/interpreters/"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def waiting(repository: Repository) -> subprocess.Popen[str]:
    """Start an apply, and give it when the interpreter runs."""
    process = subprocess.Popen(
        [PROGRAM, "apply"],
        cwd=repository.root, env=repository.environ, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    end = time.monotonic() + LIMIT_S
    while not sleeping(repository.root) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.threat("F17")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_interpreter_too(repository: Repository, number: signal.Signals) -> None:
    process = waiting(repository)
    start = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, time.monotonic() - start < 10) == (130, True)
    assert "Traceback" not in said
    assert sleeping(repository.root) == []


@pytest.mark.threat("F1")
def test_a_kill_ends_the_interpreter_too_and_a_rerun_makes_the_image(repository: Repository) -> None:
    process = waiting(repository)
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while sleeping(repository.root) and time.monotonic() < end:
        time.sleep(0.05)
    assert sleeping(repository.root) == []
    write_base(repository.root / "bases/own", own_root(), platform=HERE)
    (repository.root / "environments/images.lock.json").unlink()
    repository.commit()
    repository("apply")
    assert len(json.loads(repository("get", "images", "-o", "json").out)["artifacts"]) == 1
