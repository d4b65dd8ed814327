"""Source distributions in images: made into wheels once, apart, kept in the registry, and only where they run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.assembly.built import BuiltWheels
from reconciler.assembly.key import wheel_key
from reconciler.assembly.layers import direct_url_of
from reconciler.builders.fetcher import WheelFetcher
from reconciler.builders.sources import Prepared, SourceBuilder, WheelLostError
from reconciler.clients.interpreter import this_platform
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError, NotFoundError, StoreError, UnavailableError
from reconciler.executors.threads import Threads
from reconciler.lock.model import Interpreter, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.plan.garbage import Needs
from reconciler.ports import Task
from reconciler.reconcile.wheels import REPOSITORY, RegistryWheels
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.store.holdings import CacheFolder
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.base_case import AMD64
from tests.conftest import Required
from tests.servers import serving
from tests.simple_index import SimpleIndex
from tests.wheelhouse import write_backend, write_buildable, write_compiled, write_extension

ARM64 = Platform("linux", "arm64")
SECRET, OTHER_SECRET = "hunter2-the-secret", "another-secret-of-theirs"
COUNTED = "open({count!r}, 'a').write('x')"


@dataclass
class Machine:
    """A machine with caches of its own, an index, and a registry that it may share."""

    path: Path
    index: SimpleIndex
    registry: LayoutRegistry
    manager: str = "ours"
    environ: dict[str, str] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    platform: Platform = AMD64
    did: list[str] = field(default_factory=list)

    def ahead(self) -> None:
        self.did.append("ahead")

    @property
    def store(self) -> WheelStore:
        return WheelStore(path=self.path / "wheels")

    @property
    def kept(self) -> BuiltWheels:
        return RegistryWheels(registry=self.registry, manager=self.manager)

    def builder(self) -> SourceBuilder:
        uv = Uv(environ=self.index.environ(**self.environ))
        fetcher = WheelFetcher(store=self.store, uv=uv, executor=Threads(2))

        def fetch(packages: Sequence[Package]) -> None:
            self.fetched.extend(package.file for package in packages)
            fetcher.fetch(packages)

        return SourceBuilder(store=self.store, fetch=fetch, uv=uv, executor=Threads(2), machine=self.platform)

    def prepare(
        self, *packages: Package, platform: Platform = AMD64, libc: str = "glibc 2.36", anew: bool = False
    ) -> Prepared:
        interpreter = Interpreter(implementation="cpython", version="3.11.2", abi="cp311", provider="image")
        lock = PlatformLock(interpreter=interpreter, libc=libc, packages=packages)
        desired = Desired(manifest=Manifest(name="small", path="environments/small.yaml"), components={}, filled={})
        task = Task(desired=desired, platform=platform, lock=lock, key=Digest.of(b"key"), wheels=self.kept)
        return self.builder().prepare(task, self.ahead, anew=anew)

    def wheel(self, package: Package, platform: Platform = AMD64, libc: str = "glibc 2.36") -> Package:
        """Give the package whose wheel was made."""
        (made,) = self.prepare(package, platform=platform, libc=libc).task.lock.packages
        return made


def package_of(path: Path, name: str = "gamma", version: str = "2") -> Package:
    data = path.read_bytes()
    digest = sha256(data).hexdigest()
    source = f"built:{path.name}@sha256:{digest}"
    return Package(name=name, version=version, file=path.name, size=len(data), sha256=digest, source=source)


@pytest.fixture
def machine(tmp_path: Path, required: Required) -> Machine:
    required.python("3.11")
    registry = LayoutRegistry(tmp_path / "registry", store=ContentStore(tmp_path / "registry/.store"))
    return Machine(path=tmp_path / "one", index=SimpleIndex(tmp_path / "index"), registry=registry)


def another(machine: Machine, **changes: object) -> Machine:
    """Give a machine with empty caches beside the same registry."""
    fresh: dict[str, object] = {"path": machine.path.parent / "two", "fetched": []}
    return replace(machine, **{**fresh, **changes})  # type: ignore[arg-type]  # what a test says


def gamma(machine: Machine, setup: str = "", **rest: Sequence[str]) -> Package:
    return package_of(machine.index.buildable("gamma", "2", setup=setup, **rest))


# -- made once --------------------------------------------------------------------------------------------------


def test_a_wheel_stands_in_the_place_of_its_source_distribution(machine: Machine) -> None:
    package = gamma(machine)
    made = machine.wheel(package)
    assert made.file == "gamma-2-py3-none-any.whl"
    assert (made.name, made.version, made.source) == (package.name, package.version, package.source)
    with machine.store.open(made.sha256) as file:
        assert sha256(file.read()).hexdigest() == made.sha256


def test_what_is_needed_anyway_is_done_beside_building_and_only_then(machine: Machine) -> None:
    package = gamma(machine)
    machine.prepare(package)
    machine.prepare(package)
    machine.prepare(replace(package, source="index:default", file="gamma-2-py3-none-any.whl"))
    assert machine.did == ["ahead"]


def test_a_source_of_an_address_is_built_and_its_wheel_says_which_archive_it_came_from(machine: Machine) -> None:
    package = gamma(machine)
    with serving(machine.index.reply) as server:
        address = f"{server.address}/files/{package.file}"
        package = replace(package, source=f"url:{address}")
        made = machine.wheel(package)
        assert another(machine).wheel(package) == made
    assert made.file == "gamma-2-py3-none-any.whl"
    hashes = {"hash": f"sha256={package.sha256}", "hashes": {"sha256": package.sha256}}
    assert json.loads(direct_url_of(made) or "") == {"archive_info": hashes, "url": address}


def test_a_machine_with_empty_caches_takes_the_wheel_from_the_registry_and_needs_no_source(machine: Machine) -> None:
    made = machine.wheel(package := gamma(machine))
    other = another(machine)
    prepared = other.prepare(package)
    assert prepared.task.lock.packages == (made,)
    assert prepared.bring([made], other.store) == []
    assert other.store.holds(made.sha256, made.size)
    assert other.fetched == []


def test_what_was_made_here_goes_into_another_registry_without_being_made_again(
    machine: Machine, tmp_path: Path
) -> None:
    made = machine.wheel(package := gamma(machine))
    registry = LayoutRegistry(tmp_path / "other", store=ContentStore(tmp_path / "other/.store"))
    moved = replace(machine, registry=registry, fetched=[])
    assert moved.wheel(package) == made
    assert moved.fetched == []
    third = another(moved)
    assert third.wheel(package) == made
    assert third.fetched == []


@pytest.mark.threat("F3")
def test_two_that_need_it_at_once_make_it_once(machine: Machine, tmp_path: Path) -> None:
    count = tmp_path / "count"
    package = gamma(machine, setup=COUNTED.format(count=str(count)))
    made = [wheel for _, wheel in Threads(3).map(lambda _: machine.wheel(package), range(3))]
    assert len(set(made)) == 1
    once = count.read_text()
    count.unlink()
    another(machine, manager="theirs").wheel(package)
    assert once == count.read_text()


def test_the_first_wheel_of_a_key_counts(machine: Machine) -> None:
    package = gamma(machine)
    first = machine.wheel(package)
    (key,) = (Path(path.name) for path in (machine.path / "wheels").glob("built-*.json"))
    wheel = next(iter(machine.prepare(package).wheels.values()))
    other = replace(wheel, file="gamma-2-py2.py3-none-any.whl")
    kept = machine.kept.keep(Digest.parse(f"sha256:{key.stem.removeprefix('built-')}"), other)
    assert (kept.file, kept.sha256) == (first.file, first.sha256)


@pytest.mark.threat("T8")
def test_what_another_manager_put_there_is_not_used(machine: Machine, tmp_path: Path) -> None:
    count = tmp_path / "count"
    package = gamma(machine, setup=COUNTED.format(count=str(count)))
    machine.wheel(package)
    built = count.read_text()
    for tag in machine.registry.tags(REPOSITORY):  # theirs, under the tag that ours will look for
        planted = machine.registry.fetch(REPOSITORY, tag)
        found = another(machine, manager="victim")
        found.prepare(package)
        ours = next(iter({*machine.registry.tags(REPOSITORY)} - {tag}))
        machine.registry.push(REPOSITORY, planted, tags=[ours])
        another(machine, manager="victim", path=tmp_path / "three").wheel(package)
    assert count.read_text() == built * 3


def test_a_wheel_whose_bytes_are_gone_is_made_anew(machine: Machine) -> None:
    made = machine.wheel(package := gamma(machine))
    for path in (machine.path.parent / "registry").rglob(made.sha256):
        path.unlink()
    other = another(machine)
    prepared = other.prepare(package)
    with pytest.raises(WheelLostError):
        prepared.bring(prepared.task.lock.packages, other.store)
    again = other.prepare(package, anew=True)
    assert again.bring(again.task.lock.packages, other.store) == []
    third = another(machine, path=machine.path.parent / "three")
    kept = third.prepare(package)
    assert kept.bring(kept.task.lock.packages, third.store) == []
    assert kept.task.lock == again.task.lock


def test_gc_knows_what_is_left_of_building(machine: Machine) -> None:
    machine.wheel(gamma(machine))
    gathered = CacheFolder(path=machine.path).gather(Needs())
    assert gathered.foreign == ()
    for entry in gathered.entries:
        CacheFolder(path=machine.path).take(entry)
    assert not list((machine.path / "wheels").iterdir())


# -- where it runs ----------------------------------------------------------------------------------------------


def test_a_pure_wheel_serves_every_platform(machine: Machine) -> None:
    package = gamma(machine)
    assert machine.wheel(package, ARM64) == machine.wheel(package) == machine.wheel(package, libc="glibc 2.28")
    assert machine.fetched == [package.file]


CODE = """
#include <stdio.h>
int hello(void) { return printf("hello\\n"); }
"""
ANOTHER = ARM64 if this_platform() == AMD64 else AMD64
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
OWN_TAG = f"cp311-cp311-linux_{MACHINES[this_platform().architecture]}"


def compiled(machine: Machine, required: Required, tag: str = OWN_TAG) -> Package:
    required.program("gcc")
    return package_of(
        machine.index.add("native", write_compiled(machine.index.root / "files", "native", "1", tag=tag, code=CODE)),
        "native",
        "1",
    )


@pytest.fixture
def here(machine: Machine) -> Machine:
    """A machine of the platform that the tests run on: what it compiles is real."""
    return replace(machine, platform=this_platform())


def test_a_compiled_wheel_serves_the_platform_and_the_c_library_that_it_was_made_for(
    here: Machine, required: Required
) -> None:
    package = compiled(here, required)
    made = here.wheel(package, here.platform)
    assert made.file == f"native-1-{OWN_TAG}.whl"
    other = another(here)
    assert other.wheel(package, here.platform) == made
    assert other.fetched == []
    other.wheel(package, here.platform, libc="glibc 2.39")
    assert other.fetched == [package.file]


@pytest.mark.parametrize("tag", [OWN_TAG, "py3-none-any"])
def test_a_compiled_wheel_is_refused_for_another_platform(here: Machine, required: Required, tag: str) -> None:
    package = compiled(here, required, tag)
    with pytest.raises(BuildError, match=f"native 1 has compiled code.*for {ANOTHER} here") as refused:
        here.wheel(package, ANOTHER)
    assert "`docker` builder" in (refused.value.hint or "")
    assert "\n" not in refused.value.message
    assert here.registry.tags(REPOSITORY) == ()


def test_what_was_compiled_here_is_refused_for_another_platform_without_being_built_again(
    here: Machine, required: Required
) -> None:
    package = compiled(here, required)
    here.wheel(package, here.platform)
    here.fetched.clear()
    with pytest.raises(BuildError, match=f"native 1 has compiled code.*for {ANOTHER} here"):
        another(here, fetched=here.fetched).wheel(package, ANOTHER)
    assert here.fetched == []


def test_code_that_needs_a_newer_c_library_than_the_images_is_refused(here: Machine, required: Required) -> None:
    package = compiled(here, required)
    with pytest.raises(BuildError, match=r"native 1 .* needs glibc 2\.\d+.*the image has glibc 2\.1") as refused:
        here.wheel(package, here.platform, libc="glibc 2.1")
    assert "`docker` builder" in (refused.value.hint or "")


def test_an_extension_that_setuptools_compiles_is_for_this_python(here: Machine, required: Required) -> None:
    required.program("gcc")
    required.index()
    headers = subprocess.run(
        [required.python("3.11"), "-c", "import sysconfig; print(sysconfig.get_path('include'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    if not (Path(headers.stdout.strip()) / "Python.h").is_file():
        required.refuse("Python's headers are not installed")
    path = write_extension(here.path.parent)
    package = package_of(path, "speedy", "1")
    here.path.mkdir()
    here.store.put(package.sha256, package.size, [path.read_bytes()], name=package.file)
    real = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_", "HOME"))}
    made = replace(here, environ={"PIP_CONFIG_FILE": "", "PIP_INDEX_URL": "", **real}).wheel(package, here.platform)
    assert made.file == f"speedy-1-{OWN_TAG}.whl"


# -- what came of it --------------------------------------------------------------------------------------------

NAMED = """
import zipfile
def build_wheel(folder, settings=None, metadata=None):
    {act}
