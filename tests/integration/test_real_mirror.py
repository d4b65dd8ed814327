"""Debian's own archives, as this machine's settings lead to them, with the keys that are shipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from importlib import resources
from pathlib import Path

import pysequoia
import pytest

from reconciler.clients.debian.archives import LIMIT_S, Archives
from reconciler.clients.debian.places import Places
from reconciler.clients.debian.sources import read_apt_sources
from reconciler.clients.http.index import Http
from reconciler.errors import ResolveError, UnavailableError
from reconciler.executors.transfers import Transfers
from reconciler.lock.document import parse_lock
from reconciler.lock.system import Part, SystemPackage
from reconciler.store.debs import DebStore, IndexStore
from tests.conftest import Required
from tests.repository import Repository
from tests.signed_archive import Deb, Suite, mirror, public

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
    except (ResolveError, UnavailableError) as error:
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


@pytest.fixture
def vendor(folder: Path, required: Required, tmp_path: Path) -> Iterator[Repository]:
    """Give a repository that takes a package from an archive of its own, beside Debian's."""
    program = required.program("dpkg-deb")
    control = tmp_path / "tool" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    fields = "Package: vendor-tool\nVersion: 1.2\nArchitecture: all\nDepends: libgomp1\nDescription: tool\n"
    control.write_text(f"{fields}Maintainer: Nobody <nobody@example.invalid>\n")
    subprocess.run([program, "--build", tmp_path / "tool", tmp_path / "tool.deb"], check=True, capture_output=True)
    data = (tmp_path / "tool.deb").read_bytes()
    tool = Deb(name="vendor-tool", version="1.2", architecture="all", data=data, more={"Depends": "libgomp1"})
    made = Repository(tmp_path / "clone")
    (made.root / "environments").mkdir()
    manifest = "name: image\npython: {version: '3.11'}\ndocker: {base_image: 'debian:bookworm-slim'}\n"
    more = "system_packages: [vendor-tool]\nsystem_repositories: [vendor]\n"
    (made.root / "environments/image.yaml").write_text(manifest + more)
    (made.root / "vendor.asc").write_bytes(public("vendor"))
    shutil.copytree(folder, made.root / ".reconciler/debs", copy_function=os.link)
    for name in ("pip", "setuptools"):
        made.release(name, "99.0")
    with mirror(tmp_path, Suite(name="Stable", debs=[tool], key="vendor").build()) as world:
        url = f"{{url: '{world.server.address}', suite: Stable, key: vendor.asc}}"
        (made.root / "reconciler.yaml").write_text(f"system_repositories:\n  vendor: {url}\n")
        made.commit()
        yield made


def test_another_archive_adds_packages_with_its_own_key_and_with_no_other(vendor: Repository) -> None:
    vendor("lock")
    path = vendor.root / "environments/image.lock.json"
    before = path.read_bytes()
    lock = parse_lock(before, path.name)
    (part,) = lock.platforms.values()
    assert part.system is not None
    tool = part.system.find("vendor-tool")
    assert tool is not None
    assert (tool.archive, tool.part) == ("vendor/Stable/main", Part.ADDED)
    libgomp = part.system.find("libgomp1")
    assert libgomp is not None
    assert libgomp.archive.startswith("debian")
    (vendor.root / "vendor.asc").write_bytes(public("archive"))
    done = vendor("lock", expect=1)
    assert "the mirror of vendor" in done.err
    assert "no key that is trusted for it has signed it (check system_repositories.vendor" in done.err
    assert path.read_bytes() == before
