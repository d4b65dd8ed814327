"""An image that would not run is refused while it is made, by the name of what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.assembly.key import LAYER_KEY, LAYER_LIBRARIES, LAYER_PART
from reconciler.assembly.libraries import Libraries, Need
from reconciler.builders.libraries import Contents
from reconciler.errors import BuildError, CorruptError, UnavailableError
from reconciler.lock.model import Package
from reconciler.lock.system import System
from reconciler.oci.member import Member, file_of
from reconciler.ports import BaseImage, Ground
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.base_case import NoSystems, root, write_base
from tests.elf_case import NEEDED, SONAME, program
from tests.integration.test_assemble import World

FILE = "boost/lib/libboost.so"
LIBRARY = "usr/lib/x86_64-linux-gnu/libgomp.so.1"
SYSTEM = System(distribution="debian", suite="bookworm", variant="slim", archives=(), packages=())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def boost(world: World, source: str = "") -> Package:
    """Give a package whose library is loaded by ctypes, and needs one that it does not bring."""
    return world.wheel("boost", modules={"boost/__init__.py": source, FILE: needing("libgomp.so.1")})


def needing(*names: str) -> bytes:
    return program("", [(NEEDED, name) for name in (*names, "libc.so.6")])


def based(world: World, *more: Member) -> World:
    world.base = write_base(world.path / "bases/small", [*root(), *more])
    return world


class Archives:
    """Knows what one package has (``builders.libraries.Contents``)."""

    def contents(
        self, distribution: str, suite: str, architecture: str, paths: Collection[str]
    ) -> Mapping[str, tuple[str, ...]]:
        assert (distribution, suite, architecture) == ("debian", "bookworm", "amd64")
        return {path: ("libgomp1-other", "libgomp1") for path in paths if path == "lib/x86_64-linux-gnu/libgomp.so.1"}


class Silent:
    """Archives that do not answer."""

    def contents(self, *_: object) -> Mapping[str, tuple[str, ...]]:
        raise UnavailableError("the mirror does not answer")


class OnImage(NoSystems):
    """Gives an image where a base would be made of packages, and lets it say which libraries it has."""

    def __init__(self, world: World, said: Libraries | None = None) -> None:
        self._world = world
        self._said = said

    def open(self, ground: Ground, platform: Platform, **_: object) -> BaseImage:
        base = self._world.bases.open(ground.entry, platform)
        if self._said is None:
            return base
        document = json.loads(base.manifest.data)
        document["layers"][-1]["annotations"] = {
            LAYER_KEY: str(Digest.of(b"")),
            LAYER_PART: "configuration",
            LAYER_LIBRARIES: self._said.to_text(),
        }
        return replace(base, manifest=replace(base.manifest, data=json.dumps(document).encode()))


def build(world: World, archives: Contents, said: Libraries | None = None) -> None:
    """Build on a base of packages."""
    task = world.task([boost(world)])
    builder = replace(world.builder(archives=archives), systems=OnImage(world, said))
    builder.build(replace(task, lock=replace(task.lock, system=SYSTEM)))


def refused(world: World, archives: Contents, said: Libraries | None = None) -> BuildError:
    with pytest.raises(BuildError) as found:
        build(world, archives, said)
    return found.value


def test_a_library_that_nobody_has_is_an_error_with_its_module(world: World) -> None:
    with pytest.raises(BuildError) as found:
        world.builder().build(world.task([boost(world)]))
    assert found.value.message == (
        f"boost-1.0-py3-none-any.whl: {FILE} needs libgomp.so.1, which neither oci:bases/small nor a package has"
    )
    assert found.value.hint == "take a base image that has it, or a Debian base and `system_packages`"


def test_a_base_that_has_it_is_enough(world: World) -> None:
    based(world, file_of(LIBRARY, program("", [(SONAME, "libgomp.so.1")])))
    world.builder().build(world.task([boost(world)]))


def test_another_package_that_has_it_is_enough(world: World) -> None:
    other = world.wheel("gomp", modules={"gomp/libgomp.so.1": program("", [(SONAME, "libgomp.so.1")])})
    world.builder().build(world.task([boost(world), other]))


def test_a_file_of_the_repository_may_be_it(world: World) -> None:
    library = program("", [(SONAME, "libgomp.so.1")])
    task = world.task([boost(world)], files={"/usr/local/lib/libgomp.so.1": library})
    world.builder(data=library).build(task)


@pytest.mark.parametrize("where", ["/opt/x", "/elsewhere"])
def test_variables_of_the_manifest_say_where_it_is_looked_for(world: World, where: str) -> None:
    based(world, file_of("opt/x/libgomp.so.1", program("", [(SONAME, "libgomp.so.1")])))
    task = world.task([boost(world)])
    manifest = replace(task.desired.manifest, environment_variables={"LD_LIBRARY_PATH": where})
    task = replace(task, desired=replace(task.desired, manifest=manifest))
    if where == "/opt/x":
        world.builder().build(task)
    else:
        with pytest.raises(BuildError, match=re.escape("libgomp.so.1")):
            world.builder().build(task)


def test_over_debian_packages_the_one_that_has_it_is_named(world: World) -> None:
    assert refused(world, Archives()).hint == "write `system_packages: [libgomp1]`"


def test_archives_that_do_not_answer_hide_nothing(world: World) -> None:
    error = refused(world, Silent())
    assert "needs libgomp.so.1" in error.message
    assert error.hint == "find out which package of bookworm has it, and add it to `system_packages`"


def test_a_base_that_says_that_it_has_it_is_believed(world: World) -> None:
    build(world, Silent(), Libraries(offers=("libgomp.so.1",)))


def test_a_program_of_the_base_that_lacks_a_library_is_refused_too(world: World) -> None:
    need = Need(library="libnone.so.1", module="usr/bin/tool")
    error = refused(world, Silent(), Libraries(needs=(need,), offers=("libgomp.so.1",)))
    assert error.message == (
        "oci:bases/small: usr/bin/tool needs libnone.so.1, which neither oci:bases/small nor a package has"
    )


def test_a_module_that_a_package_does_without_is_told(world: World) -> None:
    source = "try:\n    from . import fast\nexcept ImportError:\n    fast = None\n"
    name = "thing/fast.cpython-311-x86_64-linux-gnu.so"
    package = world.wheel("thing", modules={"thing/__init__.py": source, name: needing("libgomp.so.1")})
    said: list[str] = []

    def tell(detail: str, *, passing: bool = False) -> None:
        said.extend([] if passing else [detail])

    world.builder().build(replace(world.task([package]), tell=tell))
    assert said[-1] == (
        f"thing-1.0-py3-none-any.whl: {name} needs libgomp.so.1, which is not there; "
        "the package works without that module"
    )


def test_several_libraries_are_one_line(world: World) -> None:
    many = [f"libx{number}.so" for number in range(6)]
    package = world.wheel("boost", modules={"boost/__init__.py": "", FILE: needing(*many)})
    with pytest.raises(BuildError, match=r"needs libx0.so, libx1.so, libx2.so, libx3.so and 2 more, which neither"):
        world.builder().build(world.task([package]))


def test_each_wheel_is_named_with_its_own_libraries(world: World) -> None:
    other = world.wheel("other", modules={"other/__init__.py": "", "other/libother.so": needing("libodbc.so.2")})
    with pytest.raises(BuildError) as found:
        world.builder().build(world.task([boost(world), other]))
    assert found.value.message == (
        f"boost-1.0-py3-none-any.whl: {FILE} needs libgomp.so.1; other-1.0-py3-none-any.whl: other/libother.so needs "
        "libodbc.so.2, which neither oci:bases/small nor a package has"
    )


# -- nothing is looked into twice -------------------------------------------------------------------------------


def test_layers_that_are_there_say_what_they_need_without_their_wheels(world: World) -> None:
    based(world, file_of(LIBRARY, program("", [(SONAME, "libgomp.so.1")])))
    task = world.task([boost(world)])
    world.builder().build(task)
    fetched: list[str] = []
    image = world.builder(fetched=fetched).build(task)
    assert fetched == []
    (said,) = [
        stream.descriptor.annotations[LAYER_LIBRARIES]
        for stream in image.streams
        if LAYER_LIBRARIES in stream.descriptor.annotations
    ]
    assert "libgomp.so.1" in said


def test_a_base_is_read_once(world: World) -> None:
    based(world, file_of(LIBRARY, program("", [(SONAME, "libgomp.so.1")])))
    task = world.task([boost(world)])
    below = world.builder().build(task).streams[0]
    (world.path / "bases/small/blobs/sha256" / below.digest.hex).unlink()
    world.builder().build(task)


def test_a_base_is_not_read_where_packages_need_nothing_of_it(world: World) -> None:
    task = world.task([world.wheel("thing", modules={"thing/core.so": needing("libm.so.6", "libcuda.so.1")})])
    below = world.builder().build(task).streams[0]
    (world.path / "bases/small/blobs/sha256" / below.digest.hex).unlink()
    world.builder(layers="other").build(task)


def test_a_layer_that_does_not_say_what_it_needs_is_made_again(world: World) -> None:
    task = world.task([world.wheel("thing")])
    first = world.builder().build(task)
    for path in (world.path / "layers").glob("*.json"):
        path.write_text(path.read_text().replace(LAYER_LIBRARIES, "another"))
    fetched: list[str] = []
    assert world.builder(fetched=fetched).build(task).manifest == first.manifest
    assert fetched == ["thing"]


@pytest.mark.threat("T9")
def test_a_layer_of_a_record_that_says_nonsense_is_refused(world: World) -> None:
    task = world.task([world.wheel("thing")])
    world.builder().build(task)
    for path in (world.path / "layers").glob("*.json"):
        path.write_text(path.read_text().replace('{\\"needs\\"', '{\\"other\\"'))
    with pytest.raises(CorruptError, match=LAYER_LIBRARIES):
        world.builder().build(task)
