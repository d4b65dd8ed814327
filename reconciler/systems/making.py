"""Layers of Debian packages, made side by side: unpacked in threads, laid out where the last of a layer is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.assembly.key import LAYER_PART
from reconciler.debian.root import Contents, lay, skeleton
from reconciler.lock.system import Part, SystemPackage
from reconciler.oci.member import Packed
from reconciler.oci.tar import with_folders, write_pieces
from reconciler.ports import Executor, Layer, Tell
from reconciler.store.layers import LayerStore
from reconciler.systems.layers import RootPlan
from reconciler.systems.unpacking import Debs, spool_in, unpack
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class RootMaker:
    """Makes layers of packages that are in ``debs``. ``executor`` unpacks them side by side."""

    layers: LayerStore
    debs: Debs
    executor: Executor

    def make(self, plans: Sequence[RootPlan], platform: Platform, tell: Tell) -> dict[Digest, Layer]:
        """Make these layers, and give them by their key.

        Two packages with one path are a BuildError, one that is hostile a CorruptError.
        """
        made: dict[Digest, Layer] = {}
        with spool_in(self.layers.path) as spool:
            pending = {plan.key: _Pending(plan=plan, left=len(plan.packages)) for plan in plans}
            items = [(plan, package) for plan in plans for package in plan.packages]
            # The largest first: none of them is begun when the others are done.
            items.sort(key=lambda item: item[1].size, reverse=True)

            def work(item: tuple[RootPlan, SystemPackage]) -> Layer | None:
                plan, package = item
                whole = pending[plan.key].add(unpack(self.debs, package, spool))
                return None if whole is None else self._layer(plan, whole, platform)

            for number, ((plan, _), layer) in enumerate(self.executor.map(work, items), 1):
                if layer is not None:
                    made[plan.key] = layer
                tell(f"{number} of {len(items)} Debian packages unpacked", passing=True)
        return made

    def _layer(self, plan: RootPlan, packages: Sequence[Contents], platform: Platform) -> Layer:
        def pieces() -> Iterator[bytes | Packed]:
            members = lay(packages)
            links = skeleton(members, platform.architecture, lowest=plan.part is Part.BASE)
            yield from write_pieces(with_folders((*members, *links)))

        return self.layers.make(plan.key, pieces, annotations={LAYER_PART: plan.part.value}).layer


@dataclass(kw_only=True)
class _Pending:
    """The packages of a layer that are unpacked already."""

    plan: RootPlan
    left: int
    found: list[Contents] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def add(self, contents: Contents) -> Sequence[Contents] | None:
        """Add one; whoever brings the last is given all of them."""
        with self._guard:
            self.found.append(contents)
            self.left -= 1
            return self.found if not self.left else None
