"""Holds the layers, the purity and the owners of libraries: the code is read, not run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler import errors

PACKAGE = Path(errors.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

ADAPTERS = frozenset(
    ["sources", "registries", "resolvers", "builders", "runners", "executors", "exchange", "reports", "systems"]
)
PURE = frozenset(["errors", "values", "oci", "lock", "manifest", "wheel", "debian", "assembly", "record", "plan"])

# Each part, and the parts that it may import besides itself.
MAY_IMPORT: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "values": frozenset(["errors"]),
    "oci": frozenset(["errors", "values"]),
    "lock": frozenset(["errors", "values"]),
    "manifest": frozenset(["errors", "values", "lock"]),
    "wheel": frozenset(["errors", "values", "oci", "lock"]),
    "debian": frozenset(["errors", "values", "oci", "lock"]),
    "assembly": frozenset(["errors", "values", "oci", "lock", "manifest", "wheel", "debian"]),
    "record": frozenset(["errors", "values", "lock", "manifest", "oci"]),
    "plan": PURE - {"plan"},
    "ports": PURE,
    "clients": PURE | {"ports"},
    "store": PURE | {"ports"},
    "reconcile": PURE | {"ports"},
    **dict.fromkeys(ADAPTERS, PURE | {"ports", "clients", "store"}),
    "cli": PURE | ADAPTERS | {"ports", "clients", "store", "reconcile"},
}
# An error says where; the type of that place is known to the type checker alone, so the layers below stay importable.
TYPE_ONLY = frozenset([("errors", "values.location")])

OWNERS: dict[str, str] = {
    "yaml": "manifest/document.py",
    "jsonschema": "manifest/schema.py",
    "referencing": "manifest/schema.py",
    "packaging": "values/pep.py",
    "git": "clients/objects.py",
    "urllib3": "clients/http/",
    "uv": "clients/uv.py",
    "deflate": "clients/compression.py",
    "docker": "clients/engine.py",
    "pysequoia": "clients/openpgp.py",
    "zstandard": "oci/zstd.py",
    "requests": "clients/engine.py",
    "click": "cli/",
}
_HEAVY = "yaml jsonschema referencing packaging git urllib3 uv docker deflate requests pysequoia zstandard"
HEAVY = frozenset(_HEAVY.split())

_IMPURE = """
asyncio concurrent fcntl fileinput ftplib getpass glob http locale logging mmap multiprocessing os platform
pwd random resource secrets select selectors shutil signal smtplib socket socketserver ssl subprocess sys
tempfile threading time urllib.request uuid webbrowser
"""
IMPURE = frozenset(_IMPURE.split())
IMPURE_NAMES = frozenset(["pathlib.Path", "pathlib.PosixPath", "io.open", "io.FileIO"])
IMPURE_CALLS = frozenset(["open", "print", "input", "exit", "quit", "breakpoint", "eval", "exec", "compile"])
CLOCKS = frozenset(["now", "utcnow", "today"])

MAX_MODULE, MAX_FUNCTION = 400, 45


@dataclass(frozen=True, order=True, slots=True)
class Import:
    """One import: what (``reconciler.plan.change``), its line, whether for types alone, whether when loaded."""

    target: str
    line: int
    type_only: bool = False
    at_load: bool = True


def imports(source: str) -> list[Import]:
    """Find every import of a module, lazy ones and those for types too."""
    return sorted(_imports(ast.parse(source), type_only=False, at_load=True))


def _imports(node: ast.AST, *, type_only: bool, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, type_only, at_load)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                yield Import(f"{'.' * child.level}{child.module or ''}.{alias.name}", child.lineno, type_only, at_load)
        elif isinstance(child, ast.Call) and ast.unparse(child.func) in ("importlib.import_module", "__import__"):
            yield Import(_dynamic(child), child.lineno, type_only, at_load)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        guard = isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        yield from _imports(child, type_only=type_only or guard, at_load=at_load and not inside)


def _dynamic(call: ast.Call) -> str:
    """Read the fixed beginning of what is imported by its name."""
    (name,) = call.args
    values = name.values if isinstance(name, ast.JoinedStr) else [name]
    first = values[0]
    return str(first.value).rstrip(".") if isinstance(first, ast.Constant) else "?"


def part(module: str) -> str:
    """Name the part of the reconciler that a module is in: ``reconciler.plan.change`` is in ``plan``."""
    return module.split(".")[1]


def wrong_directions(own: str, source: str) -> list[str]:
    """Tell which imports of a module in the part ``own`` go against the layers."""
    found = []
    for item in imports(source):
        if item.target.startswith(".") or item.target == "?":
            found.append(f"line {item.line}: {item.target} hides what is imported")
        if not item.target.startswith("reconciler."):
            continue
        target = item.target.removeprefix("reconciler.")
        allowed = MAY_IMPORT[own] | {own, "__version__"}
        exempt = item.type_only and (own, target.rpartition(".")[0]) in TYPE_ONLY
        if part(item.target) not in allowed and not exempt:
            found.append(f"line {item.line}: {own} imports {target}")
    return found


def impurities(source: str) -> list[str]:
    """Tell where a module reaches for a file, a socket, a process, the clock or the environment."""
    found = []
    for item in imports(source):
        names = {item.target, item.target.rpartition(".")[0], item.target.split(".")[0]}
        if names & IMPURE or item.target in IMPURE_NAMES or item.target == "pathlib":
            found.append(f"line {item.line}: imports {item.target}")
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in IMPURE_CALLS:
            found.append(f"line {node.lineno}: calls {function.id}()")
        if isinstance(function, ast.Attribute) and function.attr in CLOCKS:
            found.append(f"line {node.lineno}: calls {function.attr}()")
    return found


def foreign(source: str) -> set[str]:
    """Name the libraries of others that a module imports."""
    names = {item.target.split(".")[0] for item in imports(source)}
    return names - sys.stdlib_module_names - {"reconciler", ""}


def long_functions(source: str) -> list[str]:
    """Name the functions that are too long."""
    return [
        f"line {node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if node.end_lineno is not None and node.end_lineno - node.lineno + 1 > MAX_FUNCTION
    ]


def _relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _own(path: Path) -> str:
    return Path(_relative(path)).parts[0].removesuffix(".py")


each = pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent != PACKAGE or path.stem != "__init__"], ids=_relative
)


@each
def test_imports_go_down_the_layers(path: Path) -> None:
    assert wrong_directions(_own(path), path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in MODULES if _own(path) in PURE], ids=_relative)
def test_a_pure_module_reaches_for_nothing_outside(path: Path) -> None:
    assert impurities(path.read_text()) == []


@each
def test_a_library_is_imported_by_its_owner_alone(path: Path) -> None:
    for library in foreign(path.read_text()):
        owner = OWNERS.get(library, "nobody")
        assert _relative(path).startswith(owner), f"{library} belongs to {owner}"


@pytest.mark.parametrize("path", [path for path in MODULES if _own(path) != "cli"], ids=_relative)
def test_the_library_neither_prints_nor_exits(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func) for call in calls}
    assert not names & {"print", "exit", "quit", "sys.exit"}


@each
def test_a_module_and_its_functions_stay_short(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MAX_MODULE
    assert long_functions(source) == []


def test_adapters_never_import_one_another() -> None:
    for adapter in ADAPTERS:
        assert not MAY_IMPORT[adapter] & (ADAPTERS | {"reconcile", "cli"})


def test_every_part_has_its_place_in_the_layers() -> None:
    assert {_own(path) for path in MODULES} - {"__init__"} == set(MAY_IMPORT)


def test_the_layers_have_no_circle() -> None:
    placed: set[str] = set()
    while placed != set(MAY_IMPORT):
        free = {name for name, below in MAY_IMPORT.items() if name not in placed and below <= placed}
        assert free, "a circle among " + ", ".join(sorted(set(MAY_IMPORT) - placed))
        placed |= free


# -- the checks see what they are for ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "import reconciler.reconcile.apply",
        "from reconciler import ports",
        "from reconciler.ports import Registry",
        "def lazily():\n    from reconciler.store.files import write",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from reconciler.ports import Registry",
        "import importlib\nimportlib.import_module('reconciler.cli.main')",
        "import importlib\nname = 'x'\nimportlib.import_module(f'reconciler.cli.{name}')",
        "from ..ports import Registry",
    ],
)
def test_an_import_up_the_layers_is_seen(source: str) -> None:
    assert len(wrong_directions("plan", source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from os import environ",
        "import os.path",
        "from pathlib import Path",
        "import pathlib",
        "import urllib.request",
        "def now():\n    import time",
        "open('file')",
        "import datetime\ndatetime.datetime.now()",
    ],
)
def test_an_impurity_is_seen(source: str) -> None:
    assert len(impurities(source)) == 1


@pytest.mark.parametrize("source", ["from pathlib import PurePosixPath", "import urllib.parse", "import hashlib, io"])
def test_what_only_computes_is_pure(source: str) -> None:
    assert impurities(source) == []


def test_a_long_function_is_seen() -> None:
    assert long_functions("def long():\n" + "    pass\n" * MAX_FUNCTION) == ["line 1: long has 46 lines"]


# -- errors and start-up ----------------------------------------------------------------------------------------


def test_every_error_is_drawn_in_the_tree_with_the_exit_code_that_it_has() -> None:
    drawn = dict(re.findall(r"(\w+Error) +(\d+) ", errors.__doc__ or ""))
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.ReconcilerError)
    }
    assert {name: str(value.exit_code) for name, value in classes.items()} == drawn


def test_every_exit_code_is_one_that_is_documented() -> None:
    codes = {int(code) for code in re.findall(r"\w+Error +(\d+) ", errors.__doc__ or "")}
    assert codes <= {1, 6, 7, 8, 9, 64, 69, 75, 77, 126, 127, 130}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_start_up_loads_no_heavy_library(arguments: list[str]) -> None:
    code = "from reconciler.cli.main import main; main()"
    command = [sys.executable, "-X", "importtime", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "reconciler" in loaded
    assert not loaded & HEAVY
