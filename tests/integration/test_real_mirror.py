"""Debian's own archives, as this machine's settings lead to them, with the keys that are shipped."""

from __future__ import annotations

import os
import subprocess
from hashlib import sha256
from importlib import resources
from pathlib import Path

import pysequoia
import pytest

from reconciler.clients.debian.archives import LIMIT_S, Archives
from reconciler.clients.debian.places import Places
from reconciler.clients.debian.sources import read_apt_sources
from reconciler.clients.http.index import Http
from reconciler.errors import UnavailableError
from reconciler.executors.transfers import Transfers
from reconciler.lock.system import SystemPackage
from reconciler.store.debs import DebStore, IndexStore
from tests.conftest import Required

SUITE = "bookworm"


def reading(folder: Path) -> Archives:
    """Give a reader as the command line makes it."""
    return Archives(
        debs=DebStore(path=folder),
        indexes=IndexStore(path=folder),
        places=Places(environ=os.environ, apt=read_apt_sources(os.environ)),
        http=Http(environ=os.environ, limit_s=LIMIT_S),
        executor=Transfers(4),
        read_file=lambda path: Path(path).read_bytes(),
    )


@pytest.fixture(scope="module")
def folder(required: Required, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which the suite was read once."""
    found = tmp_path_factory.mktemp("archives")
    try:
        reading(found).read("debian", SUITE, "amd64")
    except UnavailableError as error:
        required.refuse(str(error))
    return found


def test_a_suite_its_updates_and_its_security_are_read_with_the_keys_that_are_shipped(folder: Path) -> None:
    offer = reading(folder).read("debian", SUITE, "amd64")
    assert [one.name for one in offer.archives] == [
        f"debian/{SUITE}/main",
        f"debian/{SUITE}-updates/main",
        f"debian-security/{SUITE}-security/main",
    ]
    assert {"bash", "coreutils", "dpkg", "libc-bin"} <= {one.name for one in offer.essential()}
    assert {one.name for one in offer.named("python3")} == {"python3"}
    assert {"gawk", "mawk"} <= {one.name for one in offer.providing("awk")}


def test_every_package_of_the_archive_can_be_read(folder: Path) -> None:
    offer = reading(folder).read("debian", SUITE, "amd64")
    names = [name for part in offer.parts for index in part.indexes for name in index.names]
    assert len(names) > 60_000
    for part in offer.parts:
        for index in part.indexes:
            for name in list(index.names)[::50]:
                assert all(one.name == name for one in index.named(name, part.archive.name))


def test_a_warm_run_parses_nothing_again(folder: Path) -> None:
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    reading(folder).read("debian", SUITE, "amd64")
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


def test_what_is_fetched_is_what_the_index_says_and_dpkg_reads_it(folder: Path, required: Required) -> None:
    program = required.program("dpkg-deb")
    archives = reading(folder)
    (found,) = archives.read("debian", SUITE, "amd64").named("hostname")
    package = SystemPackage(
        name=found.name,
        version=found.version,
        architecture=found.architecture,
        file=found.file,
        size=found.size,
        sha256=found.sha256,
        archive=found.archive,
    )
    archives.fetch([package])
    path = DebStore(path=folder).path_of(package.sha256)
    assert sha256(path.read_bytes()).hexdigest() == package.sha256
    said = subprocess.run([program, "--field", path, "Package", "Version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"Package: {found.name}\nVersion: {found.version}\n"


def test_the_package_that_has_a_library_is_told(folder: Path) -> None:
    found = reading(folder).contents("debian", SUITE, "amd64", ["libgomp.so.1"])
    assert "libgomp1" in found["libgomp.so.1"]


def test_what_was_signed_is_what_gpgv_says(folder: Path, required: Required, tmp_path: Path) -> None:
    program = required.program("gpgv")
    keys = resources.files("reconciler.debian") / "keys"
    ring = tmp_path / "ring.gpg"
    certificates = [pysequoia.Cert.from_bytes(path.read_bytes()) for path in keys.iterdir() if "debian-" in path.name]
    ring.write_bytes(b"".join(bytes(one) for one in certificates))
    archives = reading(folder)
    (place, *_) = archives.places.mirrors("debian", "amd64")
    signed = archives.http.get(f"{place.url}/dists/{SUITE}/InRelease", accept="*/*").body
    (tmp_path / "InRelease").write_bytes(signed)
    out = tmp_path / "Release"
    subprocess.run(
        [program, "--keyring", ring, "--output", out, tmp_path / "InRelease"], check=True, capture_output=True
    )
    digest = sha256(out.read_bytes().rstrip() + b"\n").hexdigest()
    first = archives.read("debian", SUITE, "amd64").archives[0]
    assert first.digest == f"sha256:{digest}"
