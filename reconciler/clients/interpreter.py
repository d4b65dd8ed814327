"""Interpreters of this machine, found without downloading one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from reconciler.clients.installer import run_uv
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError
from reconciler.values.platform import Platform


def this_platform() -> Platform:
    """Tell what this machine is."""
    name = os.uname()
    return Platform.from_uname(name.sysname, name.machine)


def find_interpreter(uv: Uv, version: str) -> Path:
    """Find CPython of this version: ``3.11`` is any 3.11, ``3.11.7`` exactly that. A missing one is a BuildError.

    An activated virtual environment is passed over: what is made from it would break with it.
    """
    found = run_uv(
        uv,
        ["python", "find", "--system", "--no-project", "--no-python-downloads", "--", f"cpython@{version}"],
        variables={"PATH": _search_path(uv.variables()["PATH"])},
    )
    path = found.stdout.strip()
    if not found.status and path:
        return Path(path)
    own = _own_interpreter(version)
    if own is not None:
        return own
    raise BuildError(
        f"no Python {version} on this machine",
        hint=f"install it, or run `uv python install {version}`, or change python.version",
        detail="looked for: interpreters that uv installed, then "
        f"{' and '.join(f'python{part}' for part in _spellings(version))} on PATH",
    )


def find_user_interpreter(path: str | None) -> Path:
    """Find the interpreter that a manifest names: an absolute path, or a command on PATH (``python`` by default)."""
    wanted = path or "python"
    found = shutil.which(wanted)
    if found is None:
        raise BuildError(
            f"the interpreter {wanted!a} is not on this machine, or is not executable",
            hint="install it, or change python.interpreter_path",
        )
    return Path(found)


def _spellings(version: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([".".join(version.split(".")[:2]), version.split(".", maxsplit=1)[0], ""]))


def _search_path(path: str) -> str:
    """Give PATH with pyenv's shims replaced by what they stand for: a shim of another version only fails."""
    folders: list[str] = []
    for folder in path.split(os.pathsep):
        versions = Path(folder).parent / "versions"
        if Path(folder).name == "shims" and versions.is_dir():
            folders += [str(version / "bin") for version in sorted(versions.iterdir(), key=_newest, reverse=True)]
        else:
            folders.append(folder)
    return os.pathsep.join(folders)


def _newest(version: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in version.name.split(".") if part.isdecimal())


def _own_interpreter(version: str) -> Path | None:
    own = sys.version_info
    wanted = version.split(".")
    if sys.implementation.name != "cpython" or [str(own[place]) for place in range(len(wanted))] != wanted:
        return None
    path = Path(sys.base_prefix) / "bin" / f"python{own.major}.{own.minor}"
    return path if path.is_file() else None
