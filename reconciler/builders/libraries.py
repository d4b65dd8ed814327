"""Whether an image would run: the shared libraries that its packages need, looked up before anybody starts it.

What layers of packages need and offer stands on their descriptors, and what a base has is kept by its layers' digests,
so that nothing is fetched where nothing is missing. Where something is, the wheels of its layer are looked into, to say
whose it is and whether the package does without.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.assembly.key import LAYER_KEY, LAYER_LIBRARIES, LAYER_PART
from reconciler.assembly.layers import LayerPlan, Role
from reconciler.assembly.libraries import Libraries, Shelf, lacking, libraries_of, missing, parse_libraries, shelf_of
from reconciler.assembly.necessity import modules_of, weigh
from reconciler.assembly.place import PREFIX
from reconciler.assembly.venv import site_packages
from reconciler.builders.collisions import Groups
from reconciler.clients.roots import read_root
from reconciler.debian.ldcache import TRIPLETS, wanted
from reconciler.errors import BuildError, CorruptError, ReconcilerError
from reconciler.lock.system import System
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.elf import Elf, read_elf
from reconciler.oci.manifest import parse_image
from reconciler.oci.member import Member
from reconciler.oci.rootfs import is_linked
from reconciler.ports import BaseImage, Task
from reconciler.store.cache import Cache
from reconciler.values.canonical import Json, digest_of
from reconciler.values.platform import Platform

RECIPE = 1
"""How a base's libraries are read, counted; part of the key that they are kept by."""
LIBRARY_PATH = "LD_LIBRARY_PATH"
_SHOWN = 4
_MAX_SOURCE = 4 << 20


class Contents(Protocol):
    """Knows which Debian packages have a file (``clients.debian.archives``)."""

    def contents(
        self, distribution: str, suite: str, architecture: str, paths: Collection[str]
    ) -> Mapping[str, tuple[str, ...]]:
        """Give the packages of each file whose path ends so."""


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Lack:
    """A library that is nowhere, the wheel that needs it, and one of its files that does."""

    wheel: str
    library: str
    module: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Assembled:
    """An image that is made: its base, its layers over that, and the variables of its containers."""

    task: Task
    base: BaseImage
    variables: Mapping[str, str]
    layers: Sequence[tuple[LayerPlan, Descriptor]]

    @property
    def python(self) -> str:
        """The path of the interpreter, relative to the root."""
        return "" if self.task.lock.base is None else self.task.lock.base.python

    @property
    def links(self) -> Mapping[str, str]:
        """Links of the base that lead to folders."""
        return {} if self.task.lock.base is None else self.task.lock.base.links


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryCheck:
    """Looks libraries up. ``cache`` keeps what bases have, ``archives`` opens those that know whose a library is."""

    cache: Cache | None = None
    archives: Callable[[], Contents] | None = None

    def check(self, made: Assembled, look: Callable[[LayerPlan], Groups]) -> None:
        """Look up what the layers of packages need; ``look`` opens a layer's wheels, where something is missing.

        What a package does not do without and nobody has is a BuildError with the package that has it; what only some
        of its modules need is told.
        """
        packages = [(plan, libraries_in(layer)) for plan, layer in made.layers if plan.role is Role.PACKAGES]
        rest = _rest(made)
        every = (*(own for _, own in packages), rest)
        if not lacking(every):
            return
        absent = missing(every, self._shelf(made), made.links, made.variables.get(LIBRARY_PATH, ""))
        needed = [
            Lack(wheel=made.base.reference, library=need.library, module=need.module)
            for need in rest.needs
            if need.library in absent[-1]
        ]
        for (plan, _), names in zip(packages, absent, strict=False):
            if names:
                weighed = [weigh_wheel(file, members, names, made.task) for file, members in look(plan)]
                needed += [lack for one, _ in weighed for lack in one]
                _tell([lack for _, one in weighed for lack in one], made.task)
        if needed:
            raise self._error(sorted(needed), made.task)

    def _shelf(self, made: Assembled) -> Shelf:
        """Give the libraries of a base, read from its layers once."""
        layers = [layer for layer in parse_image(made.base.manifest).layers if _is_read(layer)]
        architecture = made.task.platform.architecture
        inputs: dict[str, Json] = {
            "recipe": RECIPE,
            "layers": [str(layer.digest) for layer in layers],
            "python": made.python,
            "architecture": architecture,
        }
        key = f"libraries {digest_of(inputs)}"
        kept = _parse_shelf(self.cache.get(key)) if self.cache is not None else None
        if kept is not None:
            return kept
        shelf = shelf_of(read_root(made.base, wanted, layers), architecture, made.python)
        if self.cache is not None:
            self.cache.put_many({key: _shelf_document(shelf)})
        return shelf

    def _error(self, lacks: Sequence[Lack], task: Task) -> BuildError:
        assert task.lock.base is not None  # noqa: S101  # as above
        manifest, system = task.desired.manifest, task.lock.system
        names = sorted({lack.library for lack in lacks})
        message = f"{_sentences(lacks)}, which neither {task.lock.base.image} nor a package has"
        if system is None:
            hint = "take a base image that has it, or a Debian base and `system_packages`"
            return BuildError(message, where=manifest.locate("docker.base_image"), hint=hint)
        owners = self._owners(system, task.platform, names)
        packages = sorted({owners[name] for name in names if name in owners})
        hint = f"write `system_packages: [{', '.join(dict.fromkeys((*manifest.system_packages, *packages)))}]`"
        if len(packages) < 1:
            hint = f"find out which package of {system.suite} has it, and add it to `system_packages`"
        return BuildError(message, where=manifest.locate("system_packages"), hint=hint)

    def _owners(self, system: System, platform: Platform, names: Sequence[str]) -> dict[str, str]:
        """Name a Debian package for each library, as far as the archives are there to be asked."""
        if self.archives is None:
            return {}
        folder = f"lib/{TRIPLETS[platform.architecture]}"
        paths = [f"{folder}/{name}" for name in names]
        try:
            known = self.archives().contents(system.distribution, system.suite, platform.architecture, paths)
        except ReconcilerError:
            return {}
        return {path.rpartition("/")[2]: min(owners, key=_plainest) for path, owners in known.items() if owners}


