"""Packages as layers take them: what one says of itself is what its archive says, and it says nothing of others."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import pytest

from reconciler.debian.root import Contents
from reconciler.errors import CorruptError, DamagedCacheError, StoreError
from reconciler.lock.system import SystemPackage
from reconciler.oci.member import file_of
from reconciler.store.debs import DebStore
from reconciler.systems.unpacking import Spool, spool_in, unpack
from tests.debs import make_deb

NOTHING: Mapping[str, str] = MappingProxyType({})


def unpacked(path: Path, data: bytes, *, damage: bytes = b"", said: Mapping[str, str] = NOTHING) -> Contents:
    """Lay out a package that its archive says something of."""
    store, digest = DebStore(path=path), sha256(data).hexdigest()
    store.put(digest, len(data), (data,), name="made.deb")
    if damage:
        store.path_of(digest).write_bytes(damage)
    about = {"name": "made", "version": "1.0-1", "architecture": "amd64", **said}
    package = SystemPackage(
        name=about["name"],
        version=about["version"],
        architecture=about["architecture"],
        file="pool/made.deb",
        size=len(data),
        sha256=digest,
        archive="own/any/main",
    )
    with spool_in(path / "spool") as spool:
        return unpack(store, package, spool)


@pytest.mark.threat("T8")
@pytest.mark.parametrize("said", [{"name": "libc6"}, {"version": "2.0-1"}, {"architecture": "all"}])
def test_a_package_that_calls_itself_otherwise_is_refused(tmp_path: Path, said: dict[str, str]) -> None:
    with pytest.raises(CorruptError, match=rf"made\.deb: it is made 1.0-1 amd64, .*{next(iter(said.values()))}"):
        unpacked(tmp_path, make_deb("made"), said=said)


@pytest.mark.threat("T8")
@pytest.mark.parametrize("path", ["status.d/libc6", "status.d/libc6.md5sums", "info/libc6.postinst", "status"])
def test_a_package_that_speaks_for_another_one_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(CorruptError, match="for dpkg to write"):
        unpacked(tmp_path, make_deb("made", {f"var/lib/dpkg/{path}": b"x"}, fields={"Replaces": "libc6"}))


def test_what_a_package_says_of_itself_is_in_its_own_files(tmp_path: Path) -> None:
    members = unpacked(tmp_path, make_deb("made", {"usr/bin/made": b"x"}, scripts={"postinst": b"#!/bin/sh\n"})).members
    assert {member.path for member in members} >= {"usr/bin/made", "var/lib/dpkg/status.d/made"}


@pytest.mark.threat("F11")
def test_a_package_that_was_damaged_in_the_cache_is_forgotten(tmp_path: Path) -> None:
    data = make_deb("made")
    with pytest.raises(DamagedCacheError, match=r"made\.deb"):
        unpacked(tmp_path, data, damage=bytes(len(data)))
    assert not DebStore(path=tmp_path).holds(sha256(data).hexdigest(), len(data))


@pytest.mark.threat("F15")
def test_a_disk_that_is_full_is_said_with_what_to_do(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(StoreError, match="No space left") as refused:
        Spool(path=tmp_path, file=full.fileno()).write(file_of("x", b"1"), iter([b"1"]))
    assert "free some space" in (refused.value.hint or "")
