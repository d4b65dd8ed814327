"""Credentials by name: a manifest says which one, the machine's environment has it.

``registry-reader`` is in ``RECONCILER_CREDENTIAL_REGISTRY_READER_USERNAME`` and ``…_PASSWORD``; ``…_HOST`` says, where
it is set, which registry alone may see it. ``${NAME}`` is a variable that holds ``USER:PASSWORD``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.clients.registry.credentials import Credential
from reconciler.errors import DeniedError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def named_credential(environ: Mapping[str, str], name: str, host: str) -> Credential | None:
    """Find what a name stands for; none where nothing is set. Half of one, or one for another host: DeniedError."""
    variable = _VARIABLE.fullmatch(name)
    if variable is not None:
        return _whole(environ, variable[1], host)
    user, password, only = (f"{_stem(name)}_{part}" for part in ("USERNAME", "PASSWORD", "HOST"))
    bound = environ.get(only)
    if bound and bound.lower() != host.lower():
        raise DeniedError(
            f"the credential {name} is not for {host}",
            hint=f"{only} names another registry; mend one of them",
        )
    found = {variable: environ.get(variable, "") for variable in (user, password)}
    if not any(found.values()):
        return None
    for variable_name, value in found.items():
        if not value:
            raise DeniedError(f"the credential {name} is not whole", hint=f"set {variable_name} as well")
    return _credential(found[user], found[password], source=user.removesuffix("_USERNAME"))


def missing(name: str, host: str) -> DeniedError:
    """Say what to set for a name that stands for nothing on this machine."""
    variable = _VARIABLE.fullmatch(name)
    stem = _stem(name)
    wanted = f"{variable[1]} to USER:PASSWORD" if variable else f"{stem}_USERNAME and {stem}_PASSWORD"
    return DeniedError(
        f"{host} wants a credential, and {name} is not set on this machine",
        hint=f"set {wanted}, or sign in: docker login {host}",
    )


def _stem(name: str) -> str:
    return f"RECONCILER_CREDENTIAL_{re.sub('[.-]', '_', name).upper()}"


def _whole(environ: Mapping[str, str], variable: str, host: str) -> Credential | None:
    text = environ.get(variable, "")
    user, colon, password = text.partition(":")
    if text and not (user and colon and password):
        raise DeniedError(f"{variable} holds no credential for {host}", hint=f"set {variable} to USER:PASSWORD")
    return Credential(username=user, password=password, source=variable) if text else None


def _credential(user: str, password: str, *, source: str) -> Credential:
    if ":" in user:
        raise DeniedError(f"the user of {source} has a colon in its name, which HTTP can't say", hint=f"mend {source}")
    return Credential(username=user, password=password, source=source)
