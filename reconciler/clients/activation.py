"""The variables that a program in an environment sees. Pure: the caller's own are handed in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from reconciler.values.expansion import expand, references

_FOREIGN = ("PYTHONHOME", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")
"""They would send the interpreter, or who asks for it, to another one's library."""
_SHORTEST_SECRET = 4


def activate(
    environ: Mapping[str, str],
    programs: Path,
    variables: Mapping[str, str],
    *,
    environment: Path | None = None,
) -> dict[str, str]:
    """Give the caller's variables with the environment's over them, and the folder of its programs first on PATH.

    ``programs`` is the ``bin`` of a virtual environment (``environment``), or of a user-managed interpreter.
    """
    active = {name: value for name, value in environ.items() if name not in _FOREIGN}
    active["PYTHONNOUSERSITE"] = "1"
    active.update(variables)
    active["PATH"] = os.pathsep.join(filter(None, (str(programs), active.get("PATH", os.defpath))))
    if environment is not None:
        active["VIRTUAL_ENV"] = str(environment)
    return active


def expand_known(variables: Mapping[str, str], environ: Mapping[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """Expand what this machine knows; give the variables (those that it doesn't are left out) and the secrets."""
    known = {
        name: expand(value, environ)
        for name, value in variables.items()
        if all(reference in environ for reference in references(value))
    }
    secrets = {environ[reference] for name in known for reference in references(variables[name])}
    return known, frozenset(secrets)


def hide(text: str, secrets: Iterable[str]) -> str:
    """Put ``***`` where a secret stands, the longest first. One so short that it is in every text stays."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text
