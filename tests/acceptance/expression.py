"""The part of GitHub's expression language that this repository's workflows use; anything else is an error.

Literals in single quotes, dotted names, ``== != && || !``, parentheses, and the status functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = "str | bool | Mapping[str, Value] | None"

_TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[A-Za-z_][\w.-]*|==|!=|&&|\|\||[!()])")
_INTERPOLATION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)


class UnknownExpressionError(Exception):
    """A workflow uses what this evaluator was not taught."""


@dataclass(kw_only=True, slots=True)
class Scope:
    """What names mean: contexts (``github``, ``steps``), and whether a step failed before."""

    contexts: Mapping[str, Value]
    failed: bool = False

    def evaluate(self, expression: str) -> Value:
        """Work out one expression, without its ``${{ }}``."""
        return _Parser(tokens=_tokens(expression), scope=self).whole()

    def interpolate(self, text: str) -> str:
        """Replace every ``${{ }}`` in a text, once: what comes in is not read again."""
        return _INTERPOLATION.sub(lambda match: _text(self.evaluate(match[1])), text)

    def condition(self, text: str | None) -> bool:
        """Decide an ``if:``; one that names no status function also wants that nothing failed."""
        if text is None:
            return not self.failed
        stripped = text.removeprefix("${{").removesuffix("}}")
        names_status = re.search(r"\b(always|failure|success|cancelled)\(\)", stripped) is not None
        return bool(self.evaluate(stripped)) and (names_status or not self.failed)

    def lookup(self, path: str) -> Value:
        """Follow a dotted name; the root must be known, what is not there below it is nothing."""
        root, *rest = path.split(".")
        if root not in self.contexts:
            raise UnknownExpressionError(f"no context {root!r} in {path!r}")
        value: Value = self.contexts[root]
        for part in rest:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def call(self, function: str) -> bool:
        """Answer a status function."""
        table: dict[str, Callable[[], bool]] = {
            "always": lambda: True,
            "failure": lambda: self.failed,
            "success": lambda: not self.failed,
            "cancelled": lambda: False,
        }
        if function not in table:
            raise UnknownExpressionError(f"no function {function!r}")
        return table[function]()


def _tokens(expression: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    text = expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnknownExpressionError(f"can't read {text[position:]!r}")
        tokens.append(match[1])
        position = match.end()
    return tokens


def _text(value: Value) -> str:
    if isinstance(value, Mapping):
        raise UnknownExpressionError("a context is no text")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""


@dataclass(kw_only=True, slots=True)
class _Parser:
    tokens: list[str]
    scope: Scope
    position: int = field(default=0)

    def whole(self) -> Value:
        value = self.either()
        if self.position != len(self.tokens):
            raise UnknownExpressionError(f"what is {self.tokens[self.position]!r} doing there?")
        return value

    def take(self, *wanted: str) -> str | None:
        if self.position < len(self.tokens) and (not wanted or self.tokens[self.position] in wanted):
            self.position += 1
            return self.tokens[self.position - 1]
        return None

    def either(self) -> Value:
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value or other
        return value

    def both(self) -> Value:
        value = self.comparison()
        while self.take("&&"):
            other = self.comparison()
            value = value and other
        return value

    def comparison(self) -> Value:
        value = self.single()
        operator = self.take("==", "!=")
        if operator is None:
            return value
        same = _text(value).lower() == _text(self.single()).lower()
        return same if operator == "==" else not same

    def single(self) -> Value:
        word = self.take()
        if word == "!":
            return not self.single()
        if word == "(":
            value = self.either()
            self.expect(")")
            return value
        if word is None or not (word.startswith("'") or word[0].isalpha() or word[0] == "_"):
            raise UnknownExpressionError(f"no value where {word!r} is")
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if self.take("("):
            self.expect(")")
            return self.scope.call(word)
        return self.scope.lookup(word)

    def expect(self, token: str) -> None:
        if self.take(token) is None:
            raise UnknownExpressionError(f"{token!r} is missing")
