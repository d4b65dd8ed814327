"""Locks of user-managed environments: what an interpreter has, as found and never healed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clients import process
from reconciler.clients.interpreter import find_user_interpreter, this_platform
from reconciler.errors import BuildError, ResolveError
from reconciler.lock import form
from reconciler.lock.model import Interpreter, Lock, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.ports import Resolution, Resolved
from reconciler.values.location import Location
from reconciler.values.pep import normalise

_LIMIT_S = 60.0
_HINT = "name a Python of version 3.8 or newer in python.interpreter_path"
_MAX_ANSWER = 16 << 20
_ANSWER = "answer.json"
# -I keeps the folder, the user's own packages and PYTHON* variables out of what is found. The answer goes to a file,
# because what starts with an interpreter (a .pth file, sitecustomize) may print. The first distribution of a name
# is the one that is imported.
_PROBE = """
import json, platform, sys
from importlib import metadata
name = sys.implementation.name
found = {}
for one in metadata.distributions():
    try:
        found.setdefault(one.metadata["Name"], one.version)
    except Exception:
        pass
tag = "cp" if name == "cpython" else name
answer = {
    "implementation": name,
    "version": platform.python_version(),
    "abi": "%s%d%d%s" % (tag, sys.version_info[0], sys.version_info[1], getattr(sys, "abiflags", "")),
    "libc": ["macos", platform.mac_ver()[0]] if sys.platform == "darwin" else list(platform.libc_ver()),
    "packages": {key: value for key, value in found.items() if key and value},
}
with open(sys.argv[1], "w") as file:
    json.dump(answer, file)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedResolver:
    """Implements :class:`reconciler.ports.Resolver` for ``python.user_managed_dependencies``.

    The interpreter is started, so only where builds are allowed too: in ``lock`` and ``apply``.
    """

    environ: Mapping[str, str] = field(repr=False)
    limit_s: float = _LIMIT_S

    def resolve(self, resolution: Resolution) -> Resolved:
        """Ask the interpreter what it is and has."""
        desired = resolution.desired
        where = desired.manifest.locate("python.interpreter_path")
        if not resolution.build_allowed:
            raise ResolveError("a user-managed environment is observed only in lock and apply", where=where)
        platform = this_platform()
        if set(desired.manifest.platforms) != {platform}:
            raise ResolveError(
                f"a user-managed environment can only be observed on its own platform, and this machine is {platform}",
                where=desired.manifest.locate("platforms"),
                hint=f"write platforms: [{platform}]",
            )
        lock = self._observe(desired, where)
        _check_version(desired, lock.interpreter.version)
        return Resolved(lock=Lock(inputs=desired.inputs, platforms={platform: lock}))

    def _observe(self, desired: Desired, where: Location) -> PlatformLock:
        interpreter = _find(desired.manifest.python.interpreter_path, where)
        kept = {name: value for name, value in self.environ.items() if name in {"HOME", "LANG", "PATH"}}
        with tempfile.TemporaryDirectory(prefix="reconciler-probe-") as name:
            folder = Path(name)
            argv = [str(interpreter), "-I", "-B", "-c", _PROBE, str(folder / _ANSWER)]
            try:
                done = process.run(argv, folder=folder, environ=kept, limit_s=self.limit_s)
            except ResolveError as error:
                raise ResolveError(error.message, where=where, hint=_HINT) from error
            try:
                with (folder / _ANSWER).open("rb") as file:
                    return parse_observation(file.read(_MAX_ANSWER).decode())
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                said = done.stderr.strip()[:2000]
        raise ResolveError(
            f"the interpreter {os.fspath(interpreter)!a} does not tell what it has",
            where=where,
            hint=_HINT,
            detail=said or None,
        )


def parse_observation(text: str) -> PlatformLock:
    """Read what the probe printed; anything else is a ValueError, a KeyError or a TypeError."""
    found = json.loads(text)
    libc, version = found["libc"]
    packages = {normalise(name): str(version) for name, version in found["packages"].items()}
    kept = {
        name: version
        for name, version in sorted(packages.items())
        if not form.refusal("name", name) and not form.refusal("version", version)
    }
    return PlatformLock(
        interpreter=Interpreter(
            implementation=_checked("implementation", found["implementation"]),
            version=_checked("python version", found["version"]),
            abi=_checked("abi", found["abi"]),
            provider="user",
        ),
        # Python tells nothing of musl.
        libc=_checked("libc", f"{libc or 'musl'} {'.'.join((version or '1.0').split('.')[:2])}"),
        observed=kept,
    )


def _checked(kind: str, text: str) -> str:
    reason = form.refusal(kind, text)
    if reason is not None:
        raise ValueError(reason)
    return text


def _check_version(desired: Desired, found: str) -> None:
    """Hold an interpreter to the version that the manifest writes; the default asks for none."""
    wanted = desired.manifest.python.version
    if "python.version" not in desired.manifest.lines or f"{found}.".startswith(f"{wanted}."):
        return
    raise ResolveError(
        f"the interpreter is Python {found}, and the manifest says {wanted}",
        where=desired.manifest.locate("python.version"),
        hint=f"write version: {'.'.join(found.split('.')[:2])}, or name another python.interpreter_path",
    )


def _find(path: str | None, where: Location) -> Path:
    try:
        return find_user_interpreter(path)
    except BuildError as error:
        raise ResolveError(error.message, where=where, hint=error.hint) from error
