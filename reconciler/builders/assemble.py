"""The builder of container images without a daemon: layers computed from a base and a lock, under one manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from reconciler.assembly.account import Account, account_of
from reconciler.assembly.config import configure
from reconciler.assembly.distributions import wanted
from reconciler.assembly.files import files_of
from reconciler.assembly.key import LAYER_CLAIMS, LAYER_LIBRARIES
from reconciler.assembly.layers import LayerPlan, Role, direct_url_of, inherits, plan_layers
from reconciler.assembly.place import PREFIX, relocate
from reconciler.assembly.replaced import replaced_names, whiteouts_of
from reconciler.assembly.skeleton import skeleton_of
from reconciler.assembly.venv import environment_of, minor_of
from reconciler.builders.bases import open_base
from reconciler.builders.below import compare_below, suspected_below
from reconciler.builders.bytecode import BytecodeMaker
from reconciler.builders.collisions import Groups, compare, suspected
from reconciler.builders.libraries import Assembled, LibraryCheck, describe
from reconciler.builders.sources import Prepared, WheelLostError, prepare_nothing
from reconciler.builders.unassembled import refuse
from reconciler.clients.roots import read_root
from reconciler.lock.model import Package
from reconciler.lock.requirements import is_built
from reconciler.manifest.desired import Desired
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Image, Stream
from reconciler.oci.image import to_manifest
from reconciler.oci.manifest import parse_image
from reconciler.oci.member import Kind, Member, Packed
from reconciler.oci.tar import with_folders, write_pieces
from reconciler.ports import BaseImage, Bases, Executor, Layer, Systems, Task
from reconciler.store.layers import LayerStore
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest
from reconciler.wheel.archive import open_wheel
from reconciler.wheel.claims import claims_of
from reconciler.wheel.collision import merge
from reconciler.wheel.installed import installed

SAYING = (LAYER_CLAIMS, LAYER_LIBRARIES)
"""What a layer of packages has to say, so that nobody has to look into it."""
Fetch = Callable[[Sequence[Package]], None]


class PrepareWheels(Protocol):
    """Gives a task whose lock names wheels alone."""

    def __call__(self, task: Task, ahead: Callable[[], None], *, anew: bool) -> Prepared:
        """Make those that lack, or all of them anew, and meanwhile do what is needed anyway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AssembleBuilder:
    """Turns a base and a lock into an image by computing layers; what has been computed once is found by its key.

    ``fetch`` brings wheels into ``wheels``, ``prepare_wheels`` makes those that a lock has as source distributions.
    ``executor`` makes layers side by side, ``bytecode`` compiles for them, ``libraries`` says whether it would run.
    ``read`` gives a file of the repository by its path.
    """

    bases: Bases
    systems: Systems
    layers: LayerStore
    wheels: WheelStore
    fetch: Fetch
    executor: Executor
    read: Callable[[str], bytes]
    bytecode: BytecodeMaker
    prepare_wheels: PrepareWheels = prepare_nothing
    libraries: LibraryCheck = field(default_factory=LibraryCheck)
    name: str = field(default="assemble", init=False)
    recipe: int = field(default=1, init=False)

    def refusal(self, desired: Desired) -> str | None:
        """Say in one line why this environment can't be assembled, or nothing."""
        refusal = refuse(desired)
        return None if refusal is None else refusal.message

    def prepare(self, desired: Desired) -> None:
        """Nothing has to be on this machine."""

    def build(self, task: Task) -> Image:
        """Compute the image."""
        ahead = partial(self._fetch_ahead, task)
        try:
            return self._build(self.prepare_wheels(task, ahead, anew=False))
        except WheelLostError:
            return self._build(self.prepare_wheels(task, ahead, anew=True))

    def _build(self, prepared: Prepared) -> Image:
        task, base = prepared.task, self._open(prepared.task)
        config, manifest = parse_config(base.config), parse_image(base.manifest)
        account, plans = _plan(task, base)
        made = self._provide(prepared, account, plans)
        self._compare(prepared, suspected(plans, made))
        if task.below is not None and inherits(task.desired):
            self._compare_below(prepared, base, suspected_below(plans, made, manifest.layers))
        layers = [made[plan.key] for plan in plans]
        image = configure(config, task.desired.manifest, task.platform, account, [layer.diff_id for layer in layers])
        written = image.to_content()
        described = [(plan, layer.stream.descriptor) for plan, layer in zip(plans, layers, strict=True)]
        self._check(prepared, Assembled(task=task, base=base, variables=image.environment, layers=described))
        streams = (*_layers_of(base), *(layer.stream for layer in layers))
        return Image(
            manifest=to_manifest(written, [stream.descriptor for stream in streams]), blobs=(written,), streams=streams
        )

    def _open(self, task: Task) -> BaseImage:
        return open_base(self.bases, self.systems, task)

    def _provide(self, prepared: Prepared, account: Account, plans: Sequence[LayerPlan]) -> Mapping[Digest, Layer]:
        """Give every layer: from this machine, from a record, else made now."""
        task = prepared.task
        found = {plan.key: self._find(task, plan) for plan in plans}
        lacking = [plan for plan in plans if found[plan.key] is None]
        packages = sorted({package for plan in lacking for package in plan.packages})
        task.tell(_needed(packages, len(lacking), len(plans)))
        self.fetch(prepared.bring(packages, self.wheels))
        # The largest first: none of them is begun when the others are done.
        lacking.sort(key=lambda plan: sum(package.size for package in plan.packages), reverse=True)
        there: dict[Digest, Layer] = {}
        for plan, layer in self.executor.map(lambda plan: self._make(task, account, plan), lacking):
            there[plan.key] = layer
            task.tell(f"{len(there)} of {len(lacking)} layers made", passing=True)
        return {**{key: layer for key, layer in found.items() if layer is not None}, **there}

    def _compare(self, prepared: Prepared, pairs: Sequence[tuple[LayerPlan, LayerPlan]]) -> None:
        """Look into layers that may collide, which needs their wheels wherever the layers are from."""
        if not pairs:
            return
        packages = {package for pair in pairs for plan in pair for package in plan.packages}
        self.fetch(prepared.bring(sorted(packages), self.wheels))
        with ExitStack() as opened:
            compare(pairs, lambda plan: self._groups(prepared.task, plan, opened))

    def _compare_below(self, prepared: Prepared, base: BaseImage, plans: Sequence[LayerPlan]) -> None:
        """Look into layers that may have another content for what the environment below has."""
        assert prepared.task.lock.base is not None  # noqa: S101  # checked when it was opened
        for plan in plans:
            self.fetch(prepared.bring(sorted(plan.packages), self.wheels))
            with ExitStack() as opened:
                compare_below(self._groups(prepared.task, plan, opened), base, prepared.task.lock.base.links)

    def _check(self, prepared: Prepared, made: Assembled) -> None:
        """Look up the libraries that packages need."""
        with ExitStack() as opened:

            def look(plan: LayerPlan) -> Groups:
                self.fetch(prepared.bring(sorted(plan.packages), self.wheels))
                return self._groups(prepared.task, plan, opened)

            self.libraries.check(made, look)

    def _fetch_ahead(self, task: Task) -> None:
        """Bring the wheels of layers that lack whichever wheels are built: a package that is built changes its own."""
        wheels = tuple(package for package in task.lock.packages if not is_built(package))
        rest = replace(task, lock=replace(task.lock, packages=wheels))
        _, plans = _plan(rest, self._open(rest))
        lacking = [plan for plan in plans if self._find(task, plan) is None]
        self.fetch(sorted({package for plan in lacking for package in plan.packages}))

    def _find(self, task: Task, plan: LayerPlan) -> Layer | None:
        """Give a layer that is there; one that does not say what is in it serves nobody."""
        stored = self.layers.find(plan.key, saying=_saying(plan))
        if stored is not None:
            return stored.layer
        layer = task.layers.find(plan.key)
        if layer is None or layer.stream.descriptor.annotations.keys() >= {*_saying(plan)}:
            return layer
        return None

    def _make(self, task: Task, account: Account, plan: LayerPlan) -> Layer:
        assert task.lock.base is not None  # noqa: S101  # as above
        links = task.lock.base.links
        said: dict[str, str] = {}

        def chunks() -> Iterator[bytes | Packed]:
            with ExitStack() as opened:
                members = tuple(self._members(task, account, plan, opened))
                if plan.role is Role.PACKAGES:
                    said[LAYER_CLAIMS] = claims_of(members, PREFIX)
                if plan.role in (Role.PACKAGES, Role.FILES):
                    said[LAYER_LIBRARIES] = describe(members, task.platform.architecture)
                yield from write_pieces(with_folders(relocate(members, links)))

        return self.layers.make(plan.key, chunks, annotations=said, saying=_saying(plan)).layer

    def _members(self, task: Task, account: Account, plan: LayerPlan, opened: ExitStack) -> Iterator[Member]:
        if plan.role is Role.REPLACED:
            return _replaced(task, self._open(task))
        if plan.role is Role.ENVIRONMENT:
            return skeleton_of(task.desired, task.lock, account)
        if plan.role is Role.PACKAGES:
            return self._packages(task, plan, opened)
        if plan.role is Role.BYTECODE:
            return self.bytecode.members(task, self._packages(task, plan, opened), opened)
        return files_of(task.desired, account, self.read)

    def _packages(self, task: Task, plan: LayerPlan, opened: ExitStack) -> Iterator[Member]:
        own = environment_of(task.lock, inherits=False)
        taken = {member.path: "the environment itself" for member in own if member.kind is not Kind.FOLDER}
        return iter(merge(self._groups(task, plan, opened), taken))

    def _groups(self, task: Task, plan: LayerPlan, opened: ExitStack) -> Groups:
        """Give the files that each wheel of a layer leaves."""
        python = minor_of(task.lock.interpreter.version)
        groups = []
        for package in plan.packages:
            file = opened.enter_context(self.wheels.open(package.sha256))
            wheel = open_wheel(file, package.file)
            groups.append(
                (package.file, installed(wheel, python=python, prefix=PREFIX, direct_url=direct_url_of(package)))
            )
        return groups


