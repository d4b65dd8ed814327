"""One spelling for a value, so that equal values have equal digests.

The form is that of RFC 8785 (JSON canonicalisation) for the values that occur here: objects with text keys,
arrays, text, integers, booleans and null. Floating-point numbers are refused: nothing in a manifest, a lock or a
record is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TypeAlias

from reconciler.values.digest import Digest

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

_FORM = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
)
# A digit with a point or an exponent, where a value can stand; a text that looks so is looked at again.
_LIKE_A_FLOAT = re.compile(r"(?:^|[\[:,])-?[0-9]+[.eE]")


def _encoder() -> Callable[[Json], str]:
    """Make the C encoder once: ``JSONEncoder.encode`` makes one for each value, which takes longer than encoding."""
    make = json.encoder.c_make_encoder  # type: ignore[attr-defined]  # typeshed does not know it
    if make is None:
        return _FORM.encode
    text = json.encoder.encode_basestring
    encode = make(None, _FORM.default, text, None, ":", ",", True, False, False)  # noqa: FBT003  # no keywords there
    return lambda value: "".join(encode(value, 0))


_encode = _encoder()


def to_canonical(value: Json) -> bytes:
    """Write the canonical form, as UTF-8. A float, a non-text key or a lone surrogate is a ValueError."""
    text = _encode(value)
    if _LIKE_A_FLOAT.search(text):
        _refuse_floats(value)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text with a lone surrogate has no canonical form") from error


def digest_of(value: Json) -> Digest:
    """Hash the canonical form."""
    return Digest.of(to_canonical(value))


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
