"""One spelling for a value, so that equal values have equal digests.

The form is that of RFC 8785 (JSON canonicalisation) for the values that occur here: objects with text keys,
arrays, text, integers, booleans and null. Floating-point numbers are refused: nothing in a manifest, a lock or a
record is one.
"""

from __future__ import annotations

import json
from typing import TypeAlias

from reconciler.values.digest import Digest

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def to_canonical(value: Json) -> bytes:
    """Write the canonical form, as UTF-8. A float, a non-text key or a lone surrogate is a ValueError."""
    text = _encode(value)
    if _may_hold_float(text):
        _refuse_floats(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text with a lone surrogate has no canonical form") from error


def digest_of(value: Json) -> Digest:
    """Hash the canonical form."""
    return Digest.of(to_canonical(value))


def _may_hold_float(text: str) -> bool:
    return "." in text or "e" in text or "E" in text


def _refuse_floats(value: object) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float):
            raise ValueError(f"a floating-point number has no canonical form: {item!r}")  # noqa: TRY004
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)
