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

_LIMIT_S = 60
# -I keeps the folder, the user's own packages and PYTHON* variables out of what is found.
_PROBE = """
import json, platform, sys, sysconfig
from importlib import metadata
name = sys.implementation.name
found = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
tag = "cp" if name == "cpython" else name
print(json.dumps({
    "implementation": name,
    "version": platform.python_version(),
    "abi": "%s%d%d%s" % (tag, *sys.version_info[:2], getattr(sys, "abiflags", "")),
    "libc": ["macos", platform.mac_ver()[0]] if sys.platform == "darwin" else list(platform.libc_ver()),
    "packages": found,
}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedResolver:
    """Implements :class:`reconciler.ports.Resolver` for ``python.user_managed_dependencies``.

    The interpreter is started, so only where builds are allowed too: in ``lock`` and ``apply``.
    """

    environ: Mapping[str, str] = field(repr=False)

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
        return Resolved(lock=Lock(inputs=desired.inputs, platforms={platform: lock}))

    def _observe(self, desired: Desired, where: Location) -> PlatformLock:
        interpreter = _find(desired.manifest.python.interpreter_path, where)
        kept = {name: value for name, value in self.environ.items() if name in {"HOME", "LANG", "PATH"}}
        with tempfile.TemporaryDirectory(prefix="reconciler-probe-") as folder:
            argv = [str(interpreter), "-I", "-B", "-c", _PROBE]
            done = process.run(argv, folder=Path(folder), environ=kept, limit_s=_LIMIT_S)
        try:
            if done.status == 0:
                return parse_observation(done.stdout)
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise ResolveError(
            f"the interpreter {os.fspath(interpreter)!a} does not tell what it has",
            where=where,
            hint="name a Python of version 3.8 or newer in python.interpreter_path",
            detail=done.stderr.strip()[:2000] or None,
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


def _find(path: str | None, where: Location) -> Path:
    try:
        return find_user_interpreter(path)
    except BuildError as error:
        raise ResolveError(error.message, where=where, hint=error.hint) from error
