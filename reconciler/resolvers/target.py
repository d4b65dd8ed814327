"""What is solved for: a platform and a Python, in uv's words and in the lock's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.errors import ResolveError
from reconciler.lock.model import Base, Interpreter
from reconciler.lock.system import System
from reconciler.manifest.desired import Desired
from reconciler.ports import Resolution
from reconciler.values.platform import Platform

MACOS = "13.0"
HOST_GLIBC = (2, 28)
"""What a compute target is taken to have."""
_MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
_GLIBCS = ((2, 17), (2, 28), *((2, minor) for minor in range(31, 41)))
"""The versions of glibc that uv can be asked for."""
_VERSION = re.compile(r"([0-9]{1,2})\.([0-9]{1,3})(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A platform, the interpreter and the C library that wheels are chosen for.

    In an image ``base`` is what they are installed on, ``installed`` the packages that it brings and that stay (name to
    version), ``required`` what an environment has besides what its manifest asks for, ``replaceable`` the packages that
    it brings and that go where others of their name come. ``system`` are the Debian packages that the base is made of,
    ``notes`` what is worth saying about all of it.
    """

    platform: Platform
    interpreter: Interpreter
    glibc: tuple[int, int] = HOST_GLIBC
    base: Base | None = None
    installed: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    replaceable: Mapping[str, str] = field(default_factory=dict)
    system: System | None = None
    notes: tuple[str, ...] = ()

    @property
    def uv_platform(self) -> str:
        """How uv calls the platform."""
        if self.platform.os == "darwin":
            return "aarch64-apple-darwin"
        major, minor = max(known for known in _GLIBCS if known <= self.glibc)
        return f"{_MACHINES[str(self.platform)]}-manylinux_{major}_{minor}"

    @property
    def libc(self) -> str:
        """How the lock calls the C library."""
        return f"macos {MACOS}" if self.platform.os == "darwin" else f"glibc {self.glibc[0]}.{self.glibc[1]}"


def targets_of(resolution: Resolution) -> tuple[Target, ...]:
    """Give a target for each platform of the manifest; a version that can't be solved for is a ResolveError."""
    desired = resolution.desired
    python = desired.components["python"]
    assert isinstance(python, dict)  # noqa: S101  # the form is fixed in manifest.identity
    interpreter = interpreter_of(str(python["version"]), str(python["provider"]), desired)
    return tuple(Target(platform=platform, interpreter=interpreter) for platform in sorted(desired.manifest.platforms))


def interpreter_of(version: str, provider: str, desired: Desired) -> Interpreter:
    """Say what is solved for: ``3.11`` means 3.11.0, so that every 3.11 serves."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ResolveError(
            f"python.version {ascii(version)[:40]} can't be solved for",
            where=desired.manifest.locate("python.version"),
            hint="write it as 3.11 or 3.11.7",
        )
    return Interpreter(
        implementation="cpython",
        version=version,
        abi=f"cp{match[1]}{match[2]}",
        provider="host" if provider == "auto" else provider,
    )


def glibc_of(libc: str) -> tuple[int, int]:
    """Read how the lock calls the C library of an image (:attr:`Target.libc`)."""
    major, _, minor = libc.removeprefix("glibc ").partition(".")
    return int(major), int(minor)


OLDEST_GLIBC = _GLIBCS[0]
