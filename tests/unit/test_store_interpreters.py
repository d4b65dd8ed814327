"""Unpacked interpreters: whole or not at all, and what was added or torn is never run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import BuildError, StoreError
from reconciler.store.interpreters import InterpreterStore
from reconciler.values.digest import Digest

KEY = Digest.of(b"key")


class Filler:
    """Writes an interpreter, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, folder: Path) -> None:
        self.times += 1
        (folder / "lib").mkdir()
        (folder / "empty").mkdir()
        (folder / "loader").write_bytes(b"loader")
        (folder / "lib/os.py").write_bytes(b"os")


@pytest.fixture
def store(tmp_path: Path) -> InterpreterStore:
    return InterpreterStore(path=tmp_path / "interpreters")


def test_it_is_made_once(store: InterpreterStore) -> None:
    fill = Filler()
    places = {store.provide(KEY, fill) for _ in range(3)}
    assert (len(places), fill.times) == (1, 1)
    assert {path.name for path in store.path.iterdir()} == {".lock", KEY.hex}


def test_those_who_come_at_once_make_it_once(store: InterpreterStore) -> None:
    fill = Filler()
    threads = [threading.Thread(target=store.provide, args=(KEY, fill)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fill.times == 1


DAMAGE: dict[str, Callable[[Path], object]] = {
    "changed": lambda place: (place / "lib/os.py").write_bytes(b"so"),
    "gone": lambda place: (place / "lib/os.py").unlink(),
    "added": lambda place: (place / "lib/sitecustomize.py").write_bytes(b""),
    "added to where it runs": lambda place: (place / "empty/encodings.py").write_bytes(b""),
    "a link": lambda place: (place / "lib/other.py").symlink_to("os.py"),
    "a link to a folder": lambda place: (place / "more").symlink_to(place.parent),
    "another for a file": lambda place: (place / "loader").rename(place / "lib/os.py"),
    "no mark": lambda place: (place / "reconciler-interpreter.json").unlink(),
    "half a mark": lambda place: (place / "reconciler-interpreter.json").write_text('{"lib'),
}


@pytest.mark.threat("T11")
@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_not_as_it_was_unpacked_is_made_anew(store: InterpreterStore, what: str) -> None:
    fill = Filler()
    place = store.provide(KEY, fill)
    DAMAGE[what](place)
    assert store.provide(KEY, fill) == place
    assert fill.times == 2
    names = {str(path.relative_to(place)) for path in place.rglob("*")}
    assert names == {"lib", "empty", "loader", "lib/os.py", "reconciler-interpreter.json"}
    assert (place / "lib/os.py").read_bytes() == b"os"


def test_what_filling_raises_leaves_nothing(store: InterpreterStore) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"")
        raise BuildError("no loader")

    with pytest.raises(BuildError, match="no loader"):
        store.provide(KEY, fail)
    assert [path.name for path in store.path.iterdir()] == [".lock"]


def test_what_a_killed_maker_left_is_swept(store: InterpreterStore) -> None:
    store.path.mkdir()
    (store.path / ".making-0").mkdir()
    (store.path / ".making-0/half").write_bytes(b"")
    (store.path / ".making-1").symlink_to(os.curdir)
    store.provide(KEY, Filler())
    assert {path.name for path in store.path.iterdir()} == {".lock", KEY.hex}


@pytest.mark.threat("F15")
def test_a_disk_that_refuses_is_one_line(store: InterpreterStore) -> None:
    def full(folder: Path) -> None:
        raise OSError(28, os.strerror(28), str(folder))

    with pytest.raises(StoreError, match="No space left on device"):
        store.provide(KEY, full)
    assert store.provide(KEY, Filler()).is_dir()


@pytest.mark.threat("T2")
def test_a_folder_that_leads_elsewhere_is_refused(store: InterpreterStore, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    store.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="leads elsewhere"):
        store.provide(KEY, Filler())
