"""Source distributions that a lock allows, made into wheels before layers are: once, apart, for all who need them.

A pure wheel serves every platform. One with compiled code serves the platform of the machine that made it, on the C
library that it was made for; anywhere else it is refused.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from reconciler.assembly.built import BuiltWheel
from reconciler.assembly.key import wheel_key
from reconciler.assembly.layers import ARCHIVE
from reconciler.assembly.venv import minor_of
from reconciler.builders.fitting import check_fit, is_of, not_here
from reconciler.clients.building import build_wheel
from reconciler.clients.installer import index_variables
from reconciler.clients.interpreter import this_platform
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError, CorruptError, NotFoundError
from reconciler.lock.model import MACHINE_INDEX, Package
from reconciler.lock.requirements import is_built
from reconciler.ports import Executor, Task
from reconciler.store.built import BuiltStore
from reconciler.store.durable import disk_errors
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

Fetch = Callable[[Sequence[Package]], None]
_CHUNK = 1 << 20


class WheelLostError(Exception):
    """The bytes of a wheel that was made before are not where they were kept; it is to be made anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A task whose lock names wheels alone, and where to read those that were made from source, by their sha256."""

    task: Task
    wheels: Mapping[str, BuiltWheel] = field(default_factory=dict)

    def bring(self, packages: Sequence[Package], store: WheelStore) -> Sequence[Package]:
        """Bring those that were made from source into the store, and give all others.

        A WheelLostError where one is not there any more.
        """
        for package in packages:
            wheel = self.wheels.get(package.sha256)
            if wheel is None or store.holds(wheel.sha256, wheel.size):
                continue
            try:
                store.put(wheel.sha256, wheel.size, wheel.read(), name=wheel.file)
            except (NotFoundError, CorruptError) as error:
                raise WheelLostError(wheel.file) from error
        return [package for package in packages if package.sha256 not in self.wheels]


def prepare_nothing(task: Task, ahead: Callable[[], None], *, anew: bool) -> Prepared:
    """Leave a task as it is, where nothing can be built."""
    del ahead, anew
    return Prepared(task=task)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceBuilder:
    """Makes wheels. ``fetch`` brings source distributions into ``store``; ``sources`` are the addresses of aliases."""

    store: WheelStore
    fetch: Fetch
    uv: Uv
    executor: Executor
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: Platform = field(default_factory=this_platform)

    def prepare(self, task: Task, ahead: Callable[[], None], *, anew: bool = False) -> Prepared:
        """Give a task whose lock names wheels in place of source distributions; those that lack are made now.

        With ``anew`` they are made whatever is there. ``ahead`` is done beside making, where anything is made.
        """
        built = [package for package in task.lock.packages if is_built(package)]
        if not built:
            return Prepared(task=task)
        found = self._wheels(_Makers(builder=self, task=task, anew=anew), built, ahead)
        packages = tuple(
            _made_of(package, found[package]) if package in found else package for package in task.lock.packages
        )
        lock = replace(task.lock, packages=packages)
        return Prepared(task=replace(task, lock=lock), wheels={wheel.sha256: wheel for wheel in found.values()})

    def _wheels(
        self, makers: _Makers, built: Sequence[Package], ahead: Callable[[], None]
    ) -> Mapping[Package, BuiltWheel]:
        known = dict(self.executor.map(makers.find, built))
        lacking = [package for package in built if known[package] is None]

        def work(item: Package | None) -> BuiltWheel | None:
            if item is not None:
                return makers.wheel(item)
            ahead()
            return None

        items: list[Package | None] = [*lacking, None] if lacking else []
        pairs = [*known.items(), *self.executor.map(work, items)]
        return {package: wheel for package, wheel in pairs if package is not None and wheel is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Makers:
    """The packages of one task."""

    builder: SourceBuilder
    task: Task
    anew: bool

    @property
    def kept(self) -> BuiltStore:
        return BuiltStore(wheels=self.builder.store)

    @property
    def python(self) -> str:
        return minor_of(self.task.lock.interpreter.version)

    def keys(self, package: Package) -> tuple[Digest, Digest]:
        """Give the keys of a pure wheel and of a compiled one."""
        compiled_for = (self.task.platform, self.task.lock.libc)
        return (
            wheel_key(package, python=self.python),
            wheel_key(package, python=self.python, compiled_for=compiled_for),
        )

    def wheel(self, package: Package) -> BuiltWheel:
        """Give a package's wheel: the one that somebody made meanwhile, else one that is made now."""
        self.refuse_known(package)
        with self.kept.making(self.keys(package)[0]):
            return self.find(package) or self.make(package)

    def find(self, package: Package) -> BuiltWheel | None:
        """Ask the registry first: of several that were made, the one that is there counts."""
        if self.anew:
            return None
        for key in self.keys(package):
            wheel = self.task.wheels.find(key)
            if wheel is not None and is_of(wheel.file, package, self.task):
                return wheel
        for key in self.keys(package):
            wheel = self.kept.find(key)
            if wheel is not None and is_of(wheel.file, package, self.task):
                return self.keep(key, wheel, package)
        return None

    def keep(self, key: Digest, wheel: BuiltWheel, package: Package) -> BuiltWheel:
        """Keep a wheel in the registry, unless one is there that could be the package's."""
        counting = self.task.wheels.keep(key, wheel, anew=self.anew)
        if is_of(counting.file, package, self.task):
            return counting
        return self.task.wheels.keep(key, wheel, anew=True)

    def refuse_known(self, package: Package) -> None:
        """Refuse for another platform what was compiled for this one: to build it again would tell nothing new."""
        machine = self.builder.machine
        if self.task.platform == machine:
            return
        key = wheel_key(package, python=self.python, compiled_for=(machine, self.task.lock.libc))
        if self.task.wheels.find(key) is not None:
            raise not_here(f"{package.name} {package.version}", self.task, f"this machine is {machine}")

    def make(self, package: Package) -> BuiltWheel:
        self.builder.fetch([package if package.index is None else replace(package, source=package.index)])
        index = index_variables(self.builder.uv, _aliases(package), self.builder.sources)
        place = Path(tempfile.gettempdir())
        with disk_errors(place, "build in"), tempfile.TemporaryDirectory(prefix="reconciler-build-", dir=place) as name:
            folder = Path(name).resolve()
            sdist = self._copy(package, folder)
            made = build_wheel(self.builder.uv, sdist, folder, python=self.python, index=index)
            pure = check_fit(made, package, self.task, machine=self.builder.machine)
            wheel = self._keep(made)
        key = self.keys(package)[0 if pure else 1]
        self.kept.keep(key, wheel)
        return self.keep(key, wheel, package)

    def _copy(self, package: Package, folder: Path) -> Path:
        """Give the source distribution its name; what is in the cache is hashed again before its code runs."""
        path = folder / package.file
        if path.parent != folder:
            raise BuildError(f"{package.file!a} is no name of a source distribution")
        hashed = sha256()
        with self.builder.store.open(package.sha256) as source, path.open("wb") as target:
            while chunk := source.read(_CHUNK):
                hashed.update(chunk)
                target.write(chunk)
        if hashed.hexdigest() != package.sha256:
            self.builder.store.forget(package.sha256)
            raise BuildError(f"{package.file} was damaged on this disk", hint="run again; it is fetched anew")
        return path

    def _keep(self, path: Path) -> BuiltWheel:
        hashed = sha256()
        for chunk in _chunks(path):
            hashed.update(chunk)
        size = path.stat().st_size
        self.builder.store.put(hashed.hexdigest(), size, _chunks(path), name=path.name)
        return self.kept.wheel(path.name, hashed.hexdigest(), size)


def _made_of(package: Package, wheel: BuiltWheel) -> Package:
    source = package.source if package.index is not None else f"{package.source}{ARCHIVE}{package.sha256}"
    return replace(package, file=wheel.file, size=wheel.size, sha256=wheel.sha256, source=source)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _aliases(package: Package) -> tuple[str, ...]:
    return () if package.index in (None, MACHINE_INDEX) else (str(package.index).partition(":")[2],)
