"""Which machine code of a wheel its packages do not do without: what is missing there is an error, else a warning.

A file is needed where importing what the wheel has at its top surely loads it (:mod:`reconciler.assembly.imports`), or
a file that is needed. Where no source imports it, because it is loaded by ctypes or under a name that is computed, it
is needed if it is the wheel's only one, but for plug-ins and tests, or an extension module that is called as its
package is. A program is never needed, nor a library of a wheel without modules: that one is there for others.

Of what is not needed only extension modules are worth a warning, and the libraries that they need: programs, plug-ins
and libraries that may be loaded by name are there for whoever has the rest of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.assembly.imports import Modules
from reconciler.assembly.libraries import MODULE, names_of
from reconciler.oci.elf import Elf

_ASIDE = frozenset(["benchmarks", "contrib", "examples", "plugin", "plugins", "test", "testing", "tests"])


def modules_of(paths: Iterable[str], folder: str, read: Callable[[str], str]) -> Modules:
    """Find the modules among a wheel's files; ``folder`` is where Python looks, relative to the root."""
    sources, extensions = {}, {}
    for path in paths:
        if not path.startswith(f"{folder}/"):
            continue
        above, _, file = path.removeprefix(f"{folder}/").rpartition("/")
        stem = file.partition(".")[0]
        name = ".".join([*filter(None, above.split("/")), *([] if stem == "__init__" else [stem])])
        if not all(part.isidentifier() for part in name.split(".")):
            continue
        if file.endswith(".py"):
            sources[name] = path
        elif MODULE.search(file) or file == f"{stem}.so":
            extensions[name] = path
    return Modules(sources=sources, extensions=extensions, read=read)


@dataclass(frozen=True, kw_only=True, slots=True)
class Weight:
    """Paths of files that a wheel's packages do not do without, and of those that only some of their modules need."""

    needed: frozenset[str]
    optional: frozenset[str]


def weigh(elves: Mapping[str, Elf], modules: Modules) -> Weight:
    """Tell which files of a wheel are needed."""
    own = {path: elf for path, elf in elves.items() if elf.shared and not elf.loader}
    reached = modules.reached()
    found = {path for name, path in modules.extensions.items() if name in reached and path in own}
    told = replace(modules, sources={name: path for name, path in modules.sources.items() if not _is_aside(path)})
    mentioned = {modules.extensions.get(name, "") for name in told.mentioned()}
    found |= {path for path in _loaded_otherwise(own, modules) if path in own and path not in mentioned}
    needed = _with_libraries(found, own)
    others = {path for path in modules.extensions.values() if path in own and not _is_aside(path)}
    return Weight(needed=frozenset(needed), optional=frozenset(_with_libraries(others, own) - needed))


def _loaded_otherwise(own: Mapping[str, Elf], modules: Modules) -> frozenset[str]:
    """Give the files that a package has to load by itself: a single one, or one that is called as it is."""
    if not modules.sources and not modules.extensions:
        return frozenset()
    libraries = {name for elf in own.values() for name in elf.libraries}
    first = [
        path for path, elf in own.items() if not libraries.intersection(names_of(path, elf)) and not _is_aside(path)
    ]
    named = {path for name, path in modules.extensions.items() if name.split(".")[-2:] == [name.rpartition(".")[2]] * 2}
    return frozenset(first if len(first) == 1 else named)


def _is_aside(path: str) -> bool:
    return not _ASIDE.isdisjoint(path.split("/"))


def _with_libraries(found: set[str], own: Mapping[str, Elf]) -> set[str]:
    """Add the libraries of the wheel that these files need, and theirs."""
    by_name = {name: path for path, elf in own.items() for name in names_of(path, elf)}
    waiting, seen = [*found], {*found}
    while waiting:
        more = {by_name[name] for name in own[waiting.pop()].libraries if name in by_name} - seen
        waiting += more
        seen |= more
    return seen
