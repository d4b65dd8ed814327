"""What a request resolved to, for each platform, as inputs and never as our own outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.lock.system import System
from reconciler.values.canonical import Json, digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

FORMAT_VERSION = 1
ENVIRONMENT = "environment:"
"""What the base of an environment that builds on another one begins with; the other's name follows."""
MACHINE_INDEX = "index:default"
"""The source of what came from the indexes that the machine itself is set up with."""


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Package:
    """One file that is installed. ``size`` is in bytes.

    ``source`` is ``index:ALIAS``, ``channel:ALIAS``, ``url:ADDRESS`` (without credentials), ``git:ADDRESS@COMMIT``,
    ``path:RELATIVE``, ``built:FILE@sha256:…`` (a source distribution that was allowed, and its digest; with
    ``@index:ALIAS`` behind it where it is not from the machine's own indexes), or ``python:RELEASE`` (a standalone
    Python of that release of its builds).
    """

    name: str
    version: str
    file: str
    size: int
    sha256: str
    source: str = MACHINE_INDEX

    @property
    def index(self) -> str | None:
        """The index that the file is from (``index:ALIAS``); none where it is from none."""
        if self.source.startswith("built:"):
            _, separator, alias = self.source.partition("@index:")
            return f"index:{alias}" if separator else MACHINE_INDEX
        return self.source if self.source.startswith("index:") else None

    def to_json(self) -> dict[str, Json]:
        """Write the package as the lock and its schema spell it."""
        return {
            "name": self.name,
            "version": self.version,
            "file": self.file,
            "size": self.size,
            "sha256": self.sha256,
            "source": self.source,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """The interpreter that was solved for.

    ``version`` is as exact as the provider can pin it: ``3.11`` for an interpreter that the compute target brings
    (solved as 3.11.0, so that every 3.11 serves), ``3.11.7`` where the manifest or the provider names one.
    ``abi`` is the CPython ABI tag (``cp311``). ``build`` is the file that a standalone one is unpacked from.
    """

    implementation: str
    version: str
    abi: str
    provider: str
    build: Package | None = None

    def to_json(self) -> dict[str, Json]:
        """Write the interpreter as the lock and its schema spell it."""
        value: dict[str, Json] = {
            "implementation": self.implementation,
            "version": self.version,
            "abi": self.abi,
            "provider": self.provider,
        }
        return value if self.build is None else {**value, "build": self.build.to_json()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """The base image that was solved on: all that assembling on it has to know without reading a layer.

    ``image`` is the reference as declared, ``digest`` the manifest's of the platform. Where another environment is the
    base they are ``environment:NAME`` and the digest of its lock's part for the platform; where it is made of Debian
    packages, the catalog's entry and the digest of what goes into it: inputs, known before it is built. ``python`` is
    the path of the interpreter. ``links`` are symbolic links that lead to folders, path to resolved path, relative to
    the root: what is written through one goes where it leads. ``passwd`` and ``group`` are its accounts, as text.
    """

    image: str
    digest: str
    python: str
    links: Mapping[str, str] = field(default_factory=dict)
    passwd: str = ""
    group: str = ""

    def to_json(self) -> dict[str, Json]:
        """Write the base as the lock and its schema spell it."""
        return {
            "image": self.image,
            "digest": self.digest,
            "python": self.python,
            "links": dict(self.links),
            "passwd": self.passwd,
            "group": self.group,
        }


@dataclass(frozen=True, kw_only=True)
class PlatformLock:
    """The inputs of one platform.

    ``libc`` is the C library that wheels were chosen for (``glibc 2.28``, or ``macos 13.0``). ``observed`` are the
    packages of a user-managed interpreter, or those that a base brings, name to version, as found and never healed.
    ``base`` is the base image of a container; what is made on the compute target has none. ``system`` are the Debian
    packages that the base is made of, none where it is an image that somebody else made, or another environment.
    """

    interpreter: Interpreter
    libc: str
    packages: tuple[Package, ...] = ()
    observed: Mapping[str, str] = field(default_factory=dict)
    base: Base | None = None
    system: System | None = None

    def to_json(self) -> dict[str, Json]:
        """Write the platform as the lock and its schema spell it; packages sorted by name, version and file."""
        value: dict[str, Json] = {
            "python": self.interpreter.to_json(),
            "libc": self.libc,
            "packages": [package.to_json() for package in sorted(self.packages)],
            "observed": dict(self.observed),
        }
        value |= {} if self.base is None else {"base": self.base.to_json()}
        return value if self.system is None else {**value, "system": self.system.to_json()}

    @cached_property
    def digest(self) -> Digest:
        """The platform's part of the lock, hashed in canonical form."""
        return digest_of(self.to_json())


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The inputs of every platform.

    ``inputs`` is the digest of what was asked of the solver (``Desired.inputs``); it says whether a lock is
    up to date, and is no part of what it resolved to.
    """

    inputs: Digest
    platforms: Mapping[Platform, PlatformLock]

    def to_json(self) -> dict[str, Json]:
        """Write what the lock's identity covers: the platforms."""
        return {str(platform): self.platforms[platform].to_json() for platform in sorted(self.platforms)}

    @cached_property
    def digest(self) -> Digest:
        """The identity of what was resolved: the platforms, in canonical form."""
        return digest_of(self.to_json())

    def stands_on(self, name: str, lower: Lock) -> bool:
        """Tell whether every platform is pinned to what another environment's lock says for it."""
        return all(
            part.base is not None
            and part.base.image == f"{ENVIRONMENT}{name}"
            and platform in lower.platforms
            and part.base.digest == str(lower.platforms[platform].digest)
            for platform, part in self.platforms.items()
        )