def _plainest(package: str) -> tuple[int, str]:
    return len(package), package


def _rest(made: Assembled) -> Libraries:
    """Say what is there besides the layers of packages, and what the root of a base that is made of packages needs."""
    below = parse_image(made.base.manifest).layers
    others = [layer for plan, layer in made.layers if plan.role is not Role.PACKAGES]
    return Libraries(
        needs=tuple(need for layer in below if LAYER_PART in layer.annotations for need in libraries_in(layer).needs),
        offers=tuple(name for layer in (*others, *below) for name in libraries_in(layer).offers),
    )


def _is_read(layer: Descriptor) -> bool:
    """Tell whether a layer of a base may hold what the loader finds: those that are laid over one by us say it."""
    return LAYER_PART in layer.annotations or LAYER_KEY not in layer.annotations


def libraries_in(descriptor: Descriptor) -> Libraries:
    """Read what a layer says of its libraries; what can't be read is a CorruptError."""
    try:
        text = descriptor.annotations.get(LAYER_LIBRARIES)
        return Libraries() if text is None else parse_libraries(text)
    except ValueError as error:
        raise CorruptError(f"layer {descriptor.digest}: {LAYER_LIBRARIES}: {error}") from error


def describe(members: Sequence[Member], architecture: str) -> str:
    """Write what the files of a layer need and offer, as its descriptor says it."""
    return libraries_of(_elves(members), architecture).to_text()


def _elves(members: Iterable[Member]) -> dict[str, Elf]:
    read = {member.path: read_elf(member.read()) for member in members if member.read is not None and is_linked(member)}
    return {path: elf for path, elf in read.items() if elf is not None}


# -- which of it matters ----------------------------------------------------------------------------------------


def weigh_wheel(
    wheel: str, members: Iterable[Member], names: Collection[str], task: Task
) -> tuple[list[Lack], list[Lack]]:
    """Give what a wheel does not do without, and what only some of its modules need, of libraries that are missing."""
    folder = f"{PREFIX}/{site_packages(task.lock.interpreter.version)}"
    files = {member.path: member for member in members}
    elves = {path: elf for path, elf in _elves(files.values()).items() if elf.machine == task.platform.architecture}
    needed: list[Lack] = []
    optional: list[Lack] = []
    by = {name: {path for path, elf in elves.items() if name in elf.libraries} for name in sorted(names)}
    if not any(by.values()):
        return needed, optional

    def read(path: str) -> str:
        return _source(files[path])

    weight = weigh(elves, modules_of(files, folder, read))
    for name, paths in by.items():
        for found, kind in ((weight.needed & paths, needed), (weight.optional & paths, optional)):
            if found:
                kind.append(Lack(wheel=wheel, library=name, module=min(found).removeprefix(f"{folder}/")))
                break
    return needed, optional


def _source(member: Member) -> str:
    if member.read is None or member.size > _MAX_SOURCE:
        return ""
    return b"".join(member.read()).decode("utf-8", "replace")


def _tell(lacks: Sequence[Lack], task: Task) -> None:
    for some in _by_wheel(lacks):
        task.tell(f"{_sentence(some)}, which is not there; the package works without that module")


def _by_wheel(lacks: Sequence[Lack]) -> Sequence[Sequence[Lack]]:
    by: defaultdict[str, list[Lack]] = defaultdict(list)
    for lack in sorted(lacks):
        by[lack.wheel].append(lack)
    return [*by.values()]


def _sentences(lacks: Sequence[Lack]) -> str:
    """Say of each wheel what it needs, as far as there is room."""
    wheels = _by_wheel(lacks)
    more = f", and {len(wheels) - _SHOWN} more wheels" if len(wheels) > _SHOWN else ""
    return "; ".join(map(_sentence, wheels[:_SHOWN])) + more


def _sentence(lacks: Sequence[Lack]) -> str:
    """Say who needs what: the first file, and every library, as far as there is room."""
    first = lacks[0]
    names = list(dict.fromkeys(lack.library for lack in lacks))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    modules = {lack.module for lack in lacks}
    others = f" (and {len(modules) - 1} more)" if len(modules) > 1 else ""
    return f"{first.wheel}: {first.module}{others} needs {', '.join(names[:_SHOWN])}{more}"


# -- what is kept of a base -------------------------------------------------------------------------------------


def _shelf_document(shelf: Shelf) -> Json:
    return {
        "folders": {folder: [*names] for folder, names in shelf.folders.items()},
        "searched": [*shelf.searched],
        "loaded": [*shelf.loaded],
    }


def _parse_shelf(value: Json | None) -> Shelf | None:
    try:
        return Shelf(
            folders={folder: tuple(map(str, names)) for folder, names in value["folders"].items()},  # type: ignore[index,union-attr,call-overload,arg-type]
            searched=tuple(value["searched"]),  # type: ignore[index,arg-type,call-overload]
            loaded=tuple(value["loaded"]),  # type: ignore[index,arg-type,call-overload]
        )
    except (TypeError, KeyError, AttributeError):
        return None
