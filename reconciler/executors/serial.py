"""One after the other, in the caller's own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")


class Serial:
    """Does work in the order that it came in."""

    def map(self, work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[tuple[Input, Output]]:
        """Give each item with its result."""
        for item in items:
            yield item, work(item)
