"""Base images with an interpreter that really runs: the one that runs the tests, with what it needs to start."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from reconciler.clients.interpreter import this_platform
from reconciler.oci.elf import parse_needs
from reconciler.oci.member import Member, file_of, link_of
from tests.base_case import GROUP, PASSWD

HERE = this_platform()
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSION = ".".join(map(str, sys.version_info[:3]))
PYTHON = f"usr/local/bin/python{MINOR}"
LOADER = "usr/lib/ld-own.so.2"
_LEFT_OUT = {"test", "site-packages", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3"}
_LIBRARY = re.compile(r"\s*(\S+) => (/\S+)")


def _program() -> Path:
    return Path(sys.base_prefix, "bin", f"python{MINOR}").resolve()


@cache
def loader() -> str:
    """Say where the interpreter looks for its loader."""
    return parse_needs(_program().read_bytes(), "python").loader.lstrip("/")


@cache
def _libraries() -> dict[str, bytes]:
    said = subprocess.run(["ldd", _program()], capture_output=True, text=True, check=True).stdout
    return {match[1]: Path(match[2]).read_bytes() for match in map(_LIBRARY.match, said.splitlines()) if match}


@cache
def _modules() -> dict[str, bytes]:
    folder = Path(sysconfig.get_path("stdlib"))
    paths = [path for ending in ("*.py", "*.so") for path in folder.rglob(ending)]
    inside = [path for path in paths if not _LEFT_OUT & {*path.relative_to(folder).parts}]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in inside}


def own_root(others: Mapping[str, bytes] | None = None) -> list[Member]:
    """Give the files of a root; ``others`` stand instead of those in the same places, or beside them."""
    files = {
        "etc/passwd": PASSWD,
        "etc/group": GROUP,
        PYTHON: _program().read_bytes(),
        LOADER: Path("/", loader()).read_bytes(),
        **{f"usr/lib/{name}": data for name, data in _libraries().items() if name != Path(loader()).name},
        **{f"usr/local/lib/python{MINOR}/{name}": data for name, data in _modules().items()},
        f"usr/local/include/python{MINOR}/patchlevel.h": f'#define PY_VERSION "{VERSION}"\n'.encode(),
        **(others or {}),
    }
    folder = loader().rpartition("/")[0]
    links = [link_of(loader(), f"/{LOADER}")]
    links += [link_of("lib", "usr/lib")] if folder != "lib" else []
    return [*(file_of(path, data, mode=0o755) for path, data in files.items()), *links]
