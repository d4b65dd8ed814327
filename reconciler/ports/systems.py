"""Bases that are made of a distribution's packages instead of being pulled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from reconciler.lock.model import Package, PlatformLock
from reconciler.lock.system import System
from reconciler.manifest.desired import Desired
from reconciler.ports.making import BaseImage, Layers
from reconciler.ports.working import Tell, tell_nobody
from reconciler.values.canonical import digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemQuestion:
    """What is asked for: the packages of one platform of one environment.

    ``entry`` is the catalog's (``debian:bookworm-slim``). ``preference`` is the lock whose packages stay where they
    can. ``upgrade`` names packages that may move; none means that nothing has to stay. With ``upgrade_base`` every
    Debian package and the interpreter may move. ``tell`` is told how far the work is.
    """

    desired: Desired
    platform: Platform
    entry: str
    preference: PlatformLock | None = None
    upgrade: frozenset[str] | None = frozenset()
    upgrade_base: bool = False
    tell: Tell = tell_nobody


@dataclass(frozen=True, kw_only=True, slots=True)
class Standalone:
    """A standalone Python: the file that it is unpacked from, and the path of its interpreter, relative to the root.

    ``notes`` are worth saying, one line each.
    """

    build: Package
    interpreter: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What a base is made of: packages, and the file of a standalone Python where the packages bring none.

    ``interpreter`` is the path of the interpreter, relative to the root. ``notes`` are worth saying, one line each.
    """

    entry: str
    system: System
    interpreter: str
    build: Package | None = None
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> Digest:
        """What goes into it, as a lock pins it (``Base.digest``)."""
        build = None if self.build is None else self.build.to_json()
        return digest_of({"packages": str(self.system.digest), "variant": self.system.variant, "build": build})


def ground_of(lock: PlatformLock) -> Ground | None:
    """Give what the base of a platform is made of, as its lock says; none where it is an image."""
    if lock.system is None or lock.base is None:
        return None
    return Ground(entry=lock.base.image, system=lock.system, interpreter=lock.base.python, build=lock.interpreter.build)


class Systems(Protocol):
    """Solves for a distribution's packages, and makes bases of them."""

    def handles(self, entry: str) -> bool:
        """Tell whether a catalog's entry names a distribution, and no image."""

    def resolve(self, question: SystemQuestion) -> Ground:
        """Choose the packages.

        A ResolveError says what can't be had, where and why; an archive that lies, is out of date or does not answer is
        an error of its kind.
        """

    def newer(self, system: System, platform: Platform) -> tuple[str, ...]:
        """Name the packages that the archives have in a newer version than a lock, sorted.

        Archives that can't be read are an error of their kind.
        """

    def open(
        self, ground: Ground, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> BaseImage:
        """Give the base, its layers made where nobody made them; ``layers`` are those of records, by their key.

        Nothing but what lacks is fetched. A package that is nowhere to be had is a BuildError.
        """

    def choose(
        self, version: str, platform: Platform, *, preference: Package | None = None, tell: Tell = tell_nobody
    ) -> Standalone:
        """Choose a standalone Python of a version, the one that is preferred where it serves.

        A ResolveError says what can't be had; a mirror that does not answer is an error of its kind.
        """

    def lay(
        self,
        base: BaseImage,
        build: Package,
        platform: Platform,
        *,
        layers: Layers | None = None,
        tell: Tell = tell_nobody,
    ) -> BaseImage:
        """Lay a standalone Python over an image, as one more layer of it; what can't be had is an error as above."""
