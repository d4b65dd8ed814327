"""The interpreter of an image, unpacked to be run by its own loader: it, its library, and what both need to start.

Layers are read as the image's root file system would be; what is taken from it is laid out anew, under names of our own
and without a link, so that nothing that an image says decides where a file goes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from reconciler.assembly.key import LAYER_KEY, LAYER_PART
from reconciler.errors import BuildError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.elf import parse_needs
from reconciler.oci.manifest import parse_image
from reconciler.oci.member import Kind, Member
from reconciler.oci.rootfs import Node, Rootfs
from reconciler.oci.untar import decompress, read_tar
from reconciler.ports import BaseImage
from reconciler.store.durable import replace_stream

LOADER, PROGRAM, LIBRARIES, EMPTY = "loader", "bin", "shared", "empty"
_SPOOL = "spool"
_TOKEN = 32
"""Bytes that name a file in the spool: more than its number ever has."""
_MAX_LIBRARY, _MAX_PROGRAM, _MAX_MODULE = 64 << 20, 256 << 20, 16 << 20
_MAX_DEPTH, _MAX_LIBRARIES = 8, 100
_LEFT_OUT = frozenset(
    ["site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "turtledemo"]
)
_SYSTEM = re.compile(r"(?:usr/)?(?:local/)?lib(?:64)?(?:/[A-Za-z0-9_]+-linux-gnu[a-z0-9]*)?")
_LIBRARY = re.compile(r"(?:lib|ld-)[A-Za-z0-9_.+-]*\.so(?:\.[0-9.]+)?")
_ORIGIN = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})")


def layers_below(base: BaseImage) -> tuple[Descriptor, ...]:
    """Give the layers that an interpreter can be in: those of environments that we made hold none."""
    layers = parse_image(base.manifest).layers
    return tuple(one for one in layers if LAYER_KEY not in one.annotations or LAYER_PART in one.annotations)


def unpack(base: BaseImage, python: str, minor: str, folder: Path) -> None:
    """Write into an empty folder what runs ``python``, a path of the image, whose library is that of ``minor``.

    What is not there is a BuildError, a layer that can't be read a CorruptError.
    """
    spool = folder / _SPOOL
    spool.mkdir()
    places = _Places.of(python, minor)
    root = Rootfs(lambda path, size: _TOKEN if places.wants(path, size) else 0)
    numbers = count()
    for layer in layers_below(base):
        entries = read_tar(decompress(layer.media_type, base.registry.fetch_blob(base.repository, layer)))
        root.apply(_spooled(entries, places, spool, numbers))
    _Layout(image=base.reference, root=root, places=places, spool=spool, folder=folder).write()
    shutil.rmtree(spool)


def _spooled(
    entries: Iterable[tuple[Member, Iterator[bytes]]], places: _Places, spool: Path, numbers: Iterator[int]
) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Put the bytes that are wanted on the disk, under a number that stands for them."""
    for member, body in entries:
        if member.kind is Kind.FILE and places.wants(member.path, member.size):
            name = str(next(numbers))
            replace_stream(spool / name, body)
            yield member, iter((name.encode(),))
        else:
            yield member, body


