"""How findings are worded: values that may be shown, and the word that was probably meant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 60
_SECRET_WORDS = (
    "SECRET",
    "SECRETS",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
)
_SECRET_ENDS = ("TOKEN", "PASSWORD", "PASSWD", "SECRET", "APIKEY", "SECRETKEY", "ACCESSKEY")
# What such a variable says about a secret without being one: where it is, how long, what it is called.
_HARMLESS_ENDS = frozenset(
    [
        "FILE",
        "PATH",
        "DIR",
        "NAME",
        "ID",
        "URL",
        "URI",
        "LIMIT",
        "LENGTH",
        "LEN",
        "SIZE",
        "COUNT",
        "TYPE",
        "TTL",
        "HEADER",
    ]
)
_WORD = re.compile(r"[A-Z0-9]+")


def quoted(text: str) -> str:
    """Show a value in ASCII, cut to a readable length; one that may hold a credential is not shown."""
    if "@" in text or "://" in text:
        return "(not shown: it may hold a credential)"
    return ascii(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """Find the known word that was probably meant, if one is close enough."""
    names = list(known)
    plain = word[:_SHOWN].lower().replace("-", "_")
    for name in names:
        if name.lower().replace("-", "_") == plain:
            return name
    close = get_close_matches(plain, names, n=1, cutoff=0.7)
    return close[0] if close else None


def listed(words: Iterable[str]) -> str:
    """Write ``a, b or c``."""
    names = list(words)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def is_secret_name(name: str) -> bool:
    """Tell whether a variable of this name holds a secret: ``HF_TOKEN`` does, ``TOKEN_LIMIT`` does not."""
    words = _WORD.findall(name[:256].upper())
    if not words or words[-1] in _HARMLESS_ENDS:
        return False
    return words[-1] == "KEY" or any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDS) for word in words)


def is_secret_path(field: str) -> bool:
    """Tell whether any part of a field's path is a secret's name."""
    return any(is_secret_name(part) for part in re.split(r"[.\[]", field))
