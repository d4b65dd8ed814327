"""Side by side over the network: blobs of one environment, while others are at work beside it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from reconciler.executors.threads import Threads

Input = TypeVar("Input")
Output = TypeVar("Output")


class Transfers:
    """Does work in threads, at most ``at_once`` of it whoever asks; not to be asked from within its own work.

    It may be asked from within the work of another executor: what fails here ends no program that runs elsewhere.
    """

    def __init__(self, at_once: int) -> None:
        self._threads = Threads(at_once, stopping=contextlib.nullcontext)
        self._places = threading.BoundedSemaphore(at_once)

    def map(self, work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[tuple[Input, Output]]:
        """Give each item with its result as it is done; errors as :meth:`Threads.map`."""

        def placed(item: Input) -> Output:
            with self._places:
                return work(item)

        return self._threads.map(placed, items)
