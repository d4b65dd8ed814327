"""Wheels on the disk: what the lock says, whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.errors import CorruptError, NotFoundError, StoreError, UnavailableError
from reconciler.store.wheels import WheelStore

DATA = b"a wheel, as far as this store knows" * 100
NAME = sha256(DATA).hexdigest()


def store(path: Path) -> WheelStore:
    return WheelStore(path=path / "wheels")


def put(path: Path, data: bytes = DATA) -> WheelStore:
    found = store(path)
    found.put(NAME, len(DATA), iter((data[:1000], data[1000:])), name="thing.whl")
    return found


def files(path: Path) -> list[str]:
    folder = path / "wheels"
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def test_a_wheel_is_given_as_it_was_kept(tmp_path: Path) -> None:
    found = put(tmp_path)
    assert found.holds(NAME, len(DATA))
    with found.open(NAME) as file:
        assert file.read() == DATA


def test_a_wheel_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert not store(tmp_path).holds(NAME, len(DATA))
    with pytest.raises(NotFoundError):
        store(tmp_path).open(NAME)
    store(tmp_path).forget(NAME)


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"x", DATA[:-1] + b"!", DATA * 2])
def test_what_is_not_what_the_lock_says_is_not_kept(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CorruptError, match=r"^thing\.whl ") as refused:
        put(tmp_path, data)
    assert "the lock says" in refused.value.message
    assert files(tmp_path) == []


def test_more_than_the_size_is_not_even_read(tmp_path: Path) -> None:
    given: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(1)
            yield DATA

    with pytest.raises(CorruptError, match="longer"):
        store(tmp_path).put(NAME, len(DATA), endless(), name="thing.whl")
    assert len(given) == len(("the wheel", "what is too much"))


def test_one_that_was_cut_short_is_not_there_and_is_replaced(tmp_path: Path) -> None:
    found = put(tmp_path)
    os.truncate(found.path_of(NAME), 5)
    assert not found.holds(NAME, len(DATA))
    assert put(tmp_path).holds(NAME, len(DATA))
    found.forget(NAME)
    assert files(tmp_path) == []


@pytest.mark.threat("F1")
@pytest.mark.parametrize("error", [KeyboardInterrupt, UnavailableError("gone"), OSError(errno.EIO, "no")])
def test_a_download_that_fails_half_way_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def failing() -> Iterator[bytes]:
        yield DATA[:10]
        raise error

    with pytest.raises((KeyboardInterrupt, UnavailableError, StoreError)):
        store(tmp_path).put(NAME, len(DATA), failing(), name="thing.whl")
    assert files(tmp_path) == []


@pytest.mark.threat("F1")
def test_a_process_that_is_killed_half_way_leaves_what_is_swept(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from reconciler.store.wheels import WheelStore

def dying():
    yield b"half"
    os.kill(os.getpid(), 9)

WheelStore(path=Path(sys.argv[1]) / "wheels").put("0" * 64, 10, dying(), name="thing.whl")
"""
    run = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert run.returncode == -signal.SIGKILL
    assert [name[:5] for name in files(tmp_path)] == [".tmp-"]
    assert store(tmp_path).sweep() == 1
    assert files(tmp_path) == []
