"""References to variables, ``${NAME}``: kept as written everywhere, expanded only where a program is started. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.errors import UsageError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def references(text: str) -> tuple[str, ...]:
    """List the names that a text refers to, in order, each once."""
    return tuple(dict.fromkeys(_REFERENCE.findall(text)))


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Put in what the names stand for; what comes in is not expanded again. An unset name is a UsageError."""
    return _REFERENCE.sub(lambda reference: _value(reference.group(1), environ), text)


def _value(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise UsageError(f"the variable {name} is not set", hint=f"set {name}, which the environment refers to")
    return environ[name]
