"""Standalone Pythons from where uv's settings say: which build, what is believed of it, and the layer that it makes."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uv as package

from reconciler.clients.compression import compress
from reconciler.clients.pythons import Pythons
from reconciler.clients.uv import Uv
from reconciler.debian.candidate import Candidate, parse_candidate
from reconciler.debian.suites import SUITES
from reconciler.errors import BuildError, DamagedCacheError, NotFoundError, ReconcilerError, ResolveError
from reconciler.lock.model import Interpreter, Package, PlatformLock
from reconciler.manifest.conda import parse_conda_file
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.oci.tar import write_tar
from reconciler.ports import SystemQuestion
from reconciler.sources.tree import WorkingTree
from reconciler.store.layers import LayerStore
from reconciler.store.pythons import PythonStore
from reconciler.systems.interpreter import Brought, bring
from reconciler.systems.provider import fits
from reconciler.systems.relocation import relocated
from reconciler.systems.standalone import Standalones, key_of
from reconciler.values.platform import Platform
from tests.reached import desired
from tests.standalone import RELEASE, Archive, Mirror, pack, small
from tests.unit.test_corpus import CORPUS, found

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
_ONE_PYTHON = re.compile(r"python\s*==?\s*([0-9]+\.[0-9]+(?:\.[0-9]+)?)(?:\.\*|=\S+)?")
Make = Callable[..., Standalones]


def little(version: str = "3.12.1", architecture: str = "amd64", **files: bytes | str) -> Archive:
    data = pack(small(version, architecture, **files))
    return Archive(version=version, architecture=architecture, data=data)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    folder = tmp_path / "mirror"
    folder.mkdir()
    return Mirror(folder=folder)


@pytest.fixture
def make(tmp_path: Path, mirror: Mirror) -> Make:
    """Give what chooses and lays out, on a machine that is set up by these variables, else with the mirror."""

    def made(machine: str = "one", **variables: str) -> Standalones:
        folder = tmp_path / machine
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv")}
        return Standalones(
            pythons=Pythons(uv=Uv(environ={**environ, **(variables or mirror.variables)})),
            store=PythonStore(path=folder / "pythons"),
            layers=LayerStore(path=folder / "layers", compress=compress),
        )

    return made


def bytes_of(standalones: Standalones, build: Package, platform: Platform = AMD64) -> bytes:
    return b"".join(standalones.layer(build, platform).stream.read())


# -- which build --------------------------------------------------------------------------------------------------


def test_the_lock_gets_exact_version_file_size_sha256_and_release(make: Make, mirror: Mirror) -> None:
    archive = mirror.put(little())
    assert make().choose("3.12", AMD64).build == Package(
        name="cpython",
        version="3.12.1",
        file=archive.file,
        size=len(archive.data),
        sha256=archive.sha256,
        source=f"python:{RELEASE}",
    )


def test_the_newest_build_is_chosen_of_what_is_asked_for(make: Make, mirror: Mirror) -> None:
    for version in ("3.12.1", "3.12.10", "3.12.9", "3.13.0", "3.1.1"):
        mirror.put(little(version))
    assert make().choose("3.12", AMD64).build.version == "3.12.10"
    assert make().choose("3.12.9", AMD64).build.version == "3.12.9"


def test_what_a_lock_has_stays_unless_it_does_not_serve(make: Make, mirror: Mirror) -> None:
    for version in ("3.12.1", "3.12.10"):
        mirror.put(little(version))
    old = make().choose("3.12.1", AMD64).build
    assert make().choose("3.12", AMD64, preference=old).build == old
    assert make().choose("3.12.10", AMD64, preference=old).build.version == "3.12.10"
    shutil.rmtree(mirror.folder)
    assert make().choose("3.12", AMD64, preference=old).build == old


def test_each_architecture_has_a_build_of_its_own(make: Make, mirror: Mirror) -> None:
    for architecture in ("amd64", "arm64"):
        mirror.put(little(architecture=architecture))
    amd64, arm64 = (make().choose("3.12", platform).build for platform in (AMD64, ARM64))
    assert ("x86_64" in amd64.file, "aarch64" in arm64.file) == (True, True)
    assert amd64.sha256 != arm64.sha256


def test_a_version_that_nobody_builds_is_refused_with_what_to_write(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    with pytest.raises(ResolveError, match=r"no standalone build of Python 3\.6 for linux/amd64") as caught:
        make().choose("3.6", AMD64)
    assert "docker.base_image" in str(caught.value)


# -- where from ---------------------------------------------------------------------------------------------------


def test_settings_in_uvs_configuration_serve_as_variables_do(make: Make, mirror: Mirror, tmp_path: Path) -> None:
    archive = mirror.put(little())
    path = tmp_path / "uv.toml"
    variables = mirror.variables
    path.write_text(
        f"python-install-mirror = {json.dumps(variables['UV_PYTHON_INSTALL_MIRROR'])}\n"
        f"python-downloads-json-url = {json.dumps(variables['UV_PYTHON_DOWNLOADS_JSON_URL'])}\n"
    )
    assert make(UV_CONFIG_FILE=str(path)).choose("3.12", AMD64).build.sha256 == archive.sha256


def test_where_uv_may_download_no_python_none_is_downloaded(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    with pytest.raises(ResolveError, match="forbid to download a Python"):
        make(**mirror.variables, UV_PYTHON_DOWNLOADS="never").choose("3.12", AMD64)


@pytest.mark.threat("F8")
def test_a_mirror_that_is_gone_is_an_error_that_names_the_setting(make: Make, mirror: Mirror) -> None:
    archive = mirror.put(little())
    mirror.path_of(archive).unlink()
    with pytest.raises(NotFoundError, match="is not where uv's settings say") as caught:
        make().choose("3.12", AMD64)
    assert "UV_PYTHON_INSTALL_MIRROR" in str(caught.value)


def test_a_release_that_uv_does_not_list_any_more_is_found_beside_the_others(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    build = make().choose("3.12", AMD64).build
    newer = build.file.replace(RELEASE, "20991231")
    old = mirror.folder / RELEASE / build.file
    moved = json.loads(mirror.list.read_text())
    for entry in moved.values():
        entry["url"] = entry["url"].replace(RELEASE, "20991231")
    mirror.list.write_text(json.dumps(moved))
    assert old.exists()
    assert not (mirror.folder / "20991231" / newer).exists()
    assert bytes_of(make("another"), build)


# -- what is believed ---------------------------------------------------------------------------------------------


@pytest.mark.threat("F10")
def test_an_archive_that_the_list_knows_otherwise_is_refused(make: Make, mirror: Mirror) -> None:
    archive = mirror.put(little())
    mirror.path_of(archive).write_bytes(little(python__share__x=b"swapped").data)
    with pytest.raises(ResolveError, match="is another file than it has to be"):
        make().choose("3.12", AMD64)


@pytest.mark.threat("F10")
def test_an_archive_that_uv_itself_knows_otherwise_is_refused(make: Make, mirror: Mirror) -> None:
    standalones = make(UV_PYTHON_INSTALL_MIRROR=mirror.folder.as_uri())
    known = standalones.pythons.builds("3.12", AMD64)[0]
    path = mirror.folder / known.release / known.file
    path.parent.mkdir()
    path.write_bytes(little(known.version).data)
    with pytest.raises(ResolveError, match=r"and uv says [0-9a-f]{64}"):
        standalones.choose("3.12", AMD64)


@pytest.mark.parametrize("name", ["{file}.sha256", "SHA256SUMS"])
@pytest.mark.threat("F10")
def test_a_sum_beside_an_archive_is_believed_where_uv_knows_none(make: Make, mirror: Mirror, name: str) -> None:
    archive = mirror.put(little(), sums=False)
    beside = mirror.path_of(archive).with_name(name.format(file=archive.file))
    beside.write_text(f"{'1' * 64}  other.tar.gz\n{archive.sha256}  {archive.file}\n")
    assert make().choose("3.12", AMD64).notes == ()
    beside.write_text(f"{'0' * 64}  {archive.file}\n")
    with pytest.raises(ResolveError, match="beside it says 0000"):
        make("another").choose("3.12", AMD64)


def test_where_nobody_says_a_sum_the_first_download_pins_it_and_that_is_said(make: Make, mirror: Mirror) -> None:
    archive = mirror.put(little(), sums=False)
    chosen = make().choose("3.12", AMD64)
    assert chosen.build.sha256 == archive.sha256
    assert chosen.notes == (
        f"{archive.file}: nobody says which sha256 it has; the lock has that of the file that came, {archive.sha256}",
    )


@pytest.mark.threat("F10")
def test_what_a_lock_pins_is_fetched_as_that_and_nothing_else(make: Make, mirror: Mirror) -> None:
    archive = mirror.put(little())
    build = make().choose("3.12", AMD64).build
    mirror.path_of(archive).write_bytes(little(python__share__x=b"swapped").data)
    with pytest.raises(BuildError, match=re.escape(archive.file)) as caught:
        make("another").layer(build, AMD64)
    assert "--upgrade-base" in str(caught.value)


@pytest.mark.threat("F11")
def test_an_archive_that_was_damaged_in_the_cache_is_forgotten_and_fetched_again(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    standalones = make()
    build = standalones.choose("3.12", AMD64).build
    path = standalones.store.path_of(build.sha256)
    path.write_bytes(bytes(build.size))
    with pytest.raises(DamagedCacheError):
        standalones.layer(build, AMD64)
    assert bytes_of(standalones, build)


@pytest.mark.threat("T13")
def test_a_password_of_the_mirror_is_shown_by_no_error(make: Make) -> None:
    standalones = make(UV_PYTHON_INSTALL_MIRROR="http://user:secret@127.0.0.1:9/x")
    assert "secret" not in repr(standalones.pythons.builds("3.12", AMD64))
    assert standalones.pythons.builds("3.12", AMD64)[0].url.startswith("http://user:secret@")
    with pytest.raises(ReconcilerError) as caught:
        standalones.choose("3.12", AMD64)
    assert "secret" not in f"{caught.value}{caught.value.detail}{caught.value.__cause__}"


# -- the layer ----------------------------------------------------------------------------------------------------


def test_a_layer_has_the_same_bytes_on_every_machine_and_none_is_made_twice(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    build = make().choose("3.12", AMD64).build
    assert bytes_of(make("one"), build) == bytes_of(make("two"), build)
    shutil.rmtree(mirror.folder)
    shutil.rmtree(make().store.path)
    assert bytes_of(make("one"), build)


def test_a_layer_of_a_record_is_taken_instead_of_fetching_anything(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    build = make().choose("3.12", AMD64).build
    there = make().layer(build, AMD64)

    class Records:
        def find(self, key: object) -> object:
            return there if key == key_of(build) else None

    shutil.rmtree(mirror.folder)
    assert make("another").layer(build, AMD64, layers=Records()) is there  # type: ignore[arg-type]


def test_another_archive_makes_another_key(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    build = make().choose("3.12", AMD64).build
    assert key_of(build) != key_of(replace(build, sha256="0" * 64))
    assert key_of(build) == key_of(replace(build, file="renamed.tar.gz", source="python:20250101"))


# -- beside Debian's ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Suite:
    """What bookworm offers of its Python (``reconciler.debian.closure.Offer``)."""

    versions: tuple[str, ...] = ("3.11.2-6+deb12u5", "3.11.2-6")

    def named(self, name: str) -> tuple[Candidate, ...]:
        fields = {"package": name, "architecture": "amd64", "filename": f"pool/{name}.deb", "size": "1"}
        given = [{**fields, "version": version, "sha256": "0" * 64} for version in self.versions]
        return tuple(parse_candidate(one, "debian/bookworm/main") for one in given if name == "python3.11")

    def providing(self, name: str) -> tuple[Candidate, ...]:
        del name
        return ()


def brought(
    standalones: Standalones,
    version: str,
    before: PlatformLock | None = None,
    *,
    upgrade: frozenset[str] = frozenset(),
    upgrade_base: bool = False,
) -> Brought:
    docker = Docker(base_image="debian:bookworm")
    question = SystemQuestion(
        desired=desired(Manifest(name="x", path="x.yaml", python=Python(version=version), docker=docker)),
        platform=AMD64,
        entry="debian:bookworm",
        preference=before,
        upgrade=upgrade,
        upgrade_base=upgrade_base,
    )
    return bring(question, SUITES["bookworm"], Suite(), {}, standalones)


@pytest.mark.parametrize("version", ["3.11", "3.11.2"])
def test_the_suites_python_is_packages_and_no_build(make: Make, version: str) -> None:
    found = brought(make(), version)
    assert (found.path, found.build) == ("usr/bin/python3.11", None)
    assert {wish.name for wish in found.wishes} >= {"python3"}


def test_another_patch_version_than_the_suites_is_a_build_and_no_packages(make: Make, mirror: Mirror) -> None:
    mirror.put(little("3.11.7"))
    found = brought(make(), "3.11.7")
    assert found.build is not None
    assert (found.path, found.build.version, found.wishes) == ("opt/python/bin/python3.11", "3.11.7", ())


@pytest.mark.parametrize("moving", [{"upgrade_base": True}, {"upgrade": frozenset(["cpython"])}])
def test_the_build_of_a_lock_moves_with_the_base_or_by_its_name_and_with_nothing_else(
    make: Make, mirror: Mirror, moving: dict[str, Any]
) -> None:
    mirror.put(little("3.12.1"))
    old = brought(make(), "3.12").build
    interpreter = Interpreter(implementation="cpython", version="3.12.1", abi="cp312", provider="standalone", build=old)
    before = PlatformLock(interpreter=interpreter, libc="glibc 2.36")
    mirror.put(little("3.12.4"))
    assert brought(make(), "3.12", before=before, upgrade=frozenset(["numpy"])).build == old
    moved = brought(make(), "3.12", before=before, **moving).build
    assert moved is not None
    assert moved.version == "3.12.4"


def test_neither_the_suite_nor_a_build_is_one_line_with_both_remedies(make: Make, mirror: Mirror) -> None:
    mirror.put(little())
    with pytest.raises(ResolveError) as caught:
        brought(make(), "3.7")
    assert str(caught.value) == (
        "x.yaml:1:1: debian bookworm has Python 3.11.2, not 3.7, and no standalone one: there is no standalone build "
        "of Python 3.7 for linux/amd64 (write python.version: 3.11, or name a docker.base_image that has it)"
    )


def real_versions() -> set[str]:
    """Give the versions of Python that real conda files name, from Python 3.8 on."""
    tree, versions = WorkingTree(CORPUS), set[str]()
    for path in found(".yml", ".yaml"):
        specs = parse_conda_file(tree.read(path), path).dependencies
        versions |= {match[1] for match in map(_ONE_PYTHON.fullmatch, specs) if match is not None}
    return {version for version in versions if tuple(map(int, version.split(".")[:2])) >= (3, 8)}


def test_auto_has_every_python_since_3_8_that_real_conda_files_name(make: Make, tmp_path: Path) -> None:
    standalones, versions = make(UV_CACHE_DIR=str(tmp_path)), real_versions()
    assert versions
    lacking = {version for version in versions if not fits(version, "3.11.2")}
    assert {version for version in lacking if not standalones.pythons.builds(version, AMD64)} == set()


# -- a Python that runs -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(standalone_python: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root that the archive of a Python of this machine makes."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "spool").mkdir()
    with ExitStack() as opened:
        members = relocated(
            iter([standalone_python.data]),
            folder / "spool",
            opened,
            file=standalone_python.file,
            version=standalone_python.version,
            architecture="amd64",
        )
        with tarfile.open(fileobj=io.BytesIO(b"".join(write_tar(members)))) as archive:
            archive.extractall(folder, filter="fully_trusted")  # noqa: S202  # our own
    return folder


def said(real: Path, code: str) -> str:
    program = real / "opt/python/bin/python3"
    return subprocess.run([program, "-c", code], check=True, capture_output=True, text=True, env={}).stdout.strip()


def test_it_runs_from_where_it_is_with_what_people_import(real: Path) -> None:
    assert said(real, "import sys, ssl, sqlite3, ctypes, lzma; print(sys.prefix)") == str(real / "opt/python")


def test_uv_installs_the_same_archive_to_the_same_variables_but_for_the_place(
    real: Path, mirror: Mirror, standalone_python: Archive, tmp_path: Path
) -> None:
    mirror.put(standalone_python)
    place = tmp_path / "installed"
    subprocess.run(
        [package.find_uv_bin(), "python", "install", "3.12", "--no-config", "--no-bin", "--install-dir", place],
        env={**mirror.variables, "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv")},
        check=True,
        capture_output=True,
    )
    (root,) = place.glob("cpython-3.12.*-linux-x86_64-gnu")
    ours, theirs = (variables(folder) for folder in (real / "opt/python", root))
    assert ours == json.loads(json.dumps(theirs).replace(str(root), "/opt/python"))


def variables(root: Path) -> dict[str, object]:
    (path,) = root.glob("lib/python3.12/_sysconfigdata_*.py")
    space: dict[str, dict[str, object]] = {}
    exec(path.read_text(), space)  # noqa: S102  # what uv or we wrote
    return space["build_time_vars"]
