"""What is solved for: a platform and a Python, in uv's words and in the lock's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.errors import ResolveError
from reconciler.lock.model import Interpreter
from reconciler.manifest.desired import Desired
from reconciler.values.platform import Platform

_UV_PLATFORMS = {
    "linux/amd64": ("x86_64-manylinux_2_28", "glibc 2.28"),
    "linux/arm64": ("aarch64-manylinux_2_28", "glibc 2.28"),
    "darwin/arm64": ("aarch64-apple-darwin", "macos 13.0"),
}
MACOS = "13.0"
_VERSION = re.compile(r"([0-9]{1,2})\.([0-9]{1,3})(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A platform, the interpreter and the C library that wheels are chosen for."""

    platform: Platform
    interpreter: Interpreter

    @property
    def uv_platform(self) -> str:
        """How uv calls the platform."""
        return _UV_PLATFORMS[str(self.platform)][0]

    @property
    def libc(self) -> str:
        """How the lock calls the C library."""
        return _UV_PLATFORMS[str(self.platform)][1]


def targets_of(desired: Desired) -> tuple[Target, ...]:
    """Give a target for each platform of the manifest; a version that can't be solved for is a ResolveError."""
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
