"""Virtual environments, made by uv from a lock: the one way in which builder and runner make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.clients.hostuv import Uv, failure
from reconciler.clients.interpreter import find_interpreter
from reconciler.errors import BuildError
from reconciler.lock.model import PlatformLock
from reconciler.lock.requirements import is_built, to_requirements
from reconciler.store.hosts import Hosts
from reconciler.values.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualEnvironments:
    """The virtual environments of this machine: found by name and build key, or made."""

    hosts: Hosts
    uv: Uv

    @classmethod
    def at(cls, root: Path) -> VirtualEnvironments:
        """Keep them in this folder (``.reconciler/hosts``)."""
        return cls(hosts=Hosts(root), uv=Uv())

    def provide(
        self, name: str, key: Digest, lock: PlatformLock, *, check: Callable[[Path], None] | None = None
    ) -> tuple[Path, bool]:
        """Give the environment, and whether it was made now; ``check`` looks at it before it stands in its place.

        A BuildError says why it can't be made.
        """

        def fill(place: Path) -> None:
            self._fill(place, lock)
            if check is not None:
                check(place)

        return self.hosts.make(name, key, fill)

    def _fill(self, place: Path, lock: PlatformLock) -> None:
        interpreter = find_interpreter(self.uv, lock.interpreter.version)
        requirements = requirements_of(lock)
        self._run(
            [
                "venv",
                "--relocatable",
                "--no-python-downloads",
                "--no-project",
                f"--python={interpreter}",
                "--",
                str(place),
            ],
            "the virtual environment",
        )
        if not lock.packages:
            return
        path = place / "requirements.txt"
        path.write_bytes(requirements)
        self._run(
            [
                "pip",
                "install",
                f"--python={place / 'bin' / 'python'}",
                "--no-deps",
                "--require-hashes",
                "--no-python-downloads",
                *_wheels_only(lock),
                f"--requirements={path}",
            ],
            "the packages",
        )

    def _run(self, arguments: list[str], what: str) -> None:
        done = self.uv.run(arguments)
        if done.status:
            raise failure(what, done.stderr)


def requirements_of(lock: PlatformLock) -> bytes:
    """Write the lock's requirements file; a lock that can't be one is a BuildError."""
    try:
        return to_requirements(lock.packages)
    except ValueError as error:
        raise BuildError(
            f"the lock can't be installed: {error}",
            hint="write it again with `reconciler lock`",
        ) from error


def _wheels_only(lock: PlatformLock) -> list[str]:
    """Allow no code of a source distribution to run but that of those which the lock names as built."""
    built = [package.name for package in lock.packages if is_built(package)]
    if not built:
        return ["--only-binary=:all:"]
    return [f"--only-binary={package.name}" for package in lock.packages if package.name not in built]
