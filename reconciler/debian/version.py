"""Versions of Debian packages: how they are written, and which of two is later (Debian Policy 5.6.12)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, total_ordering

_FORM = re.compile(r"(?:([0-9]{1,9}):)?([0-9A-Za-z.+~:-]+?)(?:-([0-9A-Za-z.+~]+))?", re.ASCII)
_PAIRS = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)
_LONGEST = 300
_BEHIND_LETTERS = 1000

_Pair = tuple[tuple[int, ...], int]


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A version; versions are equal where neither is later, whatever they are written like (``1.0`` and ``0:1.0-0``).

    ``text`` is as written, ``key`` what they are sorted by.
    """

    text: str
    key: tuple[int, tuple[_Pair, ...], tuple[_Pair, ...]]

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.key == other.key

    def __lt__(self, other: Version) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=1 << 14)
def parse_version(text: str) -> Version:
    """Read ``[EPOCH:]UPSTREAM[-REVISION]``; what is none is a ValueError."""
    match = _FORM.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None or not match[2][0].isdigit():
        raise ValueError(f"{text[:60]!a} is no version of a Debian package")
    epoch, upstream, revision = match.groups()
    if epoch is None and ":" in upstream:
        raise ValueError(f"{text[:60]!a} is no version of a Debian package: its epoch is no number")
    return Version(text, (int(epoch or "0"), _pairs(upstream), _pairs(revision or "")))


def _pairs(part: str) -> tuple[_Pair, ...]:
    """Split into what is no digit and the number behind it, in turn; the end is later than ``~`` alone."""
    return tuple(((*map(_weight, letters), 0), int(digits or "0")) for letters, digits in _PAIRS.findall(part or "0"))


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + _BEHIND_LETTERS
