"""Writers of one store that put and link the same content at once, as threads and as processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.errors import StoreError
from reconciler.store.content import ContentStore
from reconciler.store.durable import create_file, link_file, make_folders
from reconciler.values.digest import Digest

Counter = Callable[[str, int], None]
WRITERS = 4
FULL = os.environ.get("RECONCILER_CASES") == "full"
ROUNDS = 300 if FULL else 100


def put_and_link(root: Path, writer: int, data: bytes) -> int:
    """Do what a registry does with a blob; give the file that its name in the layout stands for."""
    store, layout = ContentStore(root / "store"), root / f"layout{writer}"
    make_folders(layout)
    digest = store.put(data)
    store.link(digest, layout / digest.hex)
    assert (layout / digest.hex).read_bytes() == data
    return (layout / digest.hex).stat().st_ino


def test_threads_that_keep_the_same_content_all_get_one_file(tmp_path: Path, count_cases: Counter) -> None:
    barrier = threading.Barrier(WRITERS)

    def work(writer: int, data: bytes) -> int:
        barrier.wait()
        return put_and_link(tmp_path, writer, data)

    with ThreadPoolExecutor(WRITERS) as pool:
        for number in range(ROUNDS):
            data = str(number).encode()
            files = [done.result() for done in [pool.submit(work, writer, data) for writer in range(WRITERS)]]
            assert len(set(files)) == 1
            assert (tmp_path / "store" / "sha256" / Digest.of(data).hex).stat().st_nlink == WRITERS + 1
    assert not list(tmp_path.rglob(".tmp-*"))
    count_cases("F3", ROUNDS)


@pytest.mark.filterwarnings("ignore:This process")
def test_processes_that_keep_the_same_content_all_get_one_file(tmp_path: Path, count_cases: Counter) -> None:
    children = [fork(tmp_path, writer) for writer in range(WRITERS)]
    (tmp_path / "go").touch()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * WRITERS
    for path in (tmp_path / "store" / "sha256").iterdir():
        assert path.stat().st_nlink == WRITERS + 1, path
    assert not list(tmp_path.rglob(".tmp-*"))
    count_cases("F3", ROUNDS)


def fork(root: Path, writer: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        while not (root / "go").exists():
            pass
        for number in range(ROUNDS):
            put_and_link(root, writer, str(number).encode())
    except BaseException:  # noqa: BLE001  # whatever it was, the parent's tests must not run on in the child
        os._exit(1)
    os._exit(0)


def test_a_file_that_is_replaced_all_the_time_can_be_linked(tmp_path: Path) -> None:
    source, stop = tmp_path / "source", threading.Event()
    source.write_bytes(b"x")

    def replace() -> None:
        while not stop.is_set():
            (tmp_path / "next").write_bytes(b"x")
            (tmp_path / "next").replace(source)

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        for number in range(400):
            link_file(source, tmp_path / str(number % 2))
    finally:
        stop.set()
        thread.join()
    assert (tmp_path / "0").read_bytes() == b"x"


def test_a_source_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        link_file(tmp_path / "nothing", tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_what_has_the_name_already_is_kept(tmp_path: Path) -> None:
    assert create_file(tmp_path / "f", (b"first",))
    assert not create_file(tmp_path / "f", (b"second",))
    assert (tmp_path / "f").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
