from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import CorruptError, NotFoundError, StoreError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.store.content import ContentStore, holds
from reconciler.values.digest import Digest


def test_content_is_read_as_it_was_kept(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "store")
    assert store.put(b"x") == Digest.of(b"x")
    assert store.read(Digest.of(b"x")) == b"x"


def test_content_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        ContentStore(tmp_path / "store").read(Digest.of(b"x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.threat("F11")
@pytest.mark.parametrize("data", [b"", b"y", b"xx"])
def test_damaged_content_is_refused_and_healed(tmp_path: Path, data: bytes) -> None:
    store = ContentStore(tmp_path)
    path = store.path_of(store.put(b"x"))
    path.write_bytes(data)
    with pytest.raises(CorruptError):
        store.read(Digest.of(b"x"))
    store.put(b"x")
    assert store.read(Digest.of(b"x")) == b"x"


@pytest.mark.threat("F11")
def test_a_link_is_no_content(tmp_path: Path) -> None:
    store = ContentStore(tmp_path / "store")
    (tmp_path / "elsewhere").write_bytes(b"x")
    path = store.path_of(store.put(b"x"))
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError):
        store.read(Digest.of(b"x"))
    store.put(b"x")
    assert not path.is_symlink()


def test_a_folder_in_the_place_of_content_is_one_clear_line(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.path_of(Digest.of(b"x")).mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        store.put(b"x")
    assert Digest.of(b"x").hex in caught.value.message


def test_content_has_the_rights_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        path = ContentStore(tmp_path).path_of(ContentStore(tmp_path).put(b"x"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


# -- streams ----------------------------------------------------------------------------------------------------


PIECES = (b"a" * 70_000, b"", b"b" * 30_000)
DATA = b"".join(PIECES)


def described(data: bytes = DATA, size: int | None = None) -> Descriptor:
    return Descriptor(media_type="text/plain", digest=Digest.of(data), size=len(data) if size is None else size)


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def never() -> Iterator[bytes]:
    raise AssertionError("the source is read")


def test_a_stream_is_kept_as_it_came(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.put_stream(described(), lambda: iter(PIECES))
    assert store.read(Digest.of(DATA)) == DATA
    store.put_stream(described(b""), lambda: iter(()))
    assert store.read(Digest.of(b"")) == b""


def test_what_is_there_and_whole_is_neither_read_nor_written_again(tmp_path: Path) -> None:
    store = ContentStore(tmp_path)
    store.put(DATA)
    before = store.path_of(Digest.of(DATA)).stat()
    store.put_stream(described(), never)
    after = store.path_of(Digest.of(DATA)).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


@pytest.mark.threat("F11")
@pytest.mark.parametrize("data", [b"", DATA[:-1], b"z" + DATA[1:], DATA + b"z"], ids=["empty", "cut", "bit", "long"])
def test_what_is_there_and_damaged_is_read_again(tmp_path: Path, data: bytes) -> None:
    store = ContentStore(tmp_path)
    path = store.path_of(store.put(DATA))
    path.write_bytes(data)
    store.put_stream(described(), lambda: iter(PIECES))
    assert store.read(Digest.of(DATA)) == DATA
    assert len(files(tmp_path)) == 1


@pytest.mark.threat("F10")
@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((), "ends 100000 bytes before"),
        ((DATA[:-1],), "ends 1 bytes before"),
        ((DATA, b"z"), "longer"),
        ((DATA + b"z",), "longer"),
        ((DATA[:-1], b"z"), "other content"),
        ((PIECES[2], PIECES[0]), "other content"),
    ],
)
def test_a_stream_that_is_not_what_was_said_leaves_nothing(
    tmp_path: Path, pieces: tuple[bytes, ...], said: str
) -> None:
    with pytest.raises(CorruptError, match=said):
        ContentStore(tmp_path).put_stream(described(), lambda: iter(pieces))
    assert files(tmp_path) == []


@pytest.mark.threat("F10")
def test_an_endless_stream_is_read_to_its_size_and_no_further(tmp_path: Path) -> None:
    given: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(1000)
            yield b"x" * 1000

    with pytest.raises(CorruptError, match="longer"):
        ContentStore(tmp_path).put_stream(described(size=10_000), endless)
    assert sum(given) == 11_000
    assert files(tmp_path) == []


@pytest.mark.threat("F10")
@pytest.mark.parametrize("size", [0, len(DATA) - 1, len(DATA) + 1])
def test_a_wrong_size_is_refused_also_where_the_content_is_there(tmp_path: Path, size: int) -> None:
    store = ContentStore(tmp_path)
    store.put(DATA)
    with pytest.raises(CorruptError):
        store.put_stream(described(size=size), lambda: iter(PIECES))
    assert store.read(Digest.of(DATA)) == DATA
    assert len(files(tmp_path)) == 1


@pytest.mark.threat("F1")
@pytest.mark.parametrize("error", [KeyboardInterrupt, CorruptError("cut"), NotFoundError("gone"), OSError(5, "no")])
def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def failing() -> Iterator[bytes]:
        yield PIECES[0]
        raise error

    with pytest.raises((KeyboardInterrupt, CorruptError, NotFoundError, StoreError)):
        ContentStore(tmp_path).put_stream(described(), failing)
    assert files(tmp_path) == []


@pytest.mark.threat("F1")
def test_a_writer_that_is_killed_half_way_leaves_what_is_swept(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest

def dying():
    yield b"half"
    os.kill(os.getpid(), 9)

described = Descriptor(media_type="text/plain", digest=Digest.of(b"half of it"), size=10)
ContentStore(Path(sys.argv[1])).put_stream(described, dying)
"""
    run = subprocess.run([sys.executable, "-c", program, tmp_path], check=False)
    assert run.returncode == -signal.SIGKILL
    (left,) = files(tmp_path)
    assert left.startswith(".tmp-")
    store = ContentStore(tmp_path)
    assert store.sweep() == 1
    store.put_stream(described(b"half of it"), lambda: iter((b"half", b" of it")))
    assert files(tmp_path) == [Digest.of(b"half of it").hex]


@pytest.mark.threat("F3")
def test_writers_of_one_stream_end_with_one_file(tmp_path: Path) -> None:
    store, together = ContentStore(tmp_path), threading.Barrier(4)

    def slowly() -> Iterator[bytes]:
        yield PIECES[0]
        together.wait(10)
        yield from PIECES[1:]

    seen: list[int] = []

    def write() -> None:
        store.put_stream(described(), slowly)
        seen.append(store.path_of(Digest.of(DATA)).stat().st_ino)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert files(tmp_path) == [Digest.of(DATA).hex]


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda _: None],
    ids=["pipe", "link", "nothing"],
)
def test_what_is_no_plain_file_holds_nothing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "f")
    assert not holds(tmp_path / "f", Digest.of(b""), 0)


def test_a_file_is_kept_by_a_second_name_and_not_copied(tmp_path: Path) -> None:
    store, file = ContentStore(tmp_path / "store"), tmp_path / "layer"
    file.write_bytes(b"layer")
    described = Content(media_type=media.LAYER_TAR, data=b"layer").describe()
    assert store.adopt(described, file)
    assert store.adopt(described, tmp_path / "gone")  # it is there already
    assert store.path_of(described.digest).stat().st_ino == file.stat().st_ino


@pytest.mark.threat("F11")
@pytest.mark.parametrize("data", [b"", b"Layer", b"layer!", None])
def test_a_file_that_is_not_what_it_should_be_is_not_kept(tmp_path: Path, data: bytes | None) -> None:
    store, file = ContentStore(tmp_path / "store"), tmp_path / "layer"
    if data is not None:
        file.write_bytes(data)
    described = Content(media_type=media.LAYER_TAR, data=b"layer").describe()
    assert not store.adopt(described, file)
    assert not store.path_of(described.digest).exists()
