"""Bases made of packages: which packages, and the image that they make."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.debian.suites import parse_entry
from reconciler.lock.model import Package
from reconciler.lock.system import System
from reconciler.ports import BaseImage, Ground, Layers, Standalone, SystemQuestion, Tell, tell_nobody
from reconciler.systems.images import image_over
from reconciler.systems.resolve import Solver
from reconciler.systems.roots import Roots
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageSystems:
    """Implements :class:`reconciler.ports.Systems`."""

    solver: Solver
    roots: Roots

    def handles(self, entry: str) -> bool:
        """Tell whether a catalog's entry names a distribution, and no image."""
        try:
            return parse_entry(entry) is not None
        except ValueError:
            return True

    def resolve(self, question: SystemQuestion) -> Ground:
        """Choose the packages."""
        return self.solver.resolve(question)

    def newer(self, system: System, platform: Platform) -> tuple[str, ...]:
        """Name the packages that the archives have newer."""
        return self.solver.newer(system, platform)

    def open(
        self, ground: Ground, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> BaseImage:
        """Give the base, its layers found or made."""
        return self.roots.open(ground, platform, layers=layers, tell=tell)

    def choose(
        self, version: str, platform: Platform, *, preference: Package | None = None, tell: Tell = tell_nobody
    ) -> Standalone:
        """Choose a standalone Python."""
        return self.solver.standalones.choose(version, platform, preference=preference, tell=tell)

    def lay(
        self,
        base: BaseImage,
        build: Package,
        platform: Platform,
        *,
        layers: Layers | None = None,
        tell: Tell = tell_nobody,
    ) -> BaseImage:
        """Lay a standalone Python over an image."""
        return image_over(base, self.solver.standalones.layer(build, platform, layers=layers, tell=tell))
