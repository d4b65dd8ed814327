"""What importing a package surely imports, told from its source, which is read line by line and never parsed or run.

Sure is what stands at a module's top: neither in a function, nor in a class, nor under an ``if``, nor in a ``try``
that goes on where it fails. Whatever is written in another way is not seen, and so not sure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

_TEXTS = re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""|\'\'\'(?:[^\'\\]|\\.|\'(?!\'\'))*\'\'\'', re.DOTALL)
_REST = re.compile(r"#[^\n]*|\\\n")
_BLOCK = re.compile(r"^(?=[^\s)\]}])", re.MULTILINE)
_STATEMENT = re.compile(
    r"^([ \t]*)(?:from[ \t]+([.\w]+)[ \t]+import[ \t]*(\([^)]*\)|[^\n(]*)|import[ \t]+([^\n]+))", re.MULTILINE
)
_RAISES = re.compile(r"^[ \t]+raise\b", re.MULTILINE)
_BUILDS = re.compile(r"if\s+__\w+_SETUP__\s*:")
"""How packages ask whether they are being built; they never are where they are installed."""
_WORD = re.compile(r"\w*")
_MAX_MODULES = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Modules:
    """The modules of a wheel by their dotted names: sources, and extension modules. ``read`` gives a source's text."""

    sources: Mapping[str, str]
    extensions: Mapping[str, str]
    read: Callable[[str], str] = field(repr=False)

    def reached(self) -> frozenset[str]:
        """Name the modules that are surely imported where somebody imports what the wheel has at its top."""
        waiting = [*self._tops()]
        found: set[str] = set(waiting)
        while waiting and len(found) < _MAX_MODULES:
            module = waiting.pop()
            if module in self.sources:
                sure = {name for name, sure in self._imported(module) if sure}
                waiting += [name for name in sure if name not in found]
                found |= sure
        return frozenset(found)

    def mentioned(self) -> frozenset[str]:
        """Name the modules that any of the sources has an import of, sure or not."""
        return frozenset(name for module in self.sources for name, _ in self._imported(module))

    def _tops(self) -> Iterator[str]:
        """Name what is meant to be imported: what no package is above; what is private only where all is."""
        names = {*self.sources, *self.extensions}
        tops = [name for name in names if not any(above in names for above in _above(name))]
        public = [name for name in tops if not name.rpartition(".")[2].startswith("_")]
        return iter(public or tops)

    def _imported(self, module: str) -> Iterator[tuple[str, bool]]:
        """Give the wheel's own modules that a module imports, packages above them too, and whether surely."""
        path = self.sources[module]
        package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
        for name, sure in _statements(self.read(path), package):
            for one in (name, *_above(name)):
                if one in self.sources or one in self.extensions:
                    yield one, sure


def _above(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _statements(source: str, package: str) -> Iterator[tuple[str, bool]]:
    """Give what a source imports, and whether surely."""
    plain = _REST.sub(" ", _TEXTS.sub("''", source))
    blocks = _BLOCK.split(plain)
    for place, block in enumerate(blocks):
        word = _word(block)
        sure = word in ("import", "from", "with", "finally") or (word == "try" and _fails(blocks[place + 1 :]))
        sure = sure or (word == "else" and _BUILDS.match(blocks[place - 1]) is not None)
        inner = _inner(block, word)
        for indent, base, names, plainly in _STATEMENT.findall(block):
            for name in _names(base, names, plainly, package):
                yield name, sure and indent == inner


def _word(block: str) -> str:
    found = _WORD.match(block)
    return found[0] if found is not None else ""


def _inner(block: str, word: str) -> str:
    """Give the indentation of what stands directly in a block."""
    if word in ("import", "from"):
        return ""
    found = re.search(r"^([ \t]+)\S", block, re.MULTILINE)
    return found[1] if found is not None else ""


def _fails(rest: list[str]) -> bool:
    """Tell whether what follows a ``try`` ends the module wherever that fails."""
    handlers = []
    for block in rest:
        if _word(block) not in ("except", "else", "finally"):
            break
        handlers += [block] if block.startswith("except") else []
    return all(_RAISES.search(handler) for handler in handlers)


def _names(base: str, names: str, plainly: str, package: str) -> Iterator[str]:
    if not base:
        for name in plainly.split(";", maxsplit=1)[0].split(","):
            yield name.split(" as ")[0].strip()
        return
    level = len(base) - len(base.lstrip("."))
    parts = package.split(".") if package else []
    above = parts[: len(parts) - level + 1] if level else []
    module = ".".join([*above, *filter(None, [base.lstrip(".")])])
    yield module
    for name in names.strip("() \t\n").split(";")[0].split(","):
        yield f"{module}.{name.split(' as ')[0].strip()}"
