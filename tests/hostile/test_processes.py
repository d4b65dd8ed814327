"""Several processes on one registry, and killed ones: no lost update, no lock that outlives its holder."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.errors import ConflictError, NotFoundError
from reconciler.oci import media
from reconciler.oci.image import side_entry
from reconciler.oci.manifest import parse_image
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.cache import Cache
from reconciler.store.content import ContentStore
from reconciler.store.locks import locked

Count = Callable[[str, int], None]

PRELUDE = """
import sys, time
from pathlib import Path
from reconciler.oci import media
from reconciler.oci.image import side_entry
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.cache import Cache
from reconciler.store.content import ContentStore
from reconciler.store.locks import locked

root, number = Path(sys.argv[1]), int(sys.argv[2])
registry = LayoutRegistry(root / "registry", store=ContentStore(root / "store"))

def push(repository, text, *tags):
    made = side_entry(media.LOCK, text.encode())
    for blob in made.blobs:
        registry.push_blob(repository, blob)
    registry.push(repository, made.manifest, tags=tags)

def wait_for_start():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def processes(program: str, root: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start processes that wait for one another, and end them."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PRELUDE + program, str(root), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def release(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def finish(started: list[subprocess.Popen[str]]) -> None:
    release(started)
    for process in started:
        assert process.wait(120) == 0, process.communicate()[1]


def registry_in(root: Path) -> LayoutRegistry:
    return LayoutRegistry(root / "registry", store=ContentStore(root / "store"))


def check_clean(root: Path, repository: str) -> None:
    """Check that every tag leads to whole content, and that nothing is left over."""
    registry = registry_in(root)
    for tag in registry.tags(repository):
        image = parse_image(registry.fetch(repository, tag))
        for descriptor in (image.config, *image.layers):
            assert registry.has_blob(repository, descriptor)
            list(registry.fetch_blob(repository, descriptor))


def test_eight_processes_on_different_repositories_lose_nothing(tmp_path: Path, count_cases: Count) -> None:
    program = """
wait_for_start()
for each in range(25):
    with registry.writing(f"e{number}-{each}"):
        push(f"e{number}-{each}", f"{number} {each % 3}", "v1", "current")
"""
    with processes(program, tmp_path, 8) as started:
        finish(started)
    names = {f"e{number}-{each}" for number in range(8) for each in range(25)}
    assert set(registry_in(tmp_path).repositories() or ()) == names
    for name in names:
        assert registry_in(tmp_path).tags(name) == ("current", "v1")
        check_clean(tmp_path, name)
    count_cases("F4", len(names))


@pytest.mark.parametrize("count", [2, 4, 8])
def test_processes_that_race_on_one_repository_lose_no_update(tmp_path: Path, count: int, count_cases: Count) -> None:
    program = """
wait_for_start()
for each in range(10):
    with registry.writing("training"):
        version = len([tag for tag in registry.tags("training") if tag.startswith("v")]) + 1
        push("training", f"{number} {each}", f"v{version}", "current")
"""
    with processes(program, tmp_path, count) as started:
        finish(started)
    assert len(registry_in(tmp_path).tags("training")) == 10 * count + 1
    check_clean(tmp_path, "training")
    count_cases("F3", 10 * count)


def test_tags_pushed_at_once_without_a_lock_are_all_there(tmp_path: Path, count_cases: Count) -> None:
    program = """
wait_for_start()
for each in range(10):
    push("training", f"{number} {each}", f"build-{number}-{each}")
"""
    with processes(program, tmp_path, 8) as started:
        finish(started)
    assert len(registry_in(tmp_path).tags("training")) == 80
    check_clean(tmp_path, "training")
    count_cases("F3", 80)


def test_the_lock_of_a_killed_holder_is_free_and_that_of_a_live_one_is_not(tmp_path: Path, count_cases: Count) -> None:
    program = """
with locked(root / "lock"):
    wait_for_start()
"""
    for _ in range(35):
        with processes(program, tmp_path, 1) as (holder,):
            with pytest.raises(ConflictError, match="lock"), locked(tmp_path / "lock", timeout_s=0):
                pytest.fail("stolen")
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            with locked(tmp_path / "lock", timeout_s=0.5):
                pass
    count_cases("F5", 70)


@pytest.mark.threat("F5")
def test_a_lock_whose_file_was_removed_still_excludes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path):
        path.unlink()
        with locked(path), pytest.raises(ConflictError), locked(path, timeout_s=0.01):
            pytest.fail("taken twice")


@pytest.mark.threat("F5")
def test_a_program_that_the_holder_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    program = """
import subprocess
with locked(root / "lock"):
    child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("ready", flush=True)
    print(child.pid, flush=True)
    sys.stdin.readline()
"""
    with processes(program, tmp_path, 1) as (holder,):
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        holder.kill()
        holder.wait()
        try:
            with locked(tmp_path / "lock", timeout_s=0.5):
                pass
        finally:
            subprocess.run(["kill", str(child)], check=True)


def test_a_writer_killed_at_any_time_leaves_a_whole_registry(tmp_path: Path, count_cases: Count) -> None:
    program = """
wait_for_start()
for each in range(100000):
    name = f"e{each % 5}"
    with registry.writing(name):
        push(name, f"{time.time()}", f"v{each}", "current")
"""
    randomness = random.Random(11)  # noqa: S311  # a moment, not a secret
    for _ in range(20):
        with processes(program, tmp_path, 1) as started:
            release(started)
            time.sleep(randomness.uniform(0, 0.15))
        for name in registry_in(tmp_path).repositories() or ():
            check_clean(tmp_path, name)
    registry = registry_in(tmp_path)
    for name in (f"e{number}" for number in range(5)):
        with registry.writing(name):
            made = side_entry(media.LOCK, b"rerun")
            for blob in made.blobs:
                registry.push_blob(name, blob)
            registry.push(name, made.manifest, tags=["current"])
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert list(tmp_path.rglob(".new-*")) == []
    count_cases("F1", 20)


def test_processes_that_share_a_cache_read_nothing_wrong(tmp_path: Path) -> None:
    program = """
wait_for_start()
for each in range(40):
    Cache(root / "cache").put_many({f"k{key}": [key, "x" * 200] for key in range(each, each + 20)})
    for key in range(60):
        assert Cache(root / "cache").get(f"k{key}") in (None, [key, "x" * 200])
"""
    with processes(program, tmp_path, 8) as started:
        release(started)
        time.sleep(0.1)
        for process in started[:4]:
            process.kill()
        for process in started[4:]:
            assert process.wait(120) == 0, process.communicate()[1]
    Cache(tmp_path / "cache").put_many({"after": 1})
    assert Cache(tmp_path / "cache").get("after") == 1
    assert list((tmp_path / "cache").glob(".tmp-*")) == []


def test_an_interrupted_creation_is_absent_and_not_corrupt(tmp_path: Path) -> None:
    half = tmp_path / "registry" / ".new-training" / "blobs"
    half.mkdir(parents=True)
    registry = registry_in(tmp_path)
    assert registry.tags("training") == ()
    assert registry.repositories() == ()
    with pytest.raises(NotFoundError):
        registry.fetch("training", "current")
    registry.push_blob("training", side_entry(media.LOCK, b"x").blobs[0])
    assert registry.repositories() == ("training",)
    assert not half.parent.exists()
