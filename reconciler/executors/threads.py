"""Side by side in threads: the work waits for other programs and for the disk."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from reconciler.clients import child

Input = TypeVar("Input")
Output = TypeVar("Output")
_PATIENCE_S = 8


@dataclass(frozen=True, slots=True)
class Threads:
    """Does work in at most ``workers`` threads. They are daemons: one that hangs can't keep the process alive."""

    workers: int
    stopping: Callable[[], contextlib.AbstractContextManager[None]] = child.stopping
    """What is done about programs that run when work has to end."""

    def map(self, work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[tuple[Input, Output]]:
        """Give each item with its result as it is done.

        When ``work`` raises, or the caller is interrupted or stops asking, nothing more is begun, the programs that
        run are ended, and the threads are waited for, for some seconds.
        """
        pool = _Pool(work, tuple(items))
        threads = pool.start(self.workers)
        try:
            for _ in pool.items:
                yield pool.next()
        except BaseException:
            pool.ended.set()
            with self.stopping():
                _join(threads)
            raise


class _Pool(Generic[Input, Output]):
    def __init__(self, work: Callable[[Input], Output], items: tuple[Input, ...]) -> None:
        self.items = items
        self._done: SimpleQueue[tuple[Input, Output] | BaseException] = SimpleQueue()
        self.ended = threading.Event()
        self._work = work
        self._waiting: SimpleQueue[Input] = SimpleQueue()
        for item in items:
            self._waiting.put(item)

    def start(self, workers: int) -> list[threading.Thread]:
        count = max(1, min(workers, len(self.items)))
        threads = [threading.Thread(target=self._run, name=f"worker-{n}", daemon=True) for n in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def next(self) -> tuple[Input, Output]:
        done = self._done.get()
        if isinstance(done, BaseException):
            raise done
        return done

    def _run(self) -> None:
        with contextlib.suppress(Empty):
            while not self.ended.is_set():
                item = self._waiting.get_nowait()
                try:
                    self._done.put((item, self._work(item)))
                except BaseException as error:  # noqa: BLE001  # it is raised again where the results are asked for
                    self._done.put(error)
                    return


def _join(threads: list[threading.Thread]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
