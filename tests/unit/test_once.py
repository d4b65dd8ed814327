"""What is made once for all who ask."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.clients.debian.once import Once


def test_who_asks_at_the_same_time_or_later_gets_the_same_that_is_made_once() -> None:
    once: Once[object] = Once()
    made: list[str] = []
    gate = threading.Barrier(8)

    def make() -> object:
        made.append("x")
        time.sleep(0.05)
        return object()

    def ask(_: int) -> object:
        gate.wait(10)
        return once.get("key", make)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert found == {once.get("key", make)}
    assert made == ["x"]


def test_each_key_has_its_own_and_they_do_not_wait_for_one_another() -> None:
    once: Once[str] = Once()
    assert once.get("outer", lambda: once.get("inner", lambda: "in") + "side") == "inside"


def test_what_failed_is_made_again() -> None:
    once: Once[int] = Once()
    with pytest.raises(ZeroDivisionError):
        once.get("key", lambda: 1 // 0)
    assert once.get("key", lambda: 7) == 7
