"""Which shared libraries layers need and offer, and which of them nobody has (ld.so(8); gABI, chapter 5).

A library counts as found where the loader finds it: in a folder of the file's RPATH or RUNPATH, of LD_LIBRARY_PATH, or
of the loader's own. One that any package brings counts as found as well: packages load one another's libraries before
they are needed, by ctypes or by an import, and a loaded one is found by its name.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from posixpath import normpath

from reconciler.assembly.place import PREFIX, place_of
from reconciler.debian.ldcache import TRIPLETS, library_folders
from reconciler.oci.elf import Elf
from reconciler.oci.rootfs import Rootfs

MODULE = re.compile(r"\.(?:cpython-[A-Za-z0-9_-]+|abi3)\.so\Z")
"""How the file of an extension module ends, which nobody but Python loads."""
_GLIBC = re.compile(r"(?:lib(?:c|m|pthread|dl|rt|util|resolv|anl|mvec)|ld-linux[a-z0-9-]*|linux-vdso)\.so(?:\.[0-9]+)?")
"""The C library itself: a lock says that the base has it, and which version."""
_DRIVER = re.compile(r"lib(?:cuda|nvidia-[a-z0-9-]+|nvcuvid|nvoptix|cudadebugger)\.so(?:\.[0-9]+)*")
"""Parts of NVIDIA's driver, which come from the machine that runs the container."""
_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")
_PLATFORMS = {"amd64": "x86_64", "arm64": "aarch64"}
_OTHERS_FOLDERS = ("/lib64", "/usr/lib64")
"""Folders that loaders of other distributions know by themselves."""
_PROGRAMS = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin")
_MAX_DEPTH = 16


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Need:
    """A library that a layer needs and has not. ``module`` is one of the files that need it, relative to the root.

    ``folders`` are absolute ones that those files name, besides those of the environment itself.
    """

    library: str
    module: str
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Libraries:
    """What a layer needs and offers; ``offers`` are names of libraries, sorted."""

    needs: tuple[Need, ...] = ()
    offers: tuple[str, ...] = ()

    def to_text(self) -> str:
        """Write it as it stands on a layer's descriptor **[format]**."""
        needs = [[need.library, need.module, *need.folders] for need in self.needs]
        return json.dumps({"needs": needs, "offers": [*self.offers]}, separators=(",", ":"))


def parse_libraries(text: str) -> Libraries:
    """Read what :meth:`Libraries.to_text` wrote; anything else is a ValueError."""
    try:
        value = json.loads(text)
        needs = [[*map(_plain, row)] for row in value["needs"]]
        return Libraries(
            needs=tuple(Need(library=row[0], module=row[1], folders=tuple(row[2:])) for row in needs),
            offers=tuple(map(_plain, value["offers"])),
        )
    except (TypeError, KeyError, IndexError, RecursionError) as error:
        raise ValueError("it does not say what libraries there are") from error


def _plain(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


# -- a layer ----------------------------------------------------------------------------------------------------


def libraries_of(files: Mapping[str, Elf], architecture: str) -> Libraries:
    """Say what the files of a layer, by their paths, need and offer. Those for another machine are passed over."""
    own = {path: elf for path, elf in files.items() if elf.machine == architecture}
    offers = sorted({name for path, elf in own.items() if elf.shared for name in names_of(path, elf)})
    found: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)
    for path, elf in own.items():
        for library in elf.libraries:
            if library not in offers and "/" not in library and not _GLIBC.fullmatch(library):
                found[library][path] = {*_outside(own, path, architecture)}
    needs = [
        Need(library=library, module=min(by, key=_depth), folders=tuple(sorted(set().union(*by.values()))))
        for library, by in sorted(found.items())
    ]
    shown = (name for name in offers if not MODULE.search(name))
    return Libraries(needs=tuple(needs), offers=tuple(shown))


def names_of(path: str, elf: Elf) -> tuple[str, ...]:
    """Give the names that a library is found by: its file's, and its own."""
    file = path.rpartition("/")[2]
    return (file, elf.soname) if elf.soname and elf.soname != file else (file,)


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def _outside(files: Mapping[str, Elf], path: str, architecture: str) -> Iterator[str]:
    for folder in folders_of(files, path, architecture):
        if not f"{folder}/".startswith(f"/{PREFIX}/"):
            yield folder


def folders_of(files: Mapping[str, Elf], path: str, architecture: str) -> Iterator[str]:
    """List the folders that a file looks in: its RUNPATH, else its RPATH and that of those that load it."""
    elf = files[path]
    if elf.runpath:
        yield from _expanded(elf.runpath, path, architecture)
        return
    for loader in _loaders(files, path):
        if not files[loader].runpath:
            yield from _expanded(files[loader].rpath, loader, architecture)


