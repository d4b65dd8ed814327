"""Whether a wheel that was built is the one that was asked for, and runs where it is to go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from reconciler.assembly.venv import minor_of
from reconciler.errors import BuildError, CorruptError
from reconciler.lock.model import Package
from reconciler.ports import Task
from reconciler.values.pep import Wheel, normalise, parse_version
from reconciler.values.platform import Platform
from reconciler.wheel.archive import open_wheel
from reconciler.wheel.native import Native, native_of

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = re.compile(r"glibc ([0-9]+)\.([0-9]+)")
_OLDEST_MINOR = 5


def is_of(file: str, package: Package, task: Task) -> bool:
    """Tell by its name whether a wheel is of this package, and for the Python and the platform of a task."""
    try:
        wheel = Wheel.parse(file)
        same = wheel.name == normalise(package.name) and parse_version(wheel.version) == parse_version(package.version)
    except ValueError:
        return False
    return same and wheel.runs_on(minor_of(task.lock.interpreter.version), tuple(_tags(task)))


def check_fit(path: Path, package: Package, task: Task, *, machine: Platform) -> bool:
    """Read a wheel that was built on this machine, and tell whether it is pure.

    What is another package's, broken, or does not run where the task's lock says is a BuildError with the package.
    """
    what = f"{package.name} {package.version}"
    native = _read(path, package)
    pure = Wheel.parse(path.name).is_for_any_platform and not native.architectures
    if not pure:
        _check_machine(what, native, task, machine)
        _check_libc(what, native, task)
    if not is_of(path.name, package, task):
        python = minor_of(task.lock.interpreter.version)
        raise BuildError(f"{what} was built as {path.name}, which Python {python} on {task.platform} does not take")
    return pure


def _read(path: Path, package: Package) -> Native:
    built = BuildError(
        f"{package.file} was built, and what came of it is not {package.name} {package.version}: {path.name}",
        hint="the source distribution lies about itself; name another release",
    )
    try:
        with path.open("rb") as stream:
            wheel = open_wheel(stream, path.name)
            about = wheel.metadata
            if normalise(about.name) != package.name or parse_version(about.version) != parse_version(package.version):
                raise built
            Wheel.parse(path.name)
            return native_of(wheel)
    except CorruptError as error:
        raise BuildError(f"{package.file} was built, and the wheel is broken: {error.message}") from error
    except ValueError as error:
        raise built from error


def _check_machine(what: str, native: Native, task: Task, machine: Platform) -> None:
    foreign = sorted(native.architectures - {task.platform.architecture})
    if task.platform == machine and (not foreign or task.platform.architecture in native.architectures):
        return
    reason = f"this machine is {machine}" if task.platform != machine else f"it was compiled for {', '.join(foreign)}"
    raise not_here(what, task, reason)


def not_here(what: str, task: Task, reason: str) -> BuildError:
    """Say that a package's code can't be compiled for a task's platform."""
    return BuildError(
        f"{what} has compiled code, and can't be built for {task.platform} here: {reason}",
        hint=f"run apply on {task.platform}, name a release that has a wheel for it, or use the `docker` builder, "
        "which builds inside the image",
    )


def _check_libc(what: str, native: Native, task: Task) -> None:
    there = _GLIBC.fullmatch(task.lock.libc)
    has = (int(there[1]), int(there[2])) if there is not None else (0, 0)
    needs = native.glibc or (0, 0)
    if native.musl or needs > has:
        needed = "musl" if native.musl else f"glibc {needs[0]}.{needs[1]}"
        raise BuildError(
            f"{what} has compiled code that needs {needed} when it is built here, and the image has {task.lock.libc}",
            hint="build it on a machine with an older C library, take a newer base image, or use the `docker` builder, "
            "which builds inside the image",
        )


def _tags(task: Task) -> Iterator[str]:
    """Give the platforms' tags that the task's image takes (PEP 425, 513, 571, 599, 600)."""
    machine = _MACHINES.get(task.platform.architecture, task.platform.architecture)
    yield f"linux_{machine}"
    there = _GLIBC.fullmatch(task.lock.libc)
    for minor in range(_OLDEST_MINOR, int(there[2]) + 1 if there is not None else 0):
        yield f"manylinux_2_{minor}_{machine}"
    yield from (f"manylinux{year}_{machine}" for year in ("2014", "2010", "1"))
