"""Text from manifests, registries and other programs, made harmless for a terminal, a CI log and a reader."""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"
# What continuous integration takes for a command wherever it stands in a line: ##[error], ##vso[task], ##teamcity[…].
_LOG_COMMAND = re.compile(r"##(?=[A-Za-z]*\[)")
# GitHub takes a line for a command that begins with two colons, after blanks.
_LINE_COMMAND = re.compile(r"^(\s*):(?=:)")
_PLAIN = re.compile(r"[\x20-\x22\x24-\x7e]*")
# Controls, formats (bidi, zero-width), surrogates, private use, unassigned, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def inert(text: str, limit: int | None = None) -> str:
    """Escape what is not seen or would be taken for a command; one line, at most ``limit`` cells wide."""
    if limit is not None and len(text) > 4 * limit:
        text = text[: 2 * limit] + ELLIPSIS + text[-2 * limit :]
    if _PLAIN.fullmatch(text) is None or "::" in text:
        text = "".join(map(_escaped, text)) if not text.isascii() or not text.isprintable() else text
        text = _LINE_COMMAND.sub(r"\1\\x3a", _LOG_COMMAND.sub(r"#\\x23", text))
    return text if limit is None else cut(text, limit)


def cells(text: str) -> int:
    """Count the cells of a terminal that a text takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_cell, text))


def cut(text: str, limit: int) -> str:
    """Cut a text in its middle, so that it is at most ``limit`` cells wide; its beginning and its end tell most."""
    if cells(text) <= limit:
        return text
    head, tail = _fit(text, (limit - 1) - (limit - 1) // 3), _fit(text[::-1], (limit - 1) // 3)
    return f"{head}{ELLIPSIS}{tail[::-1]}" if limit > 0 else ""


def pad(text: str, width: int) -> str:
    """Fill a text with spaces to a width in cells."""
    return text + " " * (width - cells(text))


def _fit(text: str, limit: int) -> str:
    used = 0
    for position, character in enumerate(text):
        used += _cell(character)
        if used > limit:
            return text[:position]
    return text


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("ascii", "backslashreplace").decode() if character > "\x7f" else ascii(character)[1:-1]
