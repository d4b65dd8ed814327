"""docker's credential helpers: ``docker-credential-NAME get``, asked on its input, answering on its output.

A helper is a program of the machine's owner, found on PATH outside the repository. It gets the caller's environment,
since it needs a home, a session's keyring, a cloud's settings. What it says is secret, so no error repeats it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from reconciler.clients import child, process
from reconciler.clients.registry.objects import parse_object, text_of
from reconciler.errors import BuildError, DeniedError, ResolveError

LIMIT_S = 30.0
MAX_OUTPUT = 1 << 18
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MISSING = "credentials not found"


def ask_helper(name: str, host: str, environ: Mapping[str, str], *, outside: Path | None) -> tuple[str, str] | None:
    """Ask a helper for a host's user and secret; none where it has none.

    A helper that is not there, fails, or takes longer than :data:`LIMIT_S` is a DeniedError that names it.
    """
    if _NAME.fullmatch(name) is None:
        raise DeniedError("docker's settings name a credential helper that is no program's name", hint=_settings(host))
    program = f"docker-credential-{name}"
    path = environ.get("PATH", os.defpath)
    safe = os.pathsep.join(str(folder) for folder in process.folders(path, outside=outside))
    try:
        found = process.program(program, path, outside=outside)
    except ResolveError:
        hint = f"install it in a folder of PATH outside the repository, or {_settings(host)}"
        raise DeniedError(f"docker's settings name {program}, which is not installed", hint=hint) from None
    try:
        done = child.converse(
            [str(found), "get"],
            f"{host}\n",
            folder=Path("/"),
            environ={**environ, "PATH": safe},
            limit_s=LIMIT_S,
            max_bytes=MAX_OUTPUT,
        )
    except BuildError as error:
        raise DeniedError(error.message.replace(str(found), program), hint=_again(program, host)) from None
    if done.status:
        if _MISSING in done.output.lower():
            return None
        raise DeniedError(f"{program} fails for {host} (status {done.status})", hint=_again(program, host))
    return _answer(program, host, done.stdout)


def _answer(program: str, host: str, text: str) -> tuple[str, str] | None:
    try:
        value = parse_object(text.encode("utf-8"), limit=MAX_OUTPUT)
        user, secret = text_of(value, "Username"), text_of(value, "Secret")
    except ValueError as error:
        said = f"{program} gives no answer that can be used for {host}: {error}"
        raise DeniedError(said, hint=_again(program, host)) from None
    return (user, secret) if secret else None


def _again(program: str, host: str) -> str:
    return f"see what it says: echo {host} | {program} get"


def _settings(host: str) -> str:
    return f"mend `credsStore` and `credHelpers` in docker's config.json, or sign in again: docker login {host}"
