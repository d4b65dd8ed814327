"""What a registry asks for where it answers 401: the challenges of ``WWW-Authenticate`` (RFC 9110, section 11.6.1).

The header comes from outside: what is no challenge is passed over, and what can be read counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MAX_LENGTH = 1 << 14
MAX_CHALLENGES = 16
MAX_PARAMETERS = 32
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # a grammar's word for it
_BETWEEN = re.compile(r"[ \t,]*")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,)|\Z)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|\Z))")
# Addresses stand without quotes too, in what some proxies write.
_PARAMETER = re.compile(
    rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*)"'
    r'|([^\s",\\\x00-\x1f\x7f]+))'
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """One challenge: its scheme and the names of its parameters in lower case. A token68 is left out."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(values: Sequence[str]) -> tuple[Challenge, ...]:
    """Read the challenges of one or several headers, in order; at most :data:`MAX_CHALLENGES`.

    Of a parameter that stands twice the first counts. A header of more than :data:`MAX_LENGTH` characters does not.
    """
    found: list[Challenge] = []
    for value in values[:MAX_CHALLENGES]:
        if len(value) <= MAX_LENGTH:
            found.extend(_challenges(value))
    return tuple(found[:MAX_CHALLENGES])


def _challenges(text: str) -> Iterator[Challenge]:
    scheme: str | None = None
    parameters: dict[str, str] = {}
    position, end = 0, len(text)
    while position < end:
        between = _BETWEEN.match(text, position)
        start = between.end() if between else position
        begins = position == 0 or "," in text[position:start]
        if scheme is not None and (pair := _PARAMETER.match(text, start)):
            _add(parameters, pair)
            position = pair.end()
        elif begins and (name := _SCHEME.match(text, start)):
            if scheme is not None:
                yield Challenge(scheme=scheme, parameters=parameters)
            scheme, parameters = name.group(1).lower(), {}
            blob = _TOKEN68.match(text, name.end())
            position = blob.end() if blob else name.end()
        else:
            position = text.find(",", max(start, position + 1)) % (end + 1)
    if scheme is not None:
        yield Challenge(scheme=scheme, parameters=parameters)


def _add(parameters: dict[str, str], pair: re.Match[str]) -> None:
    name, quoted, plain = pair.groups()
    if len(parameters) < MAX_PARAMETERS:
        parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPED.sub(r"\1", quoted))
