"""Layers on the disk: made once, whole or not at all, and never believed unread."""

from __future__ import annotations

import errno
import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.assembly.key import LAYER_KEY
from reconciler.clients.compression import compress
from reconciler.errors import CorruptError, StoreError
from reconciler.oci import media
from reconciler.store.layers import LayerStore, StoredLayer
from reconciler.values.digest import Digest

KEY, OTHER = Digest.of(b"inputs"), Digest.of(b"other inputs")
PIECES = (b"first " * 1000, b"second " * 1000)
WHOLE = b"".join(PIECES)


def store(path: Path) -> LayerStore:
    return LayerStore(path=path / "layers", compress=compress)


def pieces() -> Iterator[bytes]:
    return iter(PIECES)


def never() -> Iterator[bytes]:
    raise AssertionError("made again")


def made(path: Path) -> StoredLayer:
    return store(path).make(KEY, pieces)


def files(path: Path) -> list[str]:
    folder = path / "layers"
    return sorted(file.name for file in folder.iterdir() if file.suffix != ".lock") if folder.is_dir() else []


def test_a_layer_is_what_went_in_and_says_what_it_is(tmp_path: Path) -> None:
    stored = made(tmp_path)
    data = b"".join(stored.read())
    assert gzip.decompress(data) == WHOLE
    assert (stored.digest, stored.size, stored.diff_id) == (Digest.of(data), len(data), Digest.of(WHOLE))
    layer = stored.layer
    assert layer.stream.descriptor.annotations == {LAYER_KEY: str(KEY)}
    assert layer.stream.descriptor.media_type == media.LAYER_TAR_GZIP
    assert b"".join(layer.stream.chunks()) == b"".join(layer.stream.chunks()) == data
    assert layer.diff_id == stored.diff_id


def test_it_is_made_once(tmp_path: Path) -> None:
    first = made(tmp_path)
    assert store(tmp_path).find(KEY) == first
    assert store(tmp_path).make(KEY, never) == first
    assert store(tmp_path).find(OTHER) is None


def test_threads_that_want_the_same_wait_for_the_first(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted() -> Iterator[bytes]:
        calls.append(1)
        yield from PIECES

    threads = [threading.Thread(target=store(tmp_path).make, args=(KEY, counted)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


@pytest.mark.parametrize("keep", [0, 1, 10])
def test_a_layer_that_was_cut_short_is_made_again(tmp_path: Path, keep: int) -> None:
    first = made(tmp_path)
    os.truncate(tmp_path / "layers" / f"{KEY.hex}.tar.gz", keep)
    assert store(tmp_path).find(KEY) is None
    assert made(tmp_path) == first


def test_a_layer_with_other_bytes_is_noticed_when_it_is_read_and_made_again(tmp_path: Path) -> None:
    first = made(tmp_path)
    path = tmp_path / "layers" / f"{KEY.hex}.tar.gz"
    path.write_bytes(bytes(first.size))
    with pytest.raises(CorruptError, match="is damaged"):
        b"".join(first.read())
    assert store(tmp_path).find(KEY) is None
    assert gzip.decompress(b"".join(made(tmp_path).read())) == WHOLE


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"digest": "x"}', b'{"size": []}', b"\xff"])
def test_what_says_nothing_of_a_layer_is_as_if_it_were_not_there(tmp_path: Path, text: bytes) -> None:
    first = made(tmp_path)
    (tmp_path / "layers" / f"{KEY.hex}.json").write_bytes(text)
    assert store(tmp_path).find(KEY) is None
    assert made(tmp_path) == first


@pytest.mark.threat("F1")
@pytest.mark.parametrize("error", [KeyboardInterrupt, CorruptError("cut"), ValueError("out of order")])
def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def failing() -> Iterator[bytes]:
        yield PIECES[0]
        raise error

    with pytest.raises((KeyboardInterrupt, CorruptError, ValueError)):
        store(tmp_path).make(KEY, failing)
    assert files(tmp_path) == []
    assert made(tmp_path).diff_id == Digest.of(WHOLE)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", range(2))
def test_a_disk_that_refuses_a_write_is_one_line_and_leaves_no_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: int
) -> None:
    write, calls = os.write, iter(range(100))

    def refusing(file: int, data: bytes) -> int:
        if next(calls) == call:
            raise OSError(number, os.strerror(number))
        return write(file, data)

    monkeypatch.setattr(os, "write", refusing)
    with pytest.raises(StoreError, match="can't write"):
        made(tmp_path)
    monkeypatch.undo()
    assert store(tmp_path).find(KEY) is None
    assert not [name for name in files(tmp_path) if name.startswith(".tmp-")]
    assert made(tmp_path).diff_id == Digest.of(WHOLE)


PROGRAM = """
import os, sys
from pathlib import Path
from reconciler.clients.compression import compress
from reconciler.store.layers import LayerStore
from reconciler.values.digest import Digest

last, calls = int(sys.argv[2]), iter(range(1000))
for name in ("open", "write", "replace", "rename", "close"):
    def call(*given, original=getattr(os, name), **named):
        if next(calls) == last:
            os.kill(os.getpid(), 9)
        return original(*given, **named)
    setattr(os, name, call)
LayerStore(path=Path(sys.argv[1]) / "layers", compress=compress).make(
    Digest.of(b"inputs"), lambda: iter((b"first " * 1000, b"second " * 1000))
)
sys.exit(3)
"""
DONE = 3


@pytest.mark.threat("F1")
@pytest.mark.parametrize("call", range(14))
def test_a_process_that_is_killed_at_any_call_leaves_a_whole_layer_or_none(tmp_path: Path, call: int) -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path, str(call)], check=False)
    assert run.returncode in (-signal.SIGKILL, DONE)
    left = store(tmp_path).find(KEY)
    assert left is None or gzip.decompress(b"".join(left.read())) == WHOLE
    assert made(tmp_path).diff_id == Digest.of(WHOLE)
    store(tmp_path).sweep()
    assert files(tmp_path) == [f"{KEY.hex}.json", f"{KEY.hex}.tar.gz"]


@pytest.mark.threat("F21")
@pytest.mark.parametrize(
    "settings", [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "LC_ALL": "C", "TZ": "Asia/Tokyo"}]
)
def test_the_same_input_is_the_same_digest_in_another_process(tmp_path: Path, settings: dict[str, str]) -> None:
    environ = {**os.environ, **settings}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "there", "999"], env=environ, check=False, umask=0o077
    )
    assert run.returncode == DONE
    assert store(tmp_path / "there").find(KEY) == made(tmp_path)
