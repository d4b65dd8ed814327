"""Virtual environments, made by uv from a lock: the one way in which builder and runner make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.clients.installer import failure, index_variables, run_uv
from reconciler.clients.interpreter import find_interpreter
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError
from reconciler.lock.model import MACHINE_INDEX, PlatformLock
from reconciler.lock.requirements import is_built, to_requirements

REQUIREMENTS = "requirements.txt"


def make_virtualenv(uv: Uv, place: Path, lock: PlatformLock, *, sources: Mapping[str, str] | None = None) -> None:
    """Make a virtual environment in an empty folder, which may be renamed later, and install what the lock names.

    Every file is checked against its hash, and no code of a source distribution runs but that of those which the lock
    names as built. Modules are not compiled: the interpreter does that when one is first imported. ``sources`` are the
    addresses that reconciler.yaml gives to aliases. What can't be done is a BuildError, an index without an answer an
    UnavailableError, a full disk a StoreError.
    """
    requirements = requirements_of(lock)
    interpreter = find_interpreter(uv, lock.interpreter.version)
    _run(
        uv,
        ["venv", "--relocatable", "--no-python-downloads", "--no-project", f"--python={interpreter}", str(place)],
        "the virtual environment",
        {},
    )
    if not lock.packages:
        return
    file = place / REQUIREMENTS
    file.write_bytes(requirements)
    options = ["--no-deps", "--require-hashes", "--no-python-downloads", *_wheels_only(lock)]
    _run(
        uv,
        ["pip", "install", f"--python={place / 'bin' / 'python'}", *options, f"--requirements={file}"],
        "the environment from its lock",
        index_variables(uv, _aliases(lock), sources or {}),
    )


def requirements_of(lock: PlatformLock) -> bytes:
    """Write the lock's requirements file; a lock that can't be one is a BuildError."""
    try:
        return to_requirements(lock.packages)
    except ValueError as error:
        raise BuildError(
            f"the lock can't be installed: {error}",
            hint="write it again with `reconciler lock`",
        ) from error


def _run(uv: Uv, arguments: list[str], what: str, variables: Mapping[str, str]) -> None:
    done = run_uv(uv, arguments, variables=variables)
    if done.status:
        raise failure(what, done)


def _aliases(lock: PlatformLock) -> set[str]:
    indexes = {package.index for package in lock.packages} - {None, MACHINE_INDEX}
    return {str(index).partition(":")[2] for index in indexes}


def _wheels_only(lock: PlatformLock) -> list[str]:
    """Allow what the lock names as built, and nothing that building it would bring."""
    built = sorted(package.name for package in lock.packages if is_built(package))
    return ["--only-binary=:all:", *(f"--no-binary={name}" for name in built)]
