"""What the tests of host environments share: an environment of one tiny package, and its parts changed at will."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.builders.host import HostBuilder
from reconciler.clients.uv import Uv
from reconciler.lock.model import Interpreter, Package, PlatformLock
from reconciler.manifest.desired import Desired, build_key
from reconciler.manifest.model import Checks, Docker, Manifest, Python
from reconciler.ports import Run, Task
from reconciler.store.hosts import Hosts
from reconciler.values.platform import Platform

HERE = Platform.from_uname(os.uname().sysname, os.uname().machine)
ELSEWHERE = Platform("darwin", "arm64") if HERE.os == "linux" else Platform("linux", "amd64")
SIX = Package(
    name="six",
    version="1.16.0",
    file="six-1.16.0-py2.py3-none-any.whl",
    size=11053,
    sha256="8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254",
)


def manifest(**fields: object) -> Manifest:
    """Declare a host environment."""
    plain: dict[str, object] = {
        "name": "tiny",
        "path": "environments/tiny.yaml",
        "platforms": (HERE,),
        "docker": Docker(enabled=False),
    }
    return Manifest(**{**plain, **fields})  # type: ignore[arg-type]  # what a test says


def lock(*packages: Package, version: str = "3.11", provider: str = "host", **fields: object) -> PlatformLock:
    """Lock these packages."""
    interpreter = Interpreter(implementation="cpython", version=version, abi="cp311", provider=provider)
    return PlatformLock(interpreter=interpreter, libc="glibc 2.28", packages=packages, **fields)  # type: ignore[arg-type]


def task(declared: Manifest | None = None, locked: PlatformLock | None = None, platform: Platform = HERE) -> Task:
    """Ask for an environment."""
    desired = Desired(manifest=declared or manifest(), components={"python": {"version": "3.11"}}, filled={})
    locked = locked or lock(SIX)
    key = build_key(desired.request, platform, locked.digest, ("host", 1))
    return Task(desired=desired, platform=platform, lock=locked, key=key)


def checked(*imports: str, command: tuple[str, ...] = (), **fields: object) -> Manifest:
    """Declare checks."""
    return manifest(checks=Checks(imports=imports, command=command), **fields)


def user_managed(path: str | None) -> Manifest:
    """Declare an interpreter that somebody else keeps."""
    return manifest(python=Python(user_managed_dependencies=True, interpreter_path=path))


def builder(root: Path) -> HostBuilder:
    """Build below this folder, with this machine's settings."""
    return HostBuilder(hosts=Hosts(root), uv=Uv(environ=dict(os.environ)))


def run(asked: Task, *command: str, folder: Path, **fields: object) -> Run:
    """Ask for a command in that environment."""
    return Run(
        name=asked.desired.name,
        key=asked.key,
        request=asked.desired.request,
        lock=asked.lock,
        command=command,
        folder=folder,
        **{"platform": asked.platform, **fields},  # type: ignore[arg-type]  # what a test says
    )
