"""The laws of every executor, and what threads add."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.clients import child
from reconciler.executors.serial import Serial
from reconciler.executors.threads import Threads
from reconciler.executors.transfers import Transfers
from reconciler.ports import Executor

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "serial": Serial,
    "one thread": lambda: Threads(1),
    "four threads": lambda: Threads(4),
    "transfers": lambda: Transfers(4),
}
every_executor = pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS.keys())


class BrokenError(Exception):
    """What the work raises."""


@every_executor
@pytest.mark.parametrize("count", [0, 1, 3, 50])
def test_every_item_comes_back_once_with_its_own_result(make: Callable[[], Executor], count: int) -> None:
    assert sorted(make().map(lambda item: item * item, range(count))) == [(item, item * item) for item in range(count)]


@every_executor
def test_an_error_of_the_work_ends_it_all(make: Callable[[], Executor]) -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise BrokenError
        time.sleep(0.01)
        return item

    with pytest.raises(BrokenError):
        list(make().map(work, range(1000)))
    time.sleep(0.05)
    assert len(begun) < 20


@every_executor
def test_who_stops_asking_stops_the_work(make: Callable[[], Executor]) -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.005)

    results = iter(make().map(work, range(1000)))
    next(results)
    results.close()  # type: ignore[attr-defined]  # both are generators
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count < 20


@every_executor
def test_an_executor_works_again_after_an_error(make: Callable[[], Executor]) -> None:
    executor = make()
    with pytest.raises(ZeroDivisionError):
        list(executor.map(lambda item: 1 // item, [0]))
    assert list(executor.map(str, [1])) == [(1, "1")]


def test_threads_work_side_by_side_and_never_more_than_the_bound() -> None:
    guard, now, most = threading.Lock(), 0, 0
    meeting = threading.Barrier(4, timeout=10)

    def work(item: int) -> None:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        if item < 4:
            meeting.wait()
        time.sleep(0.005)
        with guard:
            now -= 1

    list(Threads(4).map(work, range(40)))
    assert most == 4


def test_an_interrupt_of_the_work_reaches_the_caller() -> None:
    def work(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Threads(2).map(work, range(3)))


def test_a_thread_that_hangs_does_not_keep_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.executors.threads._PATIENCE_S", 0.2)
    forever = threading.Event()

    def work(item: int) -> None:
        if item:
            raise BrokenError
        forever.wait()

    begun = time.monotonic()
    with pytest.raises(BrokenError):
        list(Threads(2).map(work, range(2)))
    assert time.monotonic() - begun < 5
    forever.set()


def test_transfers_of_several_callers_share_their_places() -> None:
    transfers, guard = Transfers(3), threading.Lock()
    inside: list[int] = []
    most: list[int] = []

    def move(item: int) -> None:
        with guard:
            inside.append(item)
            most.append(len(inside))
        time.sleep(0.005)
        with guard:
            inside.remove(item)

    list(Threads(4).map(lambda _: list(transfers.map(move, range(10))), range(4)))
    assert max(most) == 3
    assert len(most) == 40


def test_a_transfer_that_fails_ends_no_program_of_other_work() -> None:
    def fail(_: int) -> None:
        raise BrokenError

    def work(item: int) -> int:
        if item == 0:
            time.sleep(0.1)
            with pytest.raises(BrokenError):
                list(Transfers(2).map(fail, range(4)))
            return 0
        return child.run(["/bin/sleep", "0.4"], folder=Path("/"), environ={}).status

    assert dict(Threads(2).map(work, range(2))) == {0: 0, 1: 0}
