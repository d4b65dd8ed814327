"""uv, the solver: run in an empty folder, with an environment that is chosen variable by variable.

uv looks for settings in its folder and all those above it, in its environment and in the user's and the system's
configuration. The first could be planted by a repository and is never read; of the second only what
:data:`PASSED` names goes through; the last are the machine's own, and are read.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clients import process
from reconciler.errors import ResolveError

LIMIT_S = 1800
_TRUE = frozenset(["1", "true", "yes", "on", "y", "t"])
_finding = threading.Lock()
_WHERE_AND_HOW = (
    "HOME USER LOGNAME LANG LC_ALL TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_CONFIG_DIRS XDG_DATA_HOME NETRC "
    "SSL_CERT_FILE SSL_CERT_DIR SSL_CLIENT_CERT HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY "
    "http_proxy https_proxy all_proxy no_proxy"
)
_OF_UV = (
    "UV_CACHE_DIR UV_NO_CACHE UV_CONFIG_FILE UV_SYSTEM_CERTS UV_NATIVE_TLS UV_INSECURE_HOST UV_KEYRING_PROVIDER "
    "UV_HTTP_TIMEOUT UV_HTTP_CONNECT_TIMEOUT UV_HTTP_RETRIES UV_REQUEST_TIMEOUT UV_CONCURRENT_DOWNLOADS UV_OFFLINE "
    "UV_INDEX UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_FIND_LINKS UV_NO_INDEX UV_INDEX_STRATEGY"
)
PASSED = frozenset((*_WHERE_AND_HOW.split(), *_OF_UV.split()))
"""Variables that reach uv; so do the user names and passwords of named indexes. Whatever else changes what is solved
for (Python, platform, pre-releases, dates, builds) comes from the manifest alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """What a solve gave: uv's exit status, the output file (empty where there is none), and what uv said."""

    status: int
    output: str
    said: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Uv:
    """uv's binary, the environment that it is chosen from, and the repository that nothing is found in."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    outside: Path | None = None

    def compile(
        self, arguments: Sequence[str], files: Mapping[str, str], *, output: str, variables: Mapping[str, str]
    ) -> Compiled:
        """Run ``uv pip compile`` in a new folder that holds ``files`` only, and read ``output`` there.

        ``variables`` are set over the passed ones. A ResolveError says why uv can't be run.
        """
        with tempfile.TemporaryDirectory(prefix="reconciler-uv-") as name:
            folder = Path(name).resolve()
            for file, text in files.items():
                (folder / file).write_text(text, encoding="utf-8")
            environ = {**self.variables(), **variables}
            argv = [find_uv(), "pip", "compile", "--quiet", *self.configuration(), *_fixed(), *switches(environ)]
            done = process.run(
                [*argv, *arguments, "--output-file", output],
                folder=folder,
                environ=environ,
                limit_s=LIMIT_S,
            )
            made = folder / output
            text = made.read_text(encoding="utf-8") if made.exists() and not done.status else ""
            return Compiled(status=done.status, output=text, said=(done.stderr or done.stdout).replace(name, "."))

    def variables(self) -> dict[str, str]:
        """Give the environment that uv gets."""
        passed = {name: value for name, value in self.environ.items() if _is_passed(name)}
        path = os.pathsep.join(map(str, process.folders(self.environ.get("PATH", os.defpath), outside=self.outside)))
        return {
            **passed,
            "PATH": path,
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def configuration(self) -> tuple[str, ...]:
        """Say which configuration uv reads: the machine's, never that of a folder above the one it runs in."""
        if self.environ.get("UV_CONFIG_FILE"):
            return ()
        files = configuration_files(self.environ)
        return ("--config-file", str(files[-1])) if files else ("--no-config",)


def switches(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Give the options that have to stand for variables: uv has none for ``--no-index``, and pip has PIP_NO_INDEX.

    Without it, a machine that is told to ask no index would ask the public one.
    """
    return ("--no-index",) if environ.get("UV_NO_INDEX", "").lower() in _TRUE else ()


def find_uv() -> str:
    """Find the binary that the package ``uv`` brings."""
    import uv  # noqa: PLC0415  # start-up: only what solves pays

    try:
        # sysconfig, which it asks, fills its table without a lock (Python 3.11).
        with _finding:
            return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise ResolveError("uv's binary is missing", hint="install the Python package uv again") from error


def configuration_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Give the configuration files of uv on this machine that are there, the strongest last.

    As uv documents ("Configuration files"): the system's, then the user's; UV_CONFIG_FILE stands for both.
    """
    named = environ.get("UV_CONFIG_FILE")
    if named:
        candidates = [Path(named)]
    else:
        system = [Path(folder) / "uv/uv.toml" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
        home = Path(environ.get("HOME", "/nonexistent"))
        user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "uv/uv.toml"
        candidates = [*[path for path in (*system, Path("/etc/uv/uv.toml")) if path.is_file()][:1], user]
    return tuple(path for path in candidates if path.is_absolute() and path.is_file())


def read_configuration(environ: Mapping[str, str]) -> dict[str, object]:
    """Read the strongest of uv's configuration files; empty where there is none or it can't be read."""
    for path in reversed(configuration_files(environ)):
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
    return {}


def _fixed() -> list[str]:
    # The interpreter that runs us only answers what the target leaves open; naming it keeps uv from looking for one.
    return ["--python", sys.executable, "--no-python-downloads", "--no-header", "--no-annotate"]


def _is_passed(name: str) -> bool:
    return name in PASSED or (name.startswith("UV_INDEX_") and name.endswith(("_USERNAME", "_PASSWORD")))
