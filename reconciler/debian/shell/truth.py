"""Whether a command succeeds, as far as that can be said before a root is there, or without running it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

LATER_MARK, UNKNOWN_MARK = "\ue000", "\ue001"
"""What stands in a text for a part that is known when the root is there, or never."""


class Truth(Enum):
    """``LATER`` is known when the root is there, ``UNKNOWN`` never."""

    YES = "yes"
    NO = "no"
    LATER = "later"
    UNKNOWN = "unknown"

    @property
    def is_open(self) -> bool:
        """Tell whether it is neither yes nor no."""
        return self in (Truth.LATER, Truth.UNKNOWN)

    def __invert__(self) -> Truth:
        return {Truth.YES: Truth.NO, Truth.NO: Truth.YES}.get(self, self)

    @staticmethod
    def of(value: object) -> Truth:
        """Give yes or no."""
        return Truth.YES if value else Truth.NO


def all_of(truths: Iterable[Truth]) -> Truth:
    """Give yes where all are."""
    found = set(truths)
    return next((truth for truth in (Truth.NO, Truth.UNKNOWN, Truth.LATER) if truth in found), Truth.YES)


def any_of(truths: Iterable[Truth]) -> Truth:
    """Give yes where one is."""
    return ~all_of(~truth for truth in truths)


def certainty(*texts: str) -> Truth:
    """Give yes where texts are known altogether."""
    whole = "".join(texts)
    return Truth.UNKNOWN if UNKNOWN_MARK in whole else Truth.LATER if LATER_MARK in whole else Truth.YES


def mark(truth: Truth) -> str:
    """Give the mark of what is open."""
    return UNKNOWN_MARK if truth is Truth.UNKNOWN else LATER_MARK
