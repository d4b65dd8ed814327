"""JSON objects with secrets in them, read strictly: no error says anything of what stands in one. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn


def parse_object(data: bytes, *, limit: int) -> Mapping[str, object]:
    """Read one JSON object of at most ``limit`` bytes; anything else is a ValueError that says why."""
    if len(data) > limit:
        raise ValueError(f"it is larger than {limit} bytes")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON, in line {error.lineno}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # one kind of error for everything from outside
    return value


def text_of(value: Mapping[str, object], name: str) -> str:
    """Give a field's text, an empty one where it is missing or null; anything else is a ValueError."""
    found = value.get(name)
    if found is None:
        return ""
    if not isinstance(found, str) or not _is_utf8(found):
        raise ValueError(f"`{name}` is no text")
    return found


def mapping_of(value: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Give an object inside, an empty one where it is missing or null; anything else is a ValueError."""
    found = value.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"`{name}` is no object")  # noqa: TRY004  # as above
    return found


def _is_utf8(text: str) -> bool:
    """Tell whether there is no lone surrogate in a text."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in it")
    return value


def _refuse(_: str) -> NoReturn:
    raise ValueError("a number in it is none")
