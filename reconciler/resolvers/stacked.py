"""What is solved for on another environment: interpreter, C library and packages, all from its lock alone."""

from __future__ import annotations

from dataclasses import replace

from reconciler.assembly.account import accounts_over
from reconciler.errors import ResolveError
from reconciler.lock.model import ENVIRONMENT, Base, Lock, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import DEFAULT_PYTHON
from reconciler.resolvers.target import Target, glibc_of
from reconciler.values.platform import Platform

FIELD = "docker.base_environment"


def targets_on(desired: Desired, lower: Lock, required: tuple[str, ...]) -> tuple[Target, ...]:
    """Give a target for each platform; what doesn't fit the manifest is a ResolveError with its line.

    ``required`` is what every image has; with ``base_packages: keep`` it is there already.
    """
    return tuple(_target(desired, lower, platform, required) for platform in sorted(desired.manifest.platforms))


def _target(desired: Desired, lower: Lock, platform: Platform, required: tuple[str, ...]) -> Target:
    assert desired.below is not None  # noqa: S101  # whoever has a lock below has it of somebody
    part, name = lower.platforms.get(platform), desired.below.name
    if part is None or part.base is None:
        raise ResolveError(f"there is no image of {name} for {platform}", where=desired.manifest.locate(FIELD))
    _check_version(desired, part)
    passwd, group = accounts_over(part.base, desired.below.manifest.docker)
    kept = {**part.observed, **{package.name: package.version for package in part.packages}}
    installed = dict(sorted(kept.items())) if desired.manifest.python.base_packages == "keep" else {}
    return Target(
        platform=platform,
        interpreter=part.interpreter,
        glibc=glibc_of(part.libc),
        base=_base(part.base, name, part, passwd, group),
        installed=installed,
        required=tuple(package for package in required if package not in installed),
    )


def _base(base: Base, name: str, part: PlatformLock, passwd: str, group: str) -> Base:
    return replace(base, image=f"{ENVIRONMENT}{name}", digest=str(part.digest), passwd=passwd, group=group)


def _check_version(desired: Desired, part: PlatformLock) -> None:
    """Hold the interpreter below to the version that the manifest writes; the default asks for none."""
    python, found = desired.manifest.python, part.interpreter.version
    written = "python.version" in desired.manifest.lines or python.version != DEFAULT_PYTHON
    if written and not f"{found}.".startswith(f"{python.version}."):
        raise ResolveError(
            f"{desired.below.name if desired.below else ''} has Python {found}, and the manifest says {python.version}",
            where=desired.manifest.locate("python.version"),
            hint="remove python.version: the environment below brings the interpreter",
        )