"""
HOSTILE = {
    "another package": ("return write(folder, 'delta-2-py3-none-any.whl', 'delta-2')", "could not be built"),
    "another version": ("return write(folder, 'gamma-3-py3-none-any.whl', 'gamma-3')", "could not be built"),
    "another package inside": ("return write(folder, 'gamma-2-py3-none-any.whl', 'delta-2')", "metadata are those"),
    "another Python": ("return write(folder, 'gamma-2-cp310-cp310-linux_x86_64.whl', 'gamma-2')", "does not take"),
    "a newer stable interface": ("return write(folder, 'gamma-2-cp312-abi3-any.whl', 'gamma-2')", "does not take"),
    "another system": ("return write(folder, 'gamma-2-py3-none-win_amd64.whl', 'gamma-2')", "does not take"),
    "no archive": ("open(folder + '/gamma-2-py3-none-any.whl', 'w').close(); return 'gamma-2-py3-none-any.whl'", "bro"),
    "out of its folder": ("return write(folder, 'gamma-2-py3-none-any.whl', 'gamma-2', '../x')", "no name of a file"),
    "a lie in RECORD": ("return write(folder, 'gamma-2-py3-none-any.whl', 'gamma-2', 'x', 'AAAA')", "not what RECORD"),
    "no hash in RECORD": ("return write(folder, 'gamma-2-py3-none-any.whl', 'gamma-2', 'x', '')", "no hash"),
    "nothing": ("return 'gamma-2-py3-none-any.whl'", "could not be built"),
}
WRITE = """
import base64, hashlib, zipfile
def hash_of(text):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
def write(folder, file, stem, more="x", said=None):
    name, version = stem.split("-")
    about = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
    files = {more: "text", stem + ".dist-info/METADATA": about,
             stem + ".dist-info/WHEEL": "Wheel-Version: 1.0\\nTag: py3-none-any\\n"}
    lines = [f"{path},{hash_of(text)},\\n" for path, text in files.items()]
    if said is not None:
        lines[0] = f"{more},{'sha256=' + said if said else ''},\\n"
    files[stem + ".dist-info/RECORD"] = "".join(lines) + stem + ".dist-info/RECORD,,\\n"
    with zipfile.ZipFile(folder + "/" + file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file
"""


@pytest.mark.threat("T8")
@pytest.mark.parametrize("how", HOSTILE)
def test_what_comes_of_a_source_that_lies_is_refused_by_name_and_not_kept(machine: Machine, how: str) -> None:
    act, said = HOSTILE[how]
    path = write_backend(machine.index.root / "files", "gamma", "2", WRITE + NAMED.format(act=act))
    package = package_of(machine.index.add("gamma", path))
    with pytest.raises(BuildError, match=said) as refused:
        machine.wheel(package)
    assert "gamma" in refused.value.message
    assert "\n" not in refused.value.message
    assert machine.registry.tags(REPOSITORY) == ()
    assert not list(machine.path.rglob("built-*.json"))


@pytest.mark.threat("T8")
def test_a_wheel_of_another_package_under_the_right_key_is_not_used(machine: Machine) -> None:
    made = machine.wheel(package := gamma(machine))
    other = package_of(machine.index.buildable("delta", "1"), "delta", "1")
    key = wheel_key(other, python="3.11")
    wheel = next(iter(machine.prepare(package).wheels.values()))
    machine.kept.keep(key, wheel)
    assert machine.wheel(other).file == "delta-1-py3-none-any.whl"
    assert made.file == "gamma-2-py3-none-any.whl"


# -- what a build sees, and what is seen of it --------------------------------------------------------------------

TELL = """
import json, os, sys
json.dump({{"environ": dict(os.environ), "umask": os.umask(0), "python": sys.version_info[:2],
           "cwd": os.getcwd(), "argv": sys.argv}}, open({told!r}, "w"))
"""


def told(machine: Machine, tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "told.json"
    machine.wheel(gamma(machine, setup=TELL.format(told=str(path))))
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.threat("T11")
def test_a_build_sees_nothing_of_the_users_but_what_an_index_needs(machine: Machine, tmp_path: Path) -> None:
    machine.environ |= {"CANARY": "x", "DOCKER_CONFIG": "/x", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONPATH": "/x"}
    machine.environ |= {"USER": "somebody", "XDG_CONFIG_HOME": "/x", "RECONCILER_REGISTRY": "/x", "CFLAGS": "-DX"}
    found = told(machine, tmp_path)
    environ = found["environ"]
    assert not {"CANARY", "DOCKER_CONFIG", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "USER"} & environ.keys()
    assert not {"XDG_CONFIG_HOME", "RECONCILER_REGISTRY", "CFLAGS"} & environ.keys()
    home = Path(environ["HOME"])
    assert home.name == "home"
    assert "reconciler-build-" in str(home)
    assert not home.exists()  # all of it is gone
    assert "reconciler-build-" in found["cwd"]
    assert environ["UV_CACHE_DIR"].startswith(str(home.parent))


@pytest.mark.threat("F21")
def test_a_build_has_one_clock_umask_locale_and_python_everywhere(machine: Machine, tmp_path: Path) -> None:
    machine.environ |= {"LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    before = os.umask(0o077)
    try:
        found = told(machine, tmp_path)
    finally:
        os.umask(before)
    assert (found["umask"], found["python"]) == (0o022, [3, 11])
    wanted = {"SOURCE_DATE_EPOCH": "315532800", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"}
    assert wanted.items() <= found["environ"].items()


@pytest.mark.threat("T11")
def test_what_a_build_needs_is_taken_as_wheels_and_not_built_in_turn(machine: Machine, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    machine.index.buildable("evil", "1", setup=f"open({str(canary)!r}, 'w').close()")
    with pytest.raises(BuildError, match=r"gamma-2\.tar\.gz could not be built") as refused:
        machine.wheel(gamma(machine, build_requires=["evil"]))
    assert "evil" in (refused.value.detail or "")
    assert not canary.exists()


def test_what_a_build_needs_comes_from_the_machines_index(machine: Machine) -> None:
    machine.index.wheel("needed", "1")
    assert machine.wheel(gamma(machine, setup="import needed", build_requires=["needed"])).name == "gamma"


@pytest.mark.threat("T11")
def test_a_source_that_was_exchanged_or_damaged_is_not_built(machine: Machine, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    package = gamma(machine)
    machine.index.links.clear()
    machine.index.entries.clear()
    evil = gamma(machine, setup=f"open({str(canary)!r}, 'w').close()")
    with pytest.raises(NotFoundError, match="another file there"):
        machine.wheel(package)
    data = (machine.index.root / "files" / evil.file).read_bytes()
    machine.path.mkdir(exist_ok=True)
    machine.store.path.mkdir(exist_ok=True)
    machine.store.path_of(package.sha256).write_bytes(data[: package.size].ljust(package.size, b"x"))
    with pytest.raises(BuildError, match="damaged on this disk"):
        machine.wheel(package)
    assert not canary.exists()


@pytest.mark.threat("T9")
@pytest.mark.parametrize("how", ["above", "absolute", "through a link", "hard link"])
def test_a_source_that_unpacks_beside_its_folder_writes_nothing_there(
    machine: Machine, tmp_path: Path, how: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "there").write_text("before")
    path = write_buildable(tmp_path, "gamma", "2")
    name = {
        "above": "../" * 12 + str(outside / "canary").lstrip("/"),
        "absolute": str(outside / "canary"),
        "through a link": "gamma-2/link/canary",
        "hard link": "gamma-2/link",
    }[how]
    links = {"through a link": (tarfile.SYMTYPE, str(outside)), "hard link": (tarfile.LNKTYPE, str(outside / "there"))}
    package = package_of(spoilt(path, name, links.get(how)))
    machine.path.mkdir()
    machine.store.put(package.sha256, package.size, [path.read_bytes()], name=package.file)
    with contextlib.suppress(BuildError):
        machine.wheel(package)
    assert [(one.name, one.read_text()) for one in outside.iterdir()] == [("there", "before")]


def spoilt(path: Path, name: str, link: tuple[bytes, str] | None) -> Path:
    """Put a link, by its kind and target, before what is in a source distribution, and a file of this name behind."""
    with tarfile.open(path) as archive:
        old = [(info, file.read()) for info in archive for file in [archive.extractfile(info)] if file is not None]
    with tarfile.open(path, "w:gz") as archive:
        if link is not None:
            first = tarfile.TarInfo("gamma-2/link")
            first.type, first.linkname = link
            archive.addfile(first)
        for info, data in [*old, (tarfile.TarInfo(name), b"after")]:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.threat("T13")
def test_a_build_that_fails_is_one_line_with_the_end_of_what_it_said_and_no_secret(machine: Machine) -> None:
    setup = "import os\nfor n in range(99): print('line', n)\nprint(dict(os.environ), flush=True)\n"
    setup += "import time\ntime.sleep(0.5)\nraise SystemExit('it broke')"
    package = gamma(machine, setup=setup)
    with serving(machine.index.reply) as server:
        address = f"http://somebody:{SECRET}@127.0.0.1:{server.port}/simple"
        machine.environ["PIP_INDEX_URL"] = address
        machine.environ["UV_INDEX_TEAM_PASSWORD"] = OTHER_SECRET
        with pytest.raises(BuildError, match=r"gamma-2\.tar\.gz could not be built") as refused:
            machine.wheel(package)
    error = refused.value
    assert "\n" not in error.message
    assert "it broke" in (error.detail or "")
    assert len((error.detail or "").splitlines()) <= 60
    assert "UV_INDEX_TEAM_PASSWORD" in (error.detail or "")
    assert not [secret for secret in (SECRET, OTHER_SECRET, "somebody") if secret in f"{error}{error.detail}"]


def test_an_index_without_an_answer_is_no_fault_of_the_package(machine: Machine) -> None:
    package = gamma(machine, build_requires=["needed"])
    machine.path.mkdir()
    data = (machine.index.root / "files" / package.file).read_bytes()
    machine.store.put(package.sha256, package.size, [data], name=package.file)
    machine.environ |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    with pytest.raises(UnavailableError, match=r"does not answer for what building gamma-2\.tar\.gz needs"):
        machine.wheel(package)


@pytest.mark.threat("F15")
def test_a_disk_that_refuses_is_one_line(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    package = gamma(machine)
    machine.path.mkdir()
    missing = machine.path / "missing"
    monkeypatch.setattr(tempfile, "tempdir", str(missing))
    data = (machine.index.root / "files" / package.file).read_bytes()
    machine.store.put(package.sha256, package.size, [data], name=package.file)
    with pytest.raises(StoreError, match=f"can't build in {missing}: No such file"):
        machine.wheel(package)


def test_a_machine_without_that_python_says_so(machine: Machine) -> None:
    package = gamma(machine)
    interpreter = Interpreter(implementation="cpython", version="3.6.9", abi="cp36", provider="image")
    lock = PlatformLock(interpreter=interpreter, libc="glibc 2.36", packages=(package,))
    desired = Desired(manifest=Manifest(name="small", path="environments/small.yaml"), components={}, filled={})
    task = Task(desired=desired, platform=AMD64, lock=lock, key=Digest.of(b"key"))
    with pytest.raises(BuildError, match=r"no Python 3\.6 on this machine"):
        machine.builder().prepare(task, machine.ahead)
