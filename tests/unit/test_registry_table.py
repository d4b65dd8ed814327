from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.registries.http import HttpRegistry
from reconciler.registries.table import DEFAULT, Surroundings, open_registry

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


@pytest.mark.parametrize("address", ["oci://host/prefix", "docker://host/prefix", "https://me:hush@host/prefix"])
def test_a_scheme_is_refused_in_one_clear_line(tmp_path: Path, address: str) -> None:
    with pytest.raises(ReconcilerError, match="has no scheme") as caught:
        open_registry(address, tmp_path)
    assert "HOST/PREFIX" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "host", "name"),
    [
        ("registry.example.invalid/team/environments", "registry.example.invalid", "team/environments/training"),
        ("localhost/x", "localhost", "x/training"),
        ("localhost:5000", "localhost:5000", "training"),
        ("localhost:5000/", "localhost:5000", "training"),
        ("host:5000/x", "host:5000", "x/training"),
        ("127.0.0.1:5000/a.b/c_d/e--f", "127.0.0.1:5000", "a.b/c_d/e--f/training"),
        ("[::1]:5000/x", "[::1]:5000", "x/training"),
    ],
)
def test_a_host_is_a_registry_over_http(tmp_path: Path, address: str, host: str, name: str) -> None:
    registry = open_registry(address, tmp_path)
    assert registry.remote
    assert registry.address == address.rstrip("/")
    assert registry.address.partition("/")[0] == host
    assert isinstance(registry, HttpRegistry)
    assert registry.name_of("training") == name


@pytest.mark.parametrize(
    "prefix", ["Team", "a//b", "../x", "a/./b", "-a", "a-", "a b", "a@sha256", "a:1", "x" * 151, "a?b=c", "a%2e", "a#b"]
)
def test_a_prefix_outside_the_grammar_is_refused_before_anything_is_asked(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ReconcilerError, match="no prefix"):
        open_registry(f"registry.example.invalid/{prefix}", tmp_path)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "nan", "inf", "1e9"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(ReconcilerError, match="RECONCILER_REGISTRY_LIMIT"):
        open_registry("localhost:1", tmp_path, Surroundings(environ={"RECONCILER_REGISTRY_LIMIT": limit}))


@pytest.mark.threat("T13")
def test_credentials_in_an_address_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ReconcilerError) as caught:
        open_registry("https://me:hunter2@host/prefix", tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "a\0b"])
def test_what_names_nothing_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ReconcilerError):
        open_registry(address, tmp_path)
