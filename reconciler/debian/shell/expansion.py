"""From words to fields (POSIX.1-2017, Word Expansions): variables, substitutions, splitting, patterns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from reconciler.debian.shell.syntax import (
    UNKNOWN_OPERATOR,
    Body,
    Literal,
    Substitution,
    UnreadableError,
    Variable,
    Word,
)
from reconciler.debian.shell.truth import UNKNOWN_MARK, certainty

_SPECIAL = re.compile(r"[*?]|\[.+\]")
_QUOTE = re.compile(r"([*?\[\]])")
Pieces = list[list[tuple[str, bool]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What words can refer to: variables, arguments, what commands print, names that match a pattern."""

    variables: Mapping[str, str]
    arguments: Sequence[str]
    capture: Callable[[Body], str]
    glob: Callable[[str], Sequence[str]]


def fields_of(word: Word, scope: Scope) -> list[str]:
    """Expand a word to the fields that it is."""
    fields: Pieces = [[]]
    for part in word:
        _extend(fields, part, scope)
    found: list[str] = []
    for field in fields:
        if field:
            found += _names(field, scope)
    return found


def text_of(word: Word, scope: Scope) -> str:
    """Expand a word to one text, as in an assignment: neither split nor matched with names."""
    return "".join(_text(part, scope) for part in word)


def pattern_of(word: Word, scope: Scope) -> str:
    """Expand a word to a pattern, in which what was quoted stands for itself."""
    return "".join(_QUOTE.sub(r"[\1]", _text(part, scope)) if part.is_quoted else _text(part, scope) for part in word)


def matches(text: str, pattern: str) -> bool:
    """Tell whether a text matches a pattern of the shell."""
    return re.fullmatch(translate(pattern), text) is not None


def _names(field: Sequence[tuple[str, bool]], scope: Scope) -> Sequence[str]:
    text = "".join(piece for piece, _ in field)
    if not any(_SPECIAL.search(piece) for piece, is_quoted in field if not is_quoted) or certainty(text).is_open:
        return [text]
    pattern = "".join(_QUOTE.sub(r"[\1]", piece) if is_quoted else piece for piece, is_quoted in field)
    return scope.glob(pattern) or [text]


def _extend(fields: Pieces, part: Literal | Variable | Substitution, scope: Scope) -> None:
    if isinstance(part, Variable) and part.name == "@" and part.is_quoted:
        for place, argument in enumerate(scope.arguments):
            if place:
                fields.append([])
            fields[-1].append((argument, True))
        return
    text = _text(part, scope)
    if isinstance(part, Literal) or part.is_quoted:
        fields[-1].append((text, part.is_quoted))
        return
    pieces = text.split()
    if text[:1].isspace() and fields[-1]:
        fields.append([])
    for place, piece in enumerate(pieces):
        if place:
            fields.append([])
        fields[-1].append((piece, False))
    if pieces and text[-1:].isspace():
        fields.append([])


def _text(part: Literal | Variable | Substitution, scope: Scope) -> str:
    if isinstance(part, Literal):
        return part.text
    if isinstance(part, Substitution):
        return scope.capture(part.body)
    return _parameter(part, scope)


def _parameter(part: Variable, scope: Scope) -> str:
    if part.operator == UNKNOWN_OPERATOR:
        raise UnreadableError("they have an expansion that is not known")
    value = _value(part.name, scope)
    operator = part.operator
    if operator == "length":
        return str(len(value or "")) if not certainty(value or "").is_open else UNKNOWN_MARK
    is_there = value is not None and (bool(value) or not operator.startswith(":"))
    if operator.endswith(("-", "=")):
        return value or "" if is_there else text_of(part.word, scope)
    if operator.endswith("+"):
        return text_of(part.word, scope) if is_there else ""
    if operator.endswith("?") and not is_there:
        raise UnreadableError(f"the variable {part.name}, which is not set")
    if operator[:1] in ("%", "#"):
        return _cut(value or "", operator, pattern_of(part.word, scope))
    return value or ""


def _value(name: str, scope: Scope) -> str | None:
    if name in ("@", "*"):
        return " ".join(scope.arguments)
    if name == "#":
        return str(len(scope.arguments))
    if name in ("?", "!", "$", "-"):
        return UNKNOWN_MARK
    if name.isdecimal():
        place = int(name)
        return None if place > len(scope.arguments) else scope.arguments[place - 1] if place else "postinst"
    return scope.variables.get(name)


def _cut(text: str, operator: str, pattern: str) -> str:
    if certainty(text, pattern).is_open:
        return text + pattern
    is_long, length = len(operator) > 1, len(text)
    places = range(length + 1)
    if operator[0] == "%":
        order = places if is_long else reversed(places)
        return next((text[:place] for place in order if matches(text[place:], pattern)), text)
    order = reversed(places) if is_long else places
    return next((text[place:] for place in order if matches(text[:place], pattern)), text)