def _layers_of(base: BaseImage) -> Sequence[Stream]:
    """Give the base's own layers, read where they are."""
    return base.streams or [
        Stream(descriptor=layer, read=partial(base.registry.fetch_blob, base.repository, layer), mount_from=base.mount)
        for layer in parse_image(base.manifest).layers
    ]


def _saying(plan: LayerPlan) -> tuple[str, ...]:
    return SAYING if plan.role is Role.PACKAGES else ()


def _needed(packages: Sequence[Package], lacking: int, layers: int) -> str:
    """Say how much is to be done."""
    if not lacking:
        return f"all {layers} layers are there"
    size = sum(package.size for package in packages)
    return f"{lacking} of {layers} layers to make, from {len(packages)} package(s) of {size / 1e6:.1f} MB"


def _replaced(task: Task, base: BaseImage) -> Iterator[Member]:
    assert task.lock.base is not None  # noqa: S101  # checked when it was opened
    root = read_root(base, wanted)
    return whiteouts_of(root, task.lock.base, task.lock.interpreter.version, replaced_names(task.lock))


def _plan(task: Task, base: BaseImage) -> tuple[Account, Sequence[LayerPlan]]:
    assert task.lock.base is not None  # noqa: S101  # checked when it was opened
    inherited = parse_config(base.config).user if task.below is not None else ""
    account = account_of(task.lock.base, task.desired.manifest.docker.user, inherited)
    return account, plan_layers(task.desired, task.lock, account, len(parse_image(base.manifest).layers))
