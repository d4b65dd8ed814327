"""References to variables, ``${NAME}``: kept as written everywhere, expanded only where a program is started. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def references(text: str) -> tuple[str, ...]:
    """List the names that a text refers to, in order, each once."""
    return tuple(dict.fromkeys(_REFERENCE.findall(text)))


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Put in what the names stand for; what comes in is not expanded again. An unset name is a KeyError."""
    return _REFERENCE.sub(lambda reference: environ[reference.group(1)], text)
