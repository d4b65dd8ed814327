"""Bases made of Debian packages: their layers, keys and bytes; what one path in two packages comes to."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.assembly.key import LAYER_KEY, LAYER_LIBRARIES, LAYER_PART
from reconciler.assembly.libraries import Libraries, Need, parse_libraries
from reconciler.clients.compression import compress
from reconciler.errors import BuildError, CorruptError, DamagedCacheError, NotFoundError
from reconciler.executors.serial import Serial
from reconciler.executors.transfers import Transfers
from reconciler.lock.model import Package
from reconciler.lock.system import Archive, Part, System, SystemPackage
from reconciler.oci.configuration import parse_config
from reconciler.oci.manifest import parse_image
from reconciler.ports import BaseImage, Executor, Ground, Layer, Layers, Tell, tell_nobody
from reconciler.store.debs import DebStore
from reconciler.store.layers import LayerStore
from reconciler.systems.layers import plan_root
from reconciler.systems.roots import Roots
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.debs import info, make_deb
from tests.elf_case import NEEDED, SONAME, program

AMD64 = Platform("linux", "amd64")
Files = Mapping[str, bytes | tuple[tarfile.TarInfo, bytes]]
BASE: Mapping[str, Files] = {
    "base-files": {"root": (info("root", tarfile.DIRTYPE, mode=0o700), b""), "etc/issue": b"Debian\n"},
    "dash": {"bin/sh": b"#!sh"},
    "passwd": {"usr/bin/passwd": (info("usr/bin/passwd", mode=0o4755), b"suid")},
}


@dataclass
class Mirror:
    """Brings packages that were made for a test into a store, and remembers which."""

    debs: DebStore
    files: dict[str, bytes] = field(default_factory=dict)
    brought: list[str] = field(default_factory=list)

    def add(self, name: str, data: bytes, part: Part) -> SystemPackage:
        digest = sha256(data).hexdigest()
        self.files[digest] = data
        return SystemPackage(
            name=name, version="1.0-1", architecture="amd64", file=f"pool/{name}_1.0-1_amd64.deb", size=len(data),
            sha256=digest, archive="debian/bookworm/main", part=part,
        )  # fmt: skip

    def fetch(
        self, packages: Sequence[SystemPackage], *, archives: Sequence[Archive] = (), tell: Tell = tell_nobody
    ) -> None:
        del archives, tell
        for package in packages:
            if not self.debs.holds(package.sha256, package.size):
                self.brought.append(package.name)
                self.debs.put(package.sha256, package.size, [self.files[package.sha256]], name=package.file)


class NoPythons:
    """The packages bring the interpreter."""

    def layer(
        self, build: Package, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> Layer:
        raise AssertionError(build, platform, layers, tell)


@dataclass
class Machine:
    """What makes bases, with a mirror."""

    folder: Path
    executor: Executor = field(default_factory=Serial)

    def __post_init__(self) -> None:
        debs = DebStore(path=self.folder / "debs")
        self.mirror = Mirror(debs)
        self.roots = Roots(
            layers=LayerStore(path=self.folder / "layers", compress=compress),
            archives=self.mirror,
            debs=debs,
            executor=self.executor,
            standalones=NoPythons(),
        )

    def ground(self, *more: tuple[str, Part, bytes], reverse: bool = False) -> Ground:
        packages = [self.mirror.add(name, make_deb(name, files), Part.BASE) for name, files in BASE.items()]
        packages += [self.mirror.add(name, data, part) for name, part, data in more]
        ordered = tuple(reversed(packages)) if reverse else tuple(packages)
        system = System(distribution="debian", suite="bookworm", variant="slim", archives=(), packages=ordered)
        return Ground(entry="debian:bookworm-slim", system=system, interpreter="usr/bin/python3.11")

    def open(self, *more: tuple[str, Part, bytes], layers: Layers | None = None) -> BaseImage:
        return self.roots.open(self.ground(*more), AMD64, layers=layers)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def added(name: str, files: Files, **fields: str) -> tuple[str, Part, bytes]:
    return name, Part.ADDED, make_deb(name, files, fields=fields)


def layers_of(base: BaseImage) -> list[dict[str, tarfile.TarInfo]]:
    """Read the layers, each as path to member."""
    found = []
    for layer in parse_image(base.manifest).layers:
        data = gzip.decompress(b"".join(base.registry.fetch_blob(base.repository, layer)))
        with closing(tarfile.open(fileobj=io.BytesIO(data))) as archive:
            found.append({member.name: member for member in archive})
    return found


def parts(base: BaseImage) -> list[str]:
    return [layer.annotations[LAYER_PART] for layer in parse_image(base.manifest).layers]


def keys(base: BaseImage) -> list[str]:
    return [layer.annotations[LAYER_KEY] for layer in parse_image(base.manifest).layers]


def test_a_base_is_one_layer_and_what_was_added_is_over_it(machine: Machine) -> None:
    python = ("python3", Part.PYTHON, make_deb("python3", {"usr/bin/python3": b""}))
    base = machine.open(python, added("libgomp1", {"usr/lib/libgomp.so.1": b""}))
    assert parts(base) == ["base", "python", "added", "configuration"]
    first, second, third, _ = layers_of(base)
    assert {"bin", "usr/bin/sh", "etc/issue"} <= first.keys()
    assert "usr/bin/python3" in second
    assert "usr/lib/libgomp.so.1" in third


def test_the_image_starts_a_shell_with_a_path_and_a_language(machine: Machine) -> None:
    config = parse_config(machine.open().config)
    assert config.command == ("sh",)
    assert config.environment["LANG"] == "C.UTF-8"
    assert "/usr/bin" in config.environment["PATH"].split(":")
    assert config.platform == AMD64


def test_permissions_are_kept_setuid_too(machine: Machine) -> None:
    first = layers_of(machine.open())[0]
    assert (first["usr/bin/passwd"].mode, first["root"].mode) == (0o4755, 0o700)


def test_the_root_says_which_packages_are_in_it(machine: Machine) -> None:
    sums = b"0123456789abcdef0123456789abcdef  bin/x\n0123456789abcdef0123456789abcdef  usr/share/man/man1/x.1.gz\n"
    questions = b"Template: xx/y\nType: string\nDefault: z\nDescription: Which?\n Words.\n"
    scripts = {"md5sums": sums, "triggers": b"#", "templates": questions}
    data = make_deb("xx", {"bin/x": b"", "usr/share/man/man1/x.1.gz": b""}, scripts=scripts)
    base = machine.open(("xx", Part.ADDED, data))
    layer = parse_image(base.manifest).layers[1]
    plain = gzip.decompress(b"".join(base.registry.fetch_blob(base.repository, layer)))
    with closing(tarfile.open(fileobj=io.BytesIO(plain))) as archive:
        texts = {name: archive.extractfile(name) for name in archive.getnames() if name.startswith("var/lib/dpkg/")}
        read = {name.removeprefix("var/lib/dpkg/"): file.read() for name, file in texts.items() if file is not None}
    assert read["status.d/xx"].startswith(b"Package: xx\nVersion: 1.0-1\n")
    assert read["status.d/xx.md5sums"] == sums.splitlines(keepends=True)[0]
    assert read["info/xx.triggers"] == b"#"
    assert read["info/xx.templates"] == b"Template: xx/y\nType: string\nDefault: z\n"
    assert read["info/xx.list"] == b"/.\n/usr/bin/x\n"


# -- what is there already --------------------------------------------------------------------------------------


def test_the_base_says_which_libraries_it_has_and_which_it_lacks(machine: Machine) -> None:
    tool = program("", [(NEEDED, "libz.so.1"), (NEEDED, "libnone.so.1")])
    files = {"usr/lib/libtool.so.1": tool, "usr/lib/libz.so.1": program("", [(SONAME, "libz.so.1")])}
    said = parse_image(machine.open(added("tool", files)).manifest).layers[-1].annotations[LAYER_LIBRARIES]
    need = Need(library="libnone.so.1", module="usr/lib/libtool.so.1")
    assert parse_libraries(said) == Libraries(needs=(need,), offers=("libtool.so.1", "libz.so.1"))


def test_what_was_made_once_is_found_and_nothing_is_fetched(machine: Machine) -> None:
    first = machine.open()
    assert sorted(machine.mirror.brought) == sorted(BASE)
    machine.mirror.brought.clear()
    assert machine.open().manifest.digest == first.manifest.digest
    assert machine.mirror.brought == []


def test_one_more_package_is_one_more_layer_and_the_configuration(machine: Machine) -> None:
    before = machine.open()
    machine.mirror.brought.clear()
    after = machine.open(added("more", {"etc/more": b""}))
    assert machine.mirror.brought == ["more"]
    assert set(keys(before)) - set(keys(after)) == {keys(before)[-1]}
    assert len(set(keys(after)) - set(keys(before))) == 2


def test_layers_of_records_serve_where_this_machine_has_none(machine: Machine, tmp_path: Path) -> None:
    there = machine.open()

    class Records:
        def find(self, key: Digest) -> Layer | None:
            stored = machine.roots.layers.find(key)
            return None if stored is None else stored.layer

    other = Machine(tmp_path / "other")
    assert other.open(layers=Records()).manifest.digest == there.manifest.digest
    assert other.mirror.brought == []
    again = other.open(added("more", {"etc/more": b""}), layers=Records())
    assert other.mirror.brought == ["more"]
    assert keys(again)[0] == keys(there)[0]


def test_a_package_that_can_t_be_had_is_not_asked_for_where_its_layer_is_there(machine: Machine) -> None:
    machine.open()
    machine.mirror.files.clear()
    for deb in machine.folder.glob("debs/*.deb"):
        deb.unlink()
    assert parts(machine.open(added("more", {"etc/more": b""}))) == ["base", "added", "configuration"]


def test_a_layer_that_was_damaged_is_made_again(machine: Machine) -> None:
    base = machine.open()
    (stored,) = [file for file in machine.folder.glob("layers/*.gz") if str(keys(base)[0]).endswith(file.name[:64])]
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedCacheError):
        layers_of(base)
    assert layers_of(machine.open())[0]["etc/issue"].size == 7


def test_a_package_that_was_damaged_on_this_machine_is_forgotten(machine: Machine) -> None:
    ground = machine.ground()
    machine.mirror.fetch(ground.system.packages)
    path = machine.roots.debs.path_of(ground.system.packages[0].sha256)  # type: ignore[attr-defined]  # a DebStore
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedCacheError, match=r"base-files_1\.0-1_amd64\.deb"):
        machine.open()
    assert parts(machine.open()) == ["base", "configuration"]


def test_the_image_gives_nothing_but_its_own(machine: Machine) -> None:
    base = machine.open()
    assert base.registry.fetch(base.repository, base.manifest.digest) == base.manifest
    with pytest.raises(NotFoundError):
        base.registry.fetch(base.repository, Digest.of(b"other"))
    with pytest.raises(NotFoundError):
        base.registry.fetch_blob(base.repository, replace(base.config.describe(), digest=Digest.of(b"other")))


def test_who_needs_the_same_layer_meanwhile_waits_for_it(machine: Machine) -> None:
    grounds = [machine.ground(added("one", {"etc/one": b""})), machine.ground(added("two", {"etc/two": b""}))]
    said: list[str] = []

    def tell(detail: str, *, passing: bool = False) -> None:
        if not passing:
            said.append(detail)

    with ThreadPoolExecutor(2) as threads:
        done = [*threads.map(lambda ground: machine.roots.open(ground, AMD64, tell=tell), grounds)]
    assert keys(done[0])[0] == keys(done[1])[0]
    assert sorted(detail.partition(": ")[2].split()[0] for detail in said) == ["1", str(len(BASE) + 1)]


@pytest.mark.threat("F1")
@pytest.mark.parametrize("steps", range(5))
def test_a_run_that_ends_in_between_leaves_nothing_half_made(machine: Machine, steps: int) -> None:
    left = iter(range(steps))

    def tell(detail: str, *, passing: bool = False) -> None:
        del detail, passing
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        machine.roots.open(machine.ground(), AMD64, tell=tell)
    assert {path.suffix for path in machine.folder.glob("layers/*")} <= {".gz", ".json", ".lock"}
    assert machine.open().manifest.digest == Machine(machine.folder / "other").open().manifest.digest


# -- the same bytes ---------------------------------------------------------------------------------------------


@pytest.mark.threat("F21")
@pytest.mark.parametrize("change", ["threads", "order", "umask", "hash seed"])
def test_the_same_packages_make_the_same_bytes(machine: Machine, tmp_path: Path, change: str) -> None:
    more = [added("more", {"etc/more": b""}), added("other", {f"etc/{number}": b"" for number in range(50)})]
    wanted = machine.open(*more).manifest.digest
    other = Machine(tmp_path / "other", executor=Transfers(7) if change == "threads" else Serial())
    before = os.umask(0o077 if change == "umask" else 0o022)
    try:
        ground = other.ground(*more, reverse=change == "order")
        assert other.roots.open(ground, AMD64).manifest.digest == wanted
    finally:
        os.umask(before)


def test_a_key_is_what_goes_in_and_not_where_it_came_from(machine: Machine) -> None:
    ground = machine.ground(added("more", {"etc/more": b""}))
    packages = tuple(replace(one, archive="snapshot/bookworm/main", file="elsewhere") for one in ground.system.packages)
    moved = replace(ground, entry="debian", system=replace(ground.system, packages=packages, archives=()))
    assert [plan.key for plan in plan_root(ground, AMD64)] == [plan.key for plan in plan_root(moved, AMD64)]
    other = [plan.key for plan in plan_root(ground, Platform("linux", "arm64"))]
    assert not {*other} & {plan.key for plan in plan_root(ground, AMD64)}


def test_a_layer_says_what_it_is_whichever_way_it_was_made_first(machine: Machine, tmp_path: Path) -> None:
    data = make_deb("more", {"etc/more": b""})
    machine.open(("more", Part.ADDED, data))
    here = machine.open(("more", Part.PYTHON, data))
    there = Machine(tmp_path / "other").open(("more", Part.PYTHON, data))
    assert here.manifest.digest == there.manifest.digest


# -- one path in two packages -----------------------------------------------------------------------------------


def test_a_file_of_two_layers_is_refused_by_name(machine: Machine) -> None:
    with pytest.raises(BuildError, match="/usr/bin/sh is in the Debian packages dash and other, and neither"):
        machine.open(added("other", {"usr/bin/sh": b"another"}))


def test_a_package_of_an_upper_layer_may_replace_a_file_below(machine: Machine) -> None:
    base = machine.open(added("other", {"usr/bin/sh": b"another"}, Replaces="dash"))
    assert layers_of(base)[1]["usr/bin/sh"].size == len(b"another")


def test_a_folder_stays_as_the_lower_layer_has_it(machine: Machine) -> None:
    base = machine.open(added("other", {"root": (info("root", tarfile.DIRTYPE), b""), "root/.x": b""}))
    *_, top = layers_of(base)
    assert top["root"].mode == 0o700


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    "member", [info("../out"), info("dev/null", tarfile.CHRTYPE), info("usr/.wh.bin")], ids=lambda one: one.name
)
def test_a_hostile_package_makes_no_layer(machine: Machine, member: tarfile.TarInfo) -> None:
    with pytest.raises(CorruptError, match=r"^bad_1.0-1_amd64.deb: "):
        machine.open(("bad", Part.ADDED, make_deb("bad", {"x": (member, b"")})))
    assert [*machine.folder.glob("layers/*.tmp*")] == []


def test_a_package_whose_scripts_would_have_to_run_makes_no_base(machine: Machine) -> None:
    data = make_deb("unknown", {"etc/x": b""}, scripts={"postinst": b"#!/bin/sh\nset -e\nfrobnicate --all\n"})
    with pytest.raises(BuildError, match="unknown") as refused:
        machine.open(("unknown", Part.ADDED, data))
    assert refused.value.hint
