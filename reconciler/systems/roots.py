"""Bases as images: their layers found, else made of packages, which are fetched where they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from reconciler.assembly.key import LAYER_LIBRARIES, LAYER_PART
from reconciler.lock.model import Package
from reconciler.lock.system import Archive, SystemPackage
from reconciler.oci.member import Packed
from reconciler.oci.tar import with_folders, write_pieces
from reconciler.ports import BaseImage, Executor, Ground, Layer, Layers, NoLayers, Tell, tell_nobody
from reconciler.store.layers import LayerStore
from reconciler.store.locks import locked
from reconciler.systems.configuration import Filled, configured
from reconciler.systems.images import image_of
from reconciler.systems.layers import CONFIGURATION, RootPlan, configuration_key, plan_root
from reconciler.systems.making import RootMaker
from reconciler.systems.unpacking import Debs
from reconciler.values.canonical import digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


class Bringing(Protocol):
    """Brings packages: :class:`reconciler.clients.debian.archives.Archives`."""

    def fetch(
        self, packages: Sequence[SystemPackage], *, archives: Sequence[Archive] = (), tell: Tell = tell_nobody
    ) -> None:
        """Bring the packages of a lock that are not there yet; one that is nowhere to be had is a BuildError."""


class Pythons(Protocol):
    """Makes layers of interpreters: :class:`reconciler.systems.standalone.Standalones`."""

    def layer(
        self, build: Package, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> Layer:
        """Give the layer of a build: from this machine, from a record, else made now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roots:
    """Makes bases. ``archives`` bring packages into ``debs``, ``executor`` unpacks them side by side.

    ``standalones`` make the layer of an interpreter that is no package.
    """

    layers: LayerStore
    archives: Bringing
    debs: Debs
    executor: Executor
    standalones: Pythons

    def open(
        self, ground: Ground, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> BaseImage:
        """Give a base as :meth:`reconciler.ports.Systems.open` does."""
        plans = plan_root(ground, platform)
        found = self._provide(ground, plans, platform, layers or NoLayers(), tell)
        filled = [Filled(layer=found[plan.key], packages=plan.packages) for plan in plans]
        key = configuration_key([plan.key for plan in plans], platform)
        top = self._find(key, layers or NoLayers()) or self._configure(key, filled, platform, tell)
        build = ground.build
        brought = [] if build is None else [self.standalones.layer(build, platform, layers=layers, tell=tell)]
        return image_of(ground.entry, platform, [*(one.layer for one in filled), *brought, top])

    def _provide(
        self, ground: Ground, plans: Sequence[RootPlan], platform: Platform, layers: Layers, tell: Tell
    ) -> dict[Digest, Layer]:
        """Give every layer of packages: from this machine, from a record, else made now.

        Whoever needs the same layer meanwhile waits for it instead of unpacking the same packages.
        """
        found = {plan.key: layer for plan in plans if (layer := self._find(plan.key, layers)) is not None}
        lacking = [plan for plan in plans if plan.key not in found]
        if not lacking:
            return found
        with ExitStack() as held:
            for key in sorted(str(plan.key) for plan in lacking):
                held.enter_context(locked(self.layers.path / f"{digest_of({'making': key}).hex}.lock"))
            found |= {plan.key: one.layer for plan in lacking if (one := self.layers.find(plan.key)) is not None}
            return found | self._make(ground, [plan for plan in lacking if plan.key not in found], platform, tell)

    def _make(self, ground: Ground, lacking: Sequence[RootPlan], platform: Platform, tell: Tell) -> dict[Digest, Layer]:
        if not lacking:
            return {}
        packages = [package for plan in lacking for package in plan.packages]
        size = sum(package.size for package in packages)
        what = f"{ground.system.distribution} {ground.system.suite} for {platform}"
        tell(f"{what}: {len(packages)} Debian package(s) of {size / 1e6:.1f} MB to lay out")
        self.archives.fetch(packages, archives=ground.system.archives, tell=tell)
        return RootMaker(layers=self.layers, debs=self.debs, executor=self.executor).make(lacking, platform, tell)

    def _find(self, key: Digest, layers: Layers) -> Layer | None:
        stored = self.layers.find(key)
        return layers.find(key) if stored is None else stored.layer

    def _configure(self, key: Digest, filled: Sequence[Filled], platform: Platform, tell: Tell) -> Layer:
        tell("configuring Debian packages", passing=True)

        said = {LAYER_PART: CONFIGURATION}

        def pieces() -> Iterator[bytes | Packed]:
            made = configured(filled, platform.architecture)
            said[LAYER_LIBRARIES] = made.libraries.to_text()
            yield from write_pieces(with_folders(made.members))

        return self.layers.make(key, pieces, annotations=said).layer
