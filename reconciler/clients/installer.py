"""uv as the installer: virtual environments and the packages in them, its errors mapped."""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reconciler.clients import child
from reconciler.clients.aliases import bind
from reconciler.clients.indexes import read_index_settings
from reconciler.clients.uv import Uv, find_uv, switches
from reconciler.errors import BuildError, ReconcilerError, ResolveError, StoreError, UnavailableError

_OF_THE_MACHINE = ("UV_PYTHON_INSTALL_DIR", "UV_LINK_MODE")
"""Where uv keeps interpreters, and whether files may be linked; neither changes what is installed."""
DISK = re.compile(
    r"No space left|quota exceeded|Read-only file system|Too many open files|File too large|Input/output error",
    re.IGNORECASE,
)
NO_ANSWER = re.compile(
    r"error sending request|dns error|Connection refused|timed out|connection reset|50[234] ", re.IGNORECASE
)
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s`'\")>]+", re.IGNORECASE)

_BY_SIGNAL = 128


def run_uv(uv: Uv, arguments: Sequence[str], *, variables: Mapping[str, str] | None = None) -> child.Done:
    """Run uv in an empty folder, so that no configuration of a repository is found, and give what became of it.

    ``variables`` are set over those that uv gets anyway.
    """
    own = {name: uv.environ[name] for name in _OF_THE_MACHINE if name in uv.environ}
    try:
        binary = find_uv()
    except ResolveError as error:
        raise BuildError(error.message, hint=error.hint) from error
    environ = {**uv.variables(), **own, **(variables or {})}
    # Only what installs knows the option; what makes an environment asks no index.
    options = switches(environ) if "pip" in arguments else ()
    with tempfile.TemporaryDirectory(prefix="reconciler-uv-") as folder:
        return child.run([binary, *uv.configuration(), *arguments, *options], folder=Path(folder), environ=environ)


def index_variables(uv: Uv, aliases: Iterable[str], configured: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that tell uv where to look: the aliases that a lock names, then where this machine looks.

    They may hold passwords. All count as one index: each file is known by its hash, so none can stand in for another.
    An alias without an address is a BuildError.
    """
    settings = read_index_settings(uv.environ, outside=uv.outside)
    variables = dict(settings.variables)
    bound = {
        alias: bind(alias, configured=configured, environ=uv.environ, named=settings.named, failure=BuildError)
        for alias in sorted(set(aliases))
    }
    if bound:
        machine = variables.get("UV_INDEX") or uv.environ.get("UV_INDEX", "")
        variables["UV_INDEX"] = " ".join([*(f"{alias}={address}" for alias, address in bound.items()), machine]).strip()
    if bound or settings.merged:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def failure(what: str, done: child.Done) -> ReconcilerError:
    """Turn what uv said into an error, with no address in it: one may hold a password."""
    said = ADDRESS.sub("<address>", done.stderr).strip()
    killer = done.status - _BY_SIGNAL
    if DISK.search(said) or killer == signal.SIGXFSZ:
        return StoreError(f"the disk refused {what}", hint="free space there and run again", detail=said or None)
    if NO_ANSWER.search(said):
        return UnavailableError("the package index does not answer", hint="run again later, or check uv's settings")
    if killer > 0:
        hint = "memory may have run out; run again" if killer == signal.SIGKILL else "run again"
        return BuildError(f"uv was ended by signal {killer} while it made {what}", hint=hint, detail=said or None)
    line = next((line for line in said.splitlines() if line.startswith("error: ")), "error: it did not say why")
    return BuildError(f"uv could not make {what}: {line.removeprefix('error: ')}", detail=said or None)
