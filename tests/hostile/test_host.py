"""Environments while processes are killed, interrupted, or many at once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.store.hosts import MARK, Hosts
from tests import host_case
from tests.conftest import Required

ASKED = host_case.task(host_case.checked("six"))
KILLS = 24
MAKERS = 8
MAKE = """
import sys
from pathlib import Path
from tests import host_case
host_case.builder(Path(sys.argv[1])).build(host_case.task(host_case.checked("six")))
"""
SIDE_BY_SIDE = """
import signal, sys
from pathlib import Path
from reconciler.errors import InterruptedByUserError
from reconciler.executors.threads import Threads
from tests import host_case

def interrupt(*_):
    raise InterruptedByUserError("interrupted")

signal.signal(signal.SIGTERM, interrupt)
signal.signal(signal.SIGINT, interrupt)
builder = host_case.builder(Path(sys.argv[1]))
sleep = ("sh", "-c", 'touch "$PIDS/$$"; exec sleep 60')
tasks = [
    host_case.task(host_case.checked(name=f"tiny-{n}", command=sleep, environment_variables={"PIDS": sys.argv[2]}))
    for n in range(3)
]
try:
    list(Threads(3).map(builder.build, tasks))
except InterruptedByUserError as error:
    sys.exit(error.exit_code)
"""


@pytest.fixture(scope="module", autouse=True)
def machine(required: Required, tmp_path_factory: pytest.TempPathFactory) -> None:
    required.python("3.11")
    required.index()
    host_case.builder(tmp_path_factory.mktemp("warm")).build(ASKED)  # uv's cache has what the index gives


def start(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def is_complete_or_absent(root: Path) -> bool:
    place = Hosts(root).place("tiny", ASKED.key)
    if not place.exists():
        return False
    assert (place / MARK).is_file()
    subprocess.run([place / "bin" / "python", "-c", "import six"], check=True)
    return True


def left(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "tiny").iterdir())


def is_gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def until(reached: Callable[[], bool], *, limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not reached():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def test_a_maker_that_is_killed_leaves_all_or_nothing(tmp_path: Path, count_cases: Callable[[str, int], None]) -> None:
    begun = time.monotonic()
    start(MAKE, tmp_path / "whole").wait()
    whole_s = time.monotonic() - begun
    chance = random.Random(11)  # noqa: S311  # repeatable moments, no secret
    absent = 0
    for number in range(KILLS):
        root = tmp_path / str(number % 4)  # a leftover meets the next maker
        maker = start(MAKE, root)
        time.sleep(chance.uniform(0.3, 1.1) * whole_s)
        maker.kill()
        maker.wait()
        absent += not is_complete_or_absent(root)
        count_cases("F1", 1)
        if number % 4 == 3:
            start(MAKE, root).wait()
            assert is_complete_or_absent(root)
            assert left(root) == [".lock", ASKED.key.hex]
    assert absent


@pytest.mark.threat("F3")
@pytest.mark.parametrize("round_", range(3))
def test_many_makers_make_it_once(round_: int, tmp_path: Path) -> None:
    del round_
    makers = [start(MAKE, tmp_path) for _ in range(MAKERS)]
    until(lambda: Hosts(tmp_path).find("tiny", ASKED.key) is not None)
    inode = Hosts(tmp_path).place("tiny", ASKED.key).stat().st_ino
    assert [maker.wait() for maker in makers] == [0] * MAKERS
    assert Hosts(tmp_path).place("tiny", ASKED.key).stat().st_ino == inode
    assert left(tmp_path) == [".lock", ASKED.key.hex]


@pytest.mark.threat("F5")
@pytest.mark.threat("F17")
def test_who_waits_goes_on_when_the_maker_is_killed(tmp_path: Path) -> None:
    first = start(MAKE, tmp_path)
    until(lambda: any((tmp_path / "tiny").glob(".making-*")))
    second = start(MAKE, tmp_path)
    time.sleep(0.1)
    first.kill()
    first.wait()
    assert second.wait(30) == 0
    assert is_complete_or_absent(tmp_path)
    assert left(tmp_path) == [".lock", ASKED.key.hex]


def started(root: Path, pids: Path) -> tuple[subprocess.Popen[bytes], list[int]]:
    pids.mkdir()
    process = start(SIDE_BY_SIDE, root, pids)
    until(lambda: len(list(pids.iterdir())) == 3)
    return process, [int(path.name) for path in pids.iterdir()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.threat("F17")
def test_an_interrupt_ends_every_program_and_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    process, children = started(tmp_path / "hosts", tmp_path / "pids")
    begun = time.monotonic()
    process.send_signal(number)
    assert process.wait(20) == 130
    assert time.monotonic() - begun < 10
    assert all(is_gone(pid) for pid in children)
    assert not list((tmp_path / "hosts").glob("*/[!.]*"))
    assert not list((tmp_path / "hosts").glob("*/.making-*"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
@pytest.mark.threat("F17")
def test_no_program_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    process, children = started(tmp_path / "hosts", tmp_path / "pids")
    process.kill()
    process.wait()
    until(lambda: all(is_gone(pid) for pid in children), limit_s=10)


@pytest.mark.threat("T13")
def test_a_secret_is_in_no_argument_while_an_environment_is_made_and_checked(tmp_path: Path) -> None:
    secret = "hunter2-the-secret"  # noqa: S105  # it is none
    program = MAKE.replace(
        'host_case.checked("six")',
        'host_case.checked("six", command=("sh", "-c", "test -n $KEY"), environment_variables={"KEY": "${TOKEN}"})',
    )
    os.environ["TOKEN"] = secret
    try:
        maker = start(program, tmp_path)
    finally:
        del os.environ["TOKEN"]
    seen = set()
    while maker.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes())
            except OSError:
                continue
    assert maker.wait() == 0
    assert [line for line in seen if b"--require-hashes" in line]
    assert not [line for line in seen if secret.encode() in line]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
