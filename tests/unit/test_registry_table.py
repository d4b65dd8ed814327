from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.registries.table import DEFAULT, open_registry

BLOB = Content(media_type=media.LOCK, data=b"x")


@pytest.mark.parametrize(
    "address", [DEFAULT, f"./{DEFAULT}", "registry", "./localhost:5000/x", "./a.b/c", "../r", "a b"]
)
def test_a_path_is_a_folder_relative_to_the_root(tmp_path: Path, address: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    registry = open_registry(address, root)
    assert registry.address == address
    assert list(root.iterdir()) == []
    registry.push_blob("training", BLOB)
    assert (root / address / "training" / "blobs" / "sha256" / BLOB.digest.hex).read_bytes() == b"x"


def test_an_absolute_path_is_itself(tmp_path: Path) -> None:
    open_registry(str(tmp_path / "r"), Path("/nonexistent")).push_blob("training", BLOB)
    assert (tmp_path / "r" / "training").is_dir()


@pytest.mark.parametrize("address", [DEFAULT, "elsewhere"])
def test_blobs_of_repositories_are_one_file(tmp_path: Path, address: str) -> None:
    registry = open_registry(address, tmp_path)
    registry.push_blob("a", BLOB)
    registry.push_blob("b", BLOB)
    names = [tmp_path / address / name / "blobs" / "sha256" / BLOB.digest.hex for name in ("a", "b")]
    assert names[0].samefile(names[1])
    store = tmp_path / (".reconciler/store" if address == DEFAULT else "elsewhere/.store")
    assert names[0].samefile(store / "sha256" / BLOB.digest.hex)
    assert registry.repositories() == ("a", "b")


@pytest.mark.parametrize(
    "address",
    [
        "oci://host/prefix",
        "docker://host/prefix",
        "https://host/prefix",
        "registry.example.invalid/team/environments",
        "localhost/x",
        "localhost:5000",
        "localhost:5000/x",
        "host:5000/x",
        "127.0.0.1:5000/x",
    ],
)
def test_a_registry_over_http_is_refused_in_one_clear_line(tmp_path: Path, address: str) -> None:
    with pytest.raises(ReconcilerError, match="not in this version") as caught:
        open_registry(address, tmp_path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.threat("T13")
def test_credentials_in_an_address_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ReconcilerError) as caught:
        open_registry("https://me:hunter2@host/prefix", tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "a\0b"])
def test_what_names_nothing_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ReconcilerError):
        open_registry(address, tmp_path)
