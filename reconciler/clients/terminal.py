"""The caller's terminal and signals, handed to a program that runs elsewhere."""

from __future__ import annotations

import fcntl
import os
import queue
import signal
import struct
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TextIO

_CHUNK = 1 << 16
_PATIENCE_S = 10.0
"""Seconds that a program has to end after it was asked to; then it is killed."""
_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PASSED = (*_ASKING, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where input comes from and output goes to."""

    source: TextIO
    target: TextIO

    @property
    def is_there(self) -> bool:
        """Whether somebody sits at both ends."""
        return self.source.isatty() and self.target.isatty()

    @contextmanager
    def raw(self, resize: Callable[[int, int], None]) -> Iterator[None]:
        """Hand every key to the program, and tell it the size (rows, columns) now and when it changes."""
        if not self.is_there:
            yield
            return
        file = self.source.fileno()
        before = termios.tcgetattr(file)
        changed = signal.signal(signal.SIGWINCH, lambda *_: resize(*self._size()))
        try:
            tty.setraw(file)
            resize(*self._size())
            yield
        finally:
            termios.tcsetattr(file, termios.TCSADRAIN, before)
            signal.signal(signal.SIGWINCH, changed)

    def _size(self) -> tuple[int, int]:
        data = fcntl.ioctl(self.target.fileno(), termios.TIOCGWINSZ, bytes(8))
        rows, columns, _, _ = struct.unpack("HHHH", data)
        return rows, columns

    def pump(self, send: Callable[[bytes], None]) -> None:
        """Send what comes in, in a thread of its own, with empty bytes at its end."""
        threading.Thread(target=self._pump, args=(send,), daemon=True).start()

    def _pump(self, send: Callable[[bytes], None]) -> None:
        data = b" "
        while data:
            data = b""
            with suppress(OSError, ValueError):  # closed before we came, or while we read
                data = os.read(self.source.fileno(), _CHUNK)
            send(data)


@contextmanager
def forwarded_signals(kill: Callable[[str], None]) -> Iterator[None]:
    """Pass signals on by name; who is asked to end twice, or does not within ten seconds, is killed."""
    waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def note(number: int, _frame: FrameType | None) -> None:
        waiting.put(number)

    before = {number: signal.signal(number, note) for number in _PASSED}
    sender = threading.Thread(target=_forward, args=(waiting, kill), daemon=True)
    sender.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        waiting.put(None)
        sender.join(_PATIENCE_S)


def _forward(waiting: queue.SimpleQueue[int | None], kill: Callable[[str], None]) -> None:
    asked = False
    while True:
        try:
            number = waiting.get(timeout=_PATIENCE_S if asked else None)
        except queue.Empty:
            kill("SIGKILL")
            asked = False
            continue
        if number is None:
            return
        again, asked = asked and number in _ASKING, asked or number in _ASKING
        kill("SIGKILL" if again else signal.Signals(number).name)
