"""Programs of this machine: found where a repository can't plant them, run to their end, with what they said."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.clients import child
from reconciler.errors import BuildError, ReconcilerError, ResolveError

MAX_OUTPUT = 4 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """How a program ended: its exit status, 128 + n where signal n ended it, and what it wrote, cut to a limit."""

    status: int
    stdout: str
    stderr: str


def program(name: str, path: str, *, outside: Path | None = None) -> Path:
    """Find a program on ``path``, as PATH is written; a missing one is a ResolveError.

    Entries that are relative, or that stand inside ``outside`` (the repository), are passed over: what a pull request
    brings is never started.
    """
    for folder in folders(path, outside=outside):
        candidate = folder / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise ResolveError(f"{name} is not installed", hint=f"install {name}, in a folder of PATH outside the repository")


def folders(path: str, *, outside: Path | None = None) -> tuple[Path, ...]:
    """Give the folders of ``path`` in which programs may be looked for."""
    found = (Path(entry) for entry in path.split(os.pathsep) if entry)
    return tuple(folder for folder in found if folder.is_absolute() and not _is_inside(folder, outside))


def _is_inside(folder: Path, root: Path | None) -> bool:
    return root is not None and folder.resolve().is_relative_to(root.resolve())


def run(argv: Sequence[str], *, folder: Path, environ: Mapping[str, str], limit_s: float | None = None) -> Finished:
    """Run a program without a shell, with a closed input, in a process group of its own that ends with it.

    One that can't be started or takes longer than ``limit_s`` is a ResolveError.
    """
    try:
        done = child.run(argv, folder=folder, environ=environ, limit_s=limit_s)
    except BuildError as error:
        raise _as_resolve_error(error) from error
    return Finished(status=done.status, stdout=done.stdout[:MAX_OUTPUT], stderr=done.stderr[:MAX_OUTPUT])


def _as_resolve_error(error: ReconcilerError) -> ResolveError:
    return ResolveError(error.message, where=error.where, hint=error.hint, detail=error.detail)