def _loaders(files: Mapping[str, Elf], path: str) -> Iterable[str]:
    """Give a file, and those that need it by way of others."""
    found, waiting = {path: None}, [path]
    for _ in range(_MAX_DEPTH):
        names = {name for waited in waiting for name in names_of(waited, files[waited])}
        waiting = [other for other, elf in files.items() if other not in found and names.intersection(elf.libraries)]
        found |= dict.fromkeys(waiting)
        if not waiting:
            break
    return found


def _expanded(folders: Sequence[str], path: str, architecture: str) -> Iterator[str]:
    tokens = {
        "ORIGIN": f"/{path.rpartition('/')[0]}",
        "LIB": f"lib/{TRIPLETS.get(architecture, '')}",
        "PLATFORM": _PLATFORMS.get(architecture, ""),
    }
    for folder in folders:
        expanded = _TOKEN.sub(lambda match: tokens[match[1] or match[2]], folder)
        if expanded.startswith("/"):  # any other is relative to wherever a program is started
            yield normpath(expanded).replace("//", "/")


# -- a base -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The libraries of a base: names by their folders, and which of these the loader looks in. All are real paths.

    ``loaded`` are those that the interpreter itself needs.
    """

    folders: Mapping[str, tuple[str, ...]]
    searched: tuple[str, ...]
    loaded: tuple[str, ...] = ()

    @cached_property
    def _found(self) -> frozenset[str]:
        return frozenset(self.loaded).union(*(self.folders.get(folder, ()) for folder in self.searched))

    def has(self, library: str, folders: Iterable[str]) -> bool:
        """Tell whether the loader finds a library by itself, or in one of these folders."""
        return library in self._found or any(library in self.folders.get(folder, ()) for folder in folders)


def shelf_of(root: Rootfs, architecture: str, python: str) -> Shelf:
    """Look for the libraries of a root that has the bytes which ``debian.ldcache.wanted`` asks for."""
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for path, elf in root.linked():
        folder = path.rpartition("/")[0]
        if elf.shared and elf.machine == architecture and not MODULE.search(path):
            folders[folder].update(names_of(path, elf))
    searched = [*library_folders(root, architecture), *_OTHERS_FOLDERS]
    program = root.lookup(python)
    return Shelf(
        folders={folder: tuple(sorted(names)) for folder, names in sorted(folders.items())},
        searched=tuple(dict.fromkeys(real for folder in searched if (real := root.resolve(folder)) is not None)),
        loaded=program.elf.libraries if program is not None and program.elf is not None else (),
    )


def libraries_of_root(root: Rootfs, architecture: str) -> Libraries:
    """Say what a root of packages offers where its loader looks, and what of it lacks a library that is nowhere there.

    Programs and libraries count that stand where they are looked for; what others bring themselves is for them alone.
    """
    shelf = shelf_of(root, architecture, "")
    there = {name for names in shelf.folders.values() for name in names}
    looked = {*shelf.searched, *(real for folder in _PROGRAMS if (real := root.resolve(folder)) is not None)}
    lacks: dict[str, str] = {}
    for path, node in sorted(root.files(), key=lambda item: item[0]):
        if node.elf is not None and node.elf.machine == architecture and path.rpartition("/")[0] in looked:
            for library in node.elf.libraries:
                if library not in there and "/" not in library and not _GLIBC.fullmatch(library):
                    lacks.setdefault(library, path)
    offers = {name for folder in shelf.searched for name in shelf.folders.get(folder, ())}
    needs = [Need(library=library, module=path) for library, path in sorted(lacks.items())]
    return Libraries(needs=tuple(needs), offers=tuple(sorted(offers)))


# -- what is missing --------------------------------------------------------------------------------------------


def lacking(layers: Sequence[Libraries]) -> bool:
    """Tell whether anything is needed that no package has."""
    return any(_unmet(layer, _offered(layers)) for layer in layers)


def missing(
    layers: Sequence[Libraries], shelf: Shelf, links: Mapping[str, str], library_path: str
) -> tuple[frozenset[str], ...]:
    """Give for each layer the libraries that it needs, and that are neither in packages nor in the base.

    ``links`` lead to folders of the base, ``library_path`` is what LD_LIBRARY_PATH says in a container.
    """
    offered = _offered(layers)
    more = [folder for folder in re.split("[:;]", library_path) if folder.startswith("/")]

    def is_there(need: Need) -> bool:
        folders = (place_of(normpath(folder).strip("/"), links) for folder in (*need.folders, *more))
        return shelf.has(need.library, folders)

    return tuple(frozenset(need.library for need in _unmet(layer, offered) if not is_there(need)) for layer in layers)


def _offered(layers: Iterable[Libraries]) -> frozenset[str]:
    return frozenset(name for layer in layers for name in layer.offers)


def _unmet(layer: Libraries, offered: frozenset[str]) -> list[Need]:
    return [need for need in layer.needs if need.library not in offered and not _DRIVER.fullmatch(need.library)]
