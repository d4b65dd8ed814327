from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.errors import CorruptError, NotFoundError, StoreError
from reconciler.store.content import ContentStore
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
