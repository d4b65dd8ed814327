"""From a base and wheels to an image: what is in it, under which digests, and what is made again."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.assembly.key import LAYER_KEY
from reconciler.builders.assemble import AssembleBuilder
from reconciler.builders.bytecode import BytecodeMaker
from reconciler.builders.libraries import Contents, LibraryCheck
from reconciler.builders.sources import Prepared
from reconciler.clients.compression import compress
from reconciler.errors import BuildError, ResolveError
from reconciler.executors.threads import Threads
from reconciler.lock.model import Base, Interpreter, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Manifest, Python
from reconciler.oci.configuration import BaseConfig, parse_config
from reconciler.oci.descriptor import Image
from reconciler.ports import Layer, Task
from reconciler.registries.bases import ImageBases
from reconciler.resolvers.profile import Profile, profile
from reconciler.store.cache import Cache
from reconciler.store.interpreters import InterpreterStore
from reconciler.store.layers import LayerStore
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.base_case import AMD64, GROUP, PASSWD, NoSystems, root, write_base
from tests.own_base import HERE, MINOR, own_root
from tests.wheelhouse import write_wheel

PREFIX = "opt/venv"
MODULES = f"{PREFIX}/lib/python3.11/site-packages"


def no_registry(host: str) -> object:
    raise AssertionError(host)


@dataclass
class World:
    """A repository with a base image in it, and wheels that are there already."""

    path: Path
    workers: int = 2

    @cached_property
    def base(self) -> Digest:
        return write_base(self.path / "bases/small", environment={"PATH": "/usr/bin:/bin", "FROM_BASE": "1"})

    @cached_property
    def bases(self) -> ImageBases:
        return ImageBases(connect=no_registry, root=self.path)  # type: ignore[arg-type]  # never asked

    @property
    def wheels(self) -> WheelStore:
        return WheelStore(path=self.path / "wheels")

    def wheel(self, name: str, version: str = "1.0", modules: Mapping[str, str | bytes] | None = None) -> Package:
        folder = self.path / "made" / f"{name}-{version}-{len(modules or {})}"
        folder.mkdir(parents=True, exist_ok=True)
        file = write_wheel(folder, name, version, modules=modules)
        data = file.read_bytes()
        self.wheels.put(sha256(data).hexdigest(), len(data), [data], name=file.name)
        return Package(name=name, version=version, file=file.name, size=len(data), sha256=sha256(data).hexdigest())

    def profile(self, version: str | None = "3.11", path: str | None = None, platform: Platform = AMD64) -> Profile:
        opened = self.bases.open("oci:bases/small", platform, digest=self.base)
        cache = Cache(self.path / "cache")
        return profile(opened, interpreter_path=path, version=version, cache=cache, platform=platform)

    def task(self, packages: Sequence[Package], files: dict[str, bytes] | None = None, **docker: object) -> Task:
        found = self.profile()
        base = Base(
            image="oci:bases/small",
            digest=str(self.base),
            python=found.python,
            links=found.links,
            passwd=found.passwd,
            group=found.group,
        )
        interpreter = Interpreter(implementation="cpython", version=found.version, abi=found.abi, provider="image")
        lock = PlatformLock(interpreter=interpreter, libc="glibc 2.36", packages=tuple(packages), base=base)
        manifest = Manifest(
            name="small",
            path="environments/small.yaml",
            platforms=(AMD64,),
            python=Python(version="3.11", bytecode=False),
            docker=Docker(base_image="oci:bases/small", **docker),  # type: ignore[arg-type]  # what a test says
            environment_variables={"HELLO": "world"},
            files=dict.fromkeys(files or {}, "data.txt"),
        )
        copied = {
            target: [{"name": "", "mode": "100644", "sha256": sha256(data).hexdigest()}]
            for target, data in (files or {}).items()
        }
        desired = Desired(manifest=manifest, components={"files": copied}, filled={})  # type: ignore[dict-item]
        return Task(desired=desired, platform=AMD64, lock=lock, key=Digest.of(b"key"))

    def builder(
        self,
        *,
        layers: str = "layers",
        data: bytes = b"",
        fetched: list[str] | None = None,
        archives: Contents | None = None,
    ) -> AssembleBuilder:
        def fetch(packages: Sequence[Package]) -> None:
            if fetched is not None:
                fetched.extend(package.name for package in packages)

        return AssembleBuilder(
            bases=self.bases,
            systems=NoSystems(),
            layers=LayerStore(path=self.path / layers, compress=compress),
            wheels=self.wheels,
            fetch=fetch,
            executor=Threads(self.workers),
            bytecode=BytecodeMaker(
                bases=self.bases,
                systems=NoSystems(),
                interpreters=InterpreterStore(path=self.path / "interpreters"),
                spool=self.path / layers,
            ),
            libraries=LibraryCheck(
                cache=Cache(self.path / "cache" / "libraries"), archives=None if archives is None else lambda: archives
            ),
            read=lambda _: data,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def members(image: Image) -> dict[str, tarfile.TarInfo]:
    """Give what stands in the layers, as a reader that is not ours finds it."""
    found: dict[str, tarfile.TarInfo] = {}
    for stream in image.streams:
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream.chunks()))) as archive:
            found |= {member.name: member for member in archive}
    return found


def text(image: Image, path: str) -> bytes:
    for stream in reversed(image.streams):
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream.chunks()))) as archive:
            if path in archive.getnames():
                file = archive.extractfile(path)
                return file.read() if file is not None else b""
    raise AssertionError(path)


def config_of(image: Image) -> BaseConfig:
    return parse_config(image.blobs[0])


# -- what is in it ----------------------------------------------------------------------------------------------


def test_the_environment_stands_on_the_bases_interpreter(world: World) -> None:
    image = world.builder().build(world.task([world.wheel("thing")]))
    found = members(image)
    assert found[f"{PREFIX}/bin/python"].linkname == "/usr/bin/python3.11"
    assert found[f"{PREFIX}/lib64"].linkname == "lib"
    assert f"{MODULES}/thing.py" in found
    settings = text(image, f"{PREFIX}/pyvenv.cfg").decode()
    assert "home = /usr/bin\n" in settings
    assert "version = 3.11.2\n" in settings


def test_every_layer_is_what_its_diff_id_says(world: World) -> None:
    image = world.builder().build(world.task([world.wheel("thing")]))
    import gzip  # noqa: PLC0415  # only here

    plain = [Digest.of(gzip.decompress(b"".join(stream.chunks()))) for stream in image.streams]
    assert config_of(image).diff_ids == tuple(plain)


def test_a_container_starts_in_the_environment(world: World) -> None:
    config = config_of(world.builder().build(world.task([])))
    variables = config.environment
    assert variables["PATH"] == "/opt/venv/bin:/usr/bin:/bin"
    wanted = {"VIRTUAL_ENV": "/opt/venv", "LANG": "C.UTF-8", "HELLO": "world", "FROM_BASE": "1"}
    assert wanted.items() <= variables.items()
    assert (config.user, config.workdir, variables["HOME"]) == ("1000:1000", "/home/user", "/home/user")


def test_a_user_is_added_to_those_of_the_base_and_anybody_may_write_to_its_home(world: World) -> None:
    image = world.builder().build(world.task([]))
    assert text(image, "etc/passwd") == PASSWD + b"user:x:1000:1000::/home/user:/bin/sh\n"
    assert text(image, "etc/group") == GROUP + b"user:x:1000:\n"
    home = members(image)["home/user"]
    assert (home.mode, home.uid, home.gid) == (0o1777, 1000, 1000)


def test_files_of_the_repository_go_where_the_manifest_says(world: World) -> None:
    task = world.task([], files={"/srv/data.txt": b"data"})
    assert text(world.builder(data=b"data").build(task), "srv/data.txt") == b"data"


def test_a_file_that_changed_meanwhile_is_not_taken(world: World) -> None:
    task = world.task([], files={"/srv/data.txt": b"data"})
    with pytest.raises(BuildError, match="has changed while it was read"):
        world.builder(data=b"other").build(task)


@pytest.mark.threat("T9")
def test_nothing_is_laid_over_a_link_of_the_base(world: World) -> None:
    task = world.task([], files={"/lib/data.txt": b"x", "/bin/tool": b"x"})
    found = members(world.builder(data=b"x").build(task))
    assert {"usr/lib/data.txt", "usr/bin/tool"} <= found.keys()
    assert not {"lib/data.txt", "bin/tool"} & found.keys()
    assert found["lib"].issym()


def test_two_packages_with_another_file_at_one_place_are_refused_by_name(world: World) -> None:
    packages = [world.wheel(name, modules={"same.py": f"value = {name!r}\n"}) for name in ("one", "two")]
    with pytest.raises(BuildError, match=rf"one-1\.0.*two-1\.0.*{MODULES}/same\.py"):
        world.builder().build(world.task(packages))


def large(world: World, name: str, modules: Mapping[str, str | bytes]) -> Package:
    """Give a wheel that has a layer of its own."""
    return world.wheel(name, modules={**modules, f"{name}_data.py": "#" + os.urandom(1 << 20).hex()})


def test_two_packages_in_layers_of_their_own_are_refused_by_name_too(world: World) -> None:
    packages = [large(world, name, {"cv2/same.py": f"value = {name!r}\n"}) for name in ("headless", "opencv")]
    with pytest.raises(BuildError, match=rf"headless-1\.0.*opencv-1\.0.*{MODULES}/cv2/same\.py"):
        world.builder().build(world.task(packages))


def test_a_collision_with_a_layer_that_was_made_before_is_found_although_its_wheel_is_gone(world: World) -> None:
    old, new = (large(world, name, {"cv2/same.py": f"value = {name!r}\n"}) for name in ("headless", "opencv"))
    world.builder().build(world.task([old]))
    fetched: list[str] = []
    with pytest.raises(BuildError, match="both have"):
        world.builder(fetched=fetched).build(world.task([old, new]))
    assert fetched == ["opencv", "headless", "opencv"]


def test_packages_of_one_namespace_need_no_wheel_of_one_another(world: World) -> None:
    parts = ("one", "two")
    old, new = (large(world, name, {"space/__init__.py": "", f"space/{name}/module.py": name}) for name in parts)
    world.builder().build(world.task([old]))
    fetched: list[str] = []
    world.builder(fetched=fetched).build(world.task([old, new]))
    assert fetched == ["two"]


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("bin/python", "bin/python"),
        ("bin", "bin"),
        ("lib64/x.so", "lib64"),
        ("pyvenv.cfg", "pyvenv.cfg"),
    ],
)
def test_a_package_that_has_a_file_of_the_environment_itself_is_refused(world: World, file: str, path: str) -> None:
    package = world.wheel("sly", modules={f"sly-1.0.data/data/{file}": "x"})
    with pytest.raises(BuildError, match=rf"both have /{PREFIX}/{path}, and not") as refused:
        world.builder().build(world.task([package]))
    assert "the environment itself" in refused.value.message
    assert "sly-1.0" in refused.value.message


@pytest.mark.parametrize("claims", [True, False])
def test_a_layer_of_a_record_that_does_not_say_what_it_claims_is_made_again(world: World, *, claims: bool) -> None:
    task = world.task([world.wheel("thing")])
    first = world.builder().build(task)
    ids = dict(zip((stream.digest for stream in first.streams), config_of(first).diff_ids, strict=True))

    class Records:
        def find(self, key: Digest) -> Layer | None:
            found = next(stream for stream in first.streams if str(key) in stream.descriptor.annotations.values())
            annotations = {LAYER_KEY: str(key), **(found.descriptor.annotations if claims else {})}
            plain = replace(found, descriptor=replace(found.descriptor, annotations=annotations))
            return Layer(stream=plain, diff_id=ids[found.digest])

    fetched: list[str] = []
    made = world.builder(layers="empty", fetched=fetched).build(replace(task, layers=Records()))
    assert made.manifest == first.manifest
    assert fetched == ([] if claims else ["thing"])


# -- the same bytes, and no more of them than needed --------------------------------------------------------------


@pytest.mark.threat("F21")
@pytest.mark.parametrize("workers", [1, 4])
def test_the_same_inputs_are_the_same_image_in_another_folder(world: World, tmp_path: Path, workers: int) -> None:
    other = World(tmp_path / "elsewhere", workers=workers)
    images = []
    for one, umask in ((world, 0o022), (other, 0o077)):
        before = os.umask(umask)
        try:
            names = ["b", "a"] if one is world else ["a", "b"]
            images.append(one.builder().build(one.task([one.wheel(name) for name in names])).manifest)
        finally:
            os.umask(before)
    assert images[0] == images[1]


def test_what_was_made_is_not_made_again_and_needs_no_wheel(world: World) -> None:
    task = world.task([world.wheel("thing")])
    first = world.builder().build(task)
    fetched: list[str] = []
    for file in (world.path / "wheels").iterdir():
        file.unlink()
    assert world.builder(fetched=fetched).build(task).manifest == first.manifest
    assert fetched == []


def test_how_far_it_is_is_told(world: World) -> None:
    told: list[tuple[str, bool]] = []

    def tell(detail: str, *, passing: bool = False) -> None:
        told.append((detail, passing))

    task = replace(world.task([world.wheel("thing")]), tell=tell)
    world.builder().build(task)
    size = task.lock.packages[0].size / 1e6
    assert told[0] == (f"2 of 2 layers to make, from 1 package(s) of {size:.1f} MB", False)
    assert told[1:] == [("1 of 2 layers made", True), ("2 of 2 layers made", True)]
    told.clear()
    world.builder().build(task)
    assert told == [("all 2 layers are there", False)]


def test_a_changed_package_changes_its_layer_alone(world: World) -> None:
    large = [world.wheel(f"large{n}", modules={f"large{n}.py": "#" + os.urandom(1 << 20).hex()}) for n in range(3)]
    before = world.builder().build(world.task([*large, world.wheel("small")]))
    fetched: list[str] = []
    after = world.builder(fetched=fetched).build(world.task([*large, world.wheel("small", "2.0")]))
    layers = [{stream.digest for stream in image.streams} for image in (before, after)]
    assert len(layers[0] - layers[1]) == len(layers[1] - layers[0]) == 1
    assert fetched == ["small"]


def test_a_layer_of_a_record_is_taken_over(world: World) -> None:
    task = world.task([world.wheel("thing")])
    first = world.builder().build(task)
    ids = dict(zip((stream.digest for stream in first.streams), config_of(first).diff_ids, strict=True))

    class Records:
        def find(self, key: Digest) -> Layer | None:
            found = [s for s in first.streams if str(key) in s.descriptor.annotations.values()]
            return Layer(stream=found[0], diff_id=ids[found[0].digest]) if found else None

    fetched: list[str] = []
    other = world.builder(layers="empty", fetched=fetched).build(replace(task, layers=Records()))
    assert (other.manifest, fetched) == (first.manifest, [])


def test_beside_building_from_source_what_lacks_anyway_is_fetched(world: World) -> None:
    large = [world.wheel(f"large{n}", modules={f"large{n}.py": "#" + os.urandom(1 << 20).hex()}) for n in range(2)]
    world.builder().build(world.task(large[:1]))
    wheel = world.wheel("gamma")
    source = replace(
        wheel, file="gamma-1.0.tar.gz", sha256="0" * 64, source=f"built:gamma-1.0.tar.gz@sha256:{'0' * 64}"
    )
    fetched: list[str] = []
    beside: list[str] = []

    def prepare(task: Task, ahead: Callable[[], None], *, anew: bool) -> Prepared:
        assert not anew
        ahead()
        beside.extend(fetched)
        lock = replace(task.lock, packages=(*large, wheel))
        return Prepared(task=replace(task, lock=lock))

    builder = replace(world.builder(fetched=fetched), prepare_wheels=prepare)
    image = builder.build(world.task([*large, source]))
    assert beside == ["large1"]
    assert f"{MODULES}/gamma.py" in members(image)


def test_the_bases_layers_are_not_read(world: World) -> None:
    task = world.task([world.wheel("thing")])
    below = world.builder().build(task).streams[0]
    layer = world.path / "bases/small/blobs/sha256" / below.digest.hex
    layer.unlink()
    assert world.builder(layers="other").build(task).streams[0].digest == below.digest


# -- the base ---------------------------------------------------------------------------------------------------


def test_what_a_base_brings_is_found(world: World) -> None:
    found = world.profile()
    assert (found.python, found.version, found.abi, found.glibc) == ("usr/bin/python3.11", "3.11.2", "cp311", (2, 36))
    assert found.packages == {"idna": "3.3"}
    assert found.links == {"bin": "usr/bin", "lib": "usr/lib"}
    assert world.profile() == found  # from the cache


@pytest.mark.parametrize(
    ("files", "asked", "said"),
    [
        (root(version="3.9.2"), "3.11", "has no Python 3.11: /usr/bin/python3.9 is 3.9.2"),
        (root(), "3.11.7", "has no Python 3.11.7: /usr/bin/python3.11 is 3.11.2"),
        (root()[:2], "3.11", "has no Python 3.11"),
        (root("arm64"), "3.11", "is for another machine"),
        ([member for member in root() if "libc" not in member.path], "3.11", "which C library"),
    ],
)
def test_a_base_that_does_not_fit_is_refused_before_anything_is_built(
    tmp_path: Path, files: list[object], asked: str, said: str
) -> None:
    world = World(tmp_path)
    world.base = write_base(tmp_path / "bases/small", files)  # type: ignore[arg-type]
    with pytest.raises(ResolveError, match=said):
        world.profile(asked)


def test_an_interpreter_may_be_named(world: World) -> None:
    assert world.profile(None, "/bin/python3").python == "usr/bin/python3.11"
    with pytest.raises(ResolveError, match="at /opt/python"):
        world.profile(None, "/opt/python")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("debian:bookworm", "names no registry"),
        ("oci:bases/none", "there is no base image"),
        ("oci:bases/small:other", "there is no base image"),
        ("oci:../bases/small", "leads out of the repository"),
        ("oci:bases/small@sha256:1", "names no image"),
    ],
)
def test_a_reference_that_names_nothing_is_one_line(world: World, reference: str, said: str) -> None:
    assert world.base
    with pytest.raises(ResolveError, match=said) as refused:
        world.bases.open(reference, AMD64)
    assert "\n" not in refused.value.message


def test_another_platform_is_refused(world: World) -> None:
    assert world.base
    with pytest.raises(ResolveError, match="is for linux/amd64, not for linux/arm64"):
        world.bases.open("oci:bases/small", Platform("linux", "arm64"))


# -- with bytecode ----------------------------------------------------------------------------------------------


def compiling(world: World, packages: Sequence[Package]) -> Task:
    """Give a task with bytecode, on a base whose interpreter runs here."""
    if (HERE, MINOR) != (AMD64, "3.11"):
        pytest.skip("this machine runs no Python 3.11 for linux/amd64")
    world.base = write_base(world.path / "bases/small", own_root())
    task = world.task(packages)
    python = replace(task.desired.manifest.python, bytecode=True)
    return replace(task, desired=replace(task.desired, manifest=replace(task.desired.manifest, python=python)))


@pytest.mark.threat("F21")
def test_bytecode_has_a_layer_beside_each_of_packages_whoever_makes_it(world: World, tmp_path: Path) -> None:
    images = []
    for one in (world, World(tmp_path / "elsewhere", workers=4)):
        large = one.wheel("large", modules={"large.py": "#" + bytes(1 << 20).hex()})
        task = compiling(one, [large, one.wheel("b"), one.wheel("a")])
        images.append(one.builder().build(task))
    plain = world.builder().build(replace(task, desired=world.task(task.lock.packages).desired))
    assert images[0].manifest == images[1].manifest
    layers = [stream.digest for stream in images[0].streams]
    assert [layer for layer in layers if layer in {stream.digest for stream in plain.streams}] == layers[:-2]
    found = members(images[0])
    assert {f"{MODULES}/__pycache__/{name}.cpython-311.pyc" for name in ("large", "a", "b")} <= found.keys()


def test_layers_that_are_there_need_neither_base_nor_interpreter_nor_wheel(world: World) -> None:
    task = compiling(world, [world.wheel("thing")])
    first = world.builder().build(task)
    shutil.rmtree(world.path / "interpreters")
    shutil.rmtree(world.path / "wheels")
    (world.path / "bases/small/blobs/sha256" / first.streams[0].digest.hex).unlink()
    assert world.builder().build(task).manifest == first.manifest
    assert not (world.path / "interpreters").exists()