@dataclass(frozen=True, kw_only=True, slots=True)
class _Places:
    """Where things are in the image: what may be wanted, before it is known what is."""

    python: str
    prefix: str
    library: str

    @classmethod
    def of(cls, python: str, minor: str) -> _Places:
        prefix = python.rpartition("/")[0].rpartition("/")[0]
        return cls(python=python, prefix=f"{prefix}/" if prefix else "", library=f"python{minor}")

    @property
    def libraries(self) -> tuple[str, ...]:
        """Where the standard library may be."""
        return tuple(f"{self.prefix}{folder}/{self.library}" for folder in ("lib", "lib64"))

    def wants(self, path: str, size: int) -> bool:
        folder, _, name = path.rpartition("/")
        if path == self.python:
            return size <= _MAX_PROGRAM
        if path.endswith((".py", ".so")) and f"/{self.library}/" in f"/{path}":
            return size <= _MAX_MODULE and not _LEFT_OUT & {*path.split("/")}
        is_known = _SYSTEM.fullmatch(folder) or folder in (f"{self.prefix}lib", f"{self.prefix}lib64")
        return bool(is_known) and size <= _MAX_LIBRARY and _LIBRARY.fullmatch(name) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """What is taken from a root file system, and where it goes."""

    image: str
    root: Rootfs
    places: _Places
    spool: Path
    folder: Path

    def write(self) -> None:
        (self.folder / EMPTY).mkdir()
        (self.folder / LIBRARIES).mkdir()
        self._write_library()
        node = self._found(self.places.python, "interpreter")
        self._copy(node, f"{PROGRAM}/{self.places.library}")
        loader = parse_needs(self._data(node), f"/{self.places.python} of {self.image}").loader
        if not loader:
            raise self._lacking(f"a loader that /{self.places.python} names")
        self._copy(self._found(loader, "loader"), LOADER)
        self._write_needed(loader.rpartition("/")[2])

    def _write_library(self) -> None:
        start = next((place for place in self.places.libraries if self.root.lookup(f"{place}/os.py")), None)
        if start is None:
            raise self._lacking(f"the standard library of /{self.places.python}")
        self._write_folder(start, start.removeprefix(self.places.prefix), _MAX_DEPTH)

    def _write_folder(self, path: str, place: str, left: int) -> None:
        for name in self.root.children(path):
            node = self.root.lookup(f"{path}/{name}")
            if node is not None and node.kind is Kind.FOLDER and name not in _LEFT_OUT and left:
                self._write_folder(f"{path}/{name}", f"{place}/{name}", left - 1)
            elif node is not None and node.data and name.endswith((".py", ".so")):
                self._copy(node, f"{place}/{name}")

    def _write_needed(self, loader: str) -> None:
        """Write the libraries that the interpreter needs, and those that they need; the loader is loaded already."""
        waiting, written = [self.places.python], {loader}
        while waiting:
            path = waiting.pop()
            needs = parse_needs(self._data(self._found(path, "library")), f"/{path} of {self.image}")
            for name in needs.libraries:
                if name not in written:
                    waiting.append(self._library(name, needs.folders, path))
                    self._copy(self._found(waiting[-1], "library"), f"{LIBRARIES}/{name}")
                    written.add(name)
            if len(written) > _MAX_LIBRARIES:
                raise BuildError(f"the interpreter of {self.image} needs more than {_MAX_LIBRARIES} libraries")

    def _library(self, name: str, folders: Iterable[str], path: str) -> str:
        """Say where a library is: where the program says, else where the system keeps them."""
        if _LIBRARY.fullmatch(name) is None:
            raise self._lacking(f"{name[:80]!a}, which /{path} needs")
        here = path.rpartition("/")[0]
        for folder in (*(_ORIGIN.sub(f"/{here}", folder) for folder in folders), *self._system()):
            found = self.root.lookup(f"{folder}/{name}")
            if found is not None and found.data:
                return self.root.resolve(f"{folder}/{name}") or ""
        raise self._lacking(f"{name}, which /{path} needs")

    def _system(self) -> Iterator[str]:
        for folder in ("lib", "usr/lib", "usr/local/lib", "lib64", "usr/lib64", f"{self.places.prefix}lib"):
            yield folder
            yield from (f"{folder}/{name}" for name in self.root.children(folder) if "-linux-gnu" in name)

    def _found(self, path: str, what: str) -> Node:
        node = self.root.lookup(path)
        if node is None or node.kind is not Kind.FILE or not node.data:
            raise self._lacking(f"the {what} /{path.lstrip('/')[:120]}")
        return node

    def _lacking(self, what: str) -> BuildError:
        return BuildError(f"the base image {self.image} lacks {what}: nothing can be compiled with it")

    def _data(self, node: Node) -> bytes:
        return (self.spool / node.data.decode()).read_bytes()

    def _copy(self, node: Node, place: str) -> None:
        target = self.folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.spool / node.data.decode(), target)
        target.chmod(0o755)
