"""Source distributions in images: made into wheels once, apart, kept in the registry, and only where they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.assembly.built import BuiltWheels
from reconciler.builders.fetcher import WheelFetcher
from reconciler.builders.sources import Prepared, SourceBuilder, WheelLostError
from reconciler.clients.uv import Uv
from reconciler.executors.threads import Threads
from reconciler.lock.model import Interpreter, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.ports import Task
from reconciler.reconcile.wheels import REPOSITORY, RegistryWheels
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.base_case import AMD64
from tests.conftest import Required
from tests.simple_index import SimpleIndex

ARM64 = Platform("linux", "arm64")
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
        return self.builder().prepare(task, anew=anew)

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
    assert another(moved).wheel(package) == made


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


# -- where it runs ----------------------------------------------------------------------------------------------


def test_a_pure_wheel_serves_every_platform(machine: Machine) -> None:
    package = gamma(machine)
    assert machine.wheel(package, ARM64) == machine.wheel(package) == machine.wheel(package, libc="glibc 2.28")
    assert machine.fetched == [package.file]
