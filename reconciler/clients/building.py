"""Wheels made from source distributions by uv: apart from everything, in a folder that is gone afterwards.

What is built runs code of whoever wrote it. It sees no file of a repository beside it, neither the user's home nor
caches; uv takes what building needs as wheels alone, so that no other code is built on the way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reconciler.clients import child
from reconciler.clients.installer import ADDRESS, DISK, NO_ANSWER
from reconciler.clients.interpreter import find_interpreter
from reconciler.clients.uv import Uv, find_uv, switches
from reconciler.errors import BuildError, ReconcilerError, StoreError, UnavailableError

LIMIT_S = 3600.0
"""Seconds that one build may take."""
EPOCH = "315532800"
"""What time it is in a wheel: the first that its archive can hold, 1980 **[format]**."""
UMASK = 0o022
_TAIL = 60
_SHORT = 5
"""A user's name of so many letters is no token."""
_FIXED = {
    "SOURCE_DATE_EPOCH": EPOCH,
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONNOUSERSITE": "1",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
_OF_THE_USER = frozenset(
    ["USER", "LOGNAME", "UV_NO_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_DATA_HOME"]
)
_SECRET = re.compile(r"_(?:USERNAME|PASSWORD)\Z")


def build_wheel(uv: Uv, sdist: Path, folder: Path, *, python: str, index: Mapping[str, str]) -> Path:
    """Make a wheel in ``folder``, which is empty, for a Python like ``3.11``, and say where it is.

    ``index`` are uv's variables that tell where what building needs comes from; they may hold passwords, and none is
    shown. What fails is a BuildError with the end of what was said, an index without an answer an UnavailableError, a
    full disk a StoreError.
    """
    interpreter = find_interpreter(uv, python)
    environ = _environ(uv, folder, index)
    made = folder / "made"
    options = ["--wheel", "--no-build", "--no-sources", "--no-create-gitignore", "--no-python-downloads"]
    argv = [find_uv(), "build", *uv.configuration(), *switches(environ), *options]
    argv += [f"--python={interpreter}", f"--out-dir={made}", "--", str(sdist)]
    work = folder / "work"
    work.mkdir()
    done = child.run(argv, folder=work, environ=environ, limit_s=LIMIT_S, umask=UMASK)
    if done.status:
        raise _failure(sdist.name, done, {**uv.environ, **environ}, folder)
    wheels = sorted(made.glob("*.whl"))
    if len(wheels) != 1:
        raise BuildError(f"{sdist.name} was built, and {len(wheels)} wheels came of it")
    return wheels[0]


def _environ(uv: Uv, folder: Path, index: Mapping[str, str]) -> dict[str, str]:
    """Choose what is seen: where indexes are and how they are reached, and nothing else of the user's."""
    passed = {name: value for name, value in {**uv.variables(), **index}.items() if name not in _OF_THE_USER}
    netrc = Path(uv.environ.get("HOME", "/nonexistent")) / ".netrc"
    if netrc.is_file():
        passed.setdefault("NETRC", str(netrc))
    own = {"HOME": "home", "TMPDIR": "tmp", "UV_CACHE_DIR": "cache"}
    for name in own.values():
        (folder / name).mkdir()
    return {**passed, **_FIXED, **{variable: str(folder / name) for variable, name in own.items()}}


def _failure(file: str, done: child.Done, environ: Mapping[str, str], folder: Path) -> ReconcilerError:
    said = _without_secrets(done.output.replace(str(folder), "."), environ).strip()
    detail = "\n".join(said.splitlines()[-_TAIL:]) or None
    causes = "\n".join(line for line in said.splitlines() if line.lstrip().startswith(("error:", "cause:")))
    if DISK.search(causes):
        return StoreError(f"the disk refused the build of {file}", hint="free space there and run again", detail=detail)
    if NO_ANSWER.search(causes):
        return UnavailableError(
            f"the package index does not answer for what building {file} needs",
            hint="run again later, or check uv's settings",
            detail=detail,
        )
    return BuildError(
        f"{file} could not be built",
        hint="what it said is below; C code needs a compiler and Python's headers (python3-dev) on this machine",
        detail=detail,
    )


def _without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """Leave out addresses, and whatever of the settings is a name or a password for one."""
    secrets = {value for name, value in environ.items() if _SECRET.search(name)}
    for address in (address for value in environ.values() for address in ADDRESS.findall(value)):
        parts = urlsplit(address)
        secrets |= {parts.password or "", parts.username if parts.username and len(parts.username) > _SHORT else ""}
    for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "****")
    return ADDRESS.sub("<address>", text)
