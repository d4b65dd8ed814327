"""JSON that came from outside, read strictly: one meaning for every reader, or none.

A document that two parsers read differently can show one image to a check and another to a user, so duplicate keys,
NaN, floating-point numbers, other encodings than UTF-8 and keys that differ from a field by case alone are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NoReturn, cast

from reconciler.values.canonical import Json

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest or an index; distribution-spec 1.1 lets registries refuse more."""


def parse_object(data: bytes, *, limit: int = MAX_MANIFEST) -> dict[str, Json]:
    """Read one JSON object of at most ``limit`` bytes; anything else is a ValueError that says why."""
    return as_object(_parse(data, limit), "")


def parse_array(data: bytes, *, limit: int = MAX_MANIFEST) -> list[Json]:
    """Read one JSON array of at most ``limit`` bytes; anything else is a ValueError that says why."""
    return as_array(_parse(data, limit), "")


def _parse(data: bytes, limit: int) -> Json:
    if len(data) > limit:
        raise ValueError(f"larger than {limit} bytes")
    try:
        value = cast("Json", _decode(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if b"\\u" in data:
        _refuse_surrogates(value)
    return value


def as_object(value: object, path: str) -> dict[str, Json]:
    """Take an object; anything else is a ValueError that begins with ``path``."""
    if type(value) is not dict:
        _refuse(value, path, "an object")
    return cast("dict[str, Json]", value)


def as_array(value: object, path: str) -> list[Json]:
    """Take an array; anything else is a ValueError that begins with ``path``."""
    if type(value) is not list:
        _refuse(value, path, "an array")
    return cast("list[Json]", value)


def as_text(value: object, path: str) -> str:
    """Take a text; anything else is a ValueError that begins with ``path``."""
    if type(value) is not str:
        _refuse(value, path, "text")
    return value


def as_integer(value: object, path: str) -> int:
    """Take an integer (a boolean is none); anything else is a ValueError that begins with ``path``."""
    if type(value) is not int:
        _refuse(value, path, "an integer")
    return value


def as_texts(value: object, path: str) -> Mapping[str, str]:
    """Take an object whose values are all text; anything else is a ValueError that begins with ``path``."""
    fields = as_object(value, path)
    for name, item in fields.items():
        if type(item) is not str:
            _refuse(item, f"{path}.{name}", "text")
    return cast("dict[str, str]", fields)


def refuse_lookalikes(value: Mapping[str, object], fields: AbstractSet[str], path: str) -> None:
    """Refuse a key that is a field in other case: Go's JSON reader, and so most registries, would take it for it."""
    for key in value.keys() - fields:
        if any(key.casefold() == field.casefold() for field in fields):
            raise ValueError(f"{path}: {key[:60]!r} is not how this field is written")


def _refuse(value: object, path: str, wanted: str) -> NoReturn:
    found = "missing" if value is None else f"{type(value).__name__} instead of {wanted}"
    raise ValueError(f"{path}: {found}" if path else found)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:40]} is no integer")


def _refuse_surrogates(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("text with a lone surrogate") from error


_decode = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
).decode
