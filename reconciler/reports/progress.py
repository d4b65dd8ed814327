"""Progress of long work: a few lines that are drawn again on a terminal, plain lines elsewhere.

Both meet ``ports.Reporter`` and may be called from any thread. What is shown here is for the moment; elapsed time is in
no other report.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from reconciler.ports import Progress, Stage
from reconciler.reports.inert import cut, inert
from reconciler.reports.style import PLAIN, Style

_ENDS = frozenset({Stage.DONE, Stage.FAILED})
_COLOURS = {Stage.DONE: "green", Stage.FAILED: "red"}
_MAX_LINES = 8
_TICK_S = 0.5


class Silent:
    """Shows nothing."""

    def report(self, progress: Progress) -> None:
        """Take an event."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End."""


class Lines:
    """One line an event, as CI logs want it."""

    def __init__(
        self,
        stream: TextIO,
        style: Style = PLAIN,
        clock: Callable[[], float] = time.monotonic,
        *,
        reasons: bool = True,
    ) -> None:
        """Take where to write; ``reasons`` says whether a failure's reason is shown, or stands elsewhere."""
        self._stream = stream
        self._style = style
        self._clock = clock
        self._reasons = reasons
        self._began: dict[str, float] = {}
        self._lock = threading.Lock()

    def report(self, progress: Progress) -> None:
        """Write the event."""
        if progress.passing:
            return
        with self._lock:
            self._write(f"{self._line(progress)}\n")

    def _write(self, text: str) -> None:
        """Write; a reader who has gone, or a full disk below a log, never stops the work that is shown."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End."""

    def _line(self, progress: Progress) -> str:
        now = self._clock()
        elapsed = now - self._began.setdefault(progress.name, now)
        told = progress.detail and (self._reasons or progress.stage is not Stage.FAILED)
        detail = f": {inert(progress.detail)}" if told else ""
        text = f"[{max(elapsed, 0):6.1f}s] {inert(progress.name)} {progress.stage.value}{detail}"
        colour = _COLOURS.get(progress.stage)
        return text if colour is None else self._style.paint(text, colour)


class Live(Lines):
    """What is under way in a few lines at the bottom, drawn again; what has ended above them, once."""

    def __init__(
        self,
        stream: TextIO,
        style: Style = PLAIN,
        clock: Callable[[], float] = time.monotonic,
        *,
        reasons: bool = True,
    ) -> None:
        """Take where to draw."""
        super().__init__(stream, style, clock, reasons=reasons)
        self._active: dict[str, Progress] = {}
        self._drawn = 0
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def report(self, progress: Progress) -> None:
        """Draw the event."""
        with self._lock:
            line = self._line(progress)
            if progress.stage in _ENDS:
                self._active.pop(progress.name, None)
                self._draw(line)
                return
            self._active[progress.name] = progress
            self._draw()

    def __enter__(self) -> Self:
        """Let the time go on between events."""
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave the terminal without the lines that were drawn again."""
        self._over.set()
        self._ticker.join()
        with self._lock:
            self._active.clear()
            self._draw()

    def _tick(self) -> None:
        while not self._over.wait(_TICK_S):
            with self._lock:
                if self._active:
                    self._draw()

    def _draw(self, ended: str = "") -> None:
        width = max(self._style.width - 1, 20)
        active = [cut(self._line(self._active[name]), width) for name in sorted(self._active)]
        rest = len(active) - _MAX_LINES
        shown = [*active[:_MAX_LINES], *([f"… {rest} more"] if rest > 0 else [])]
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        text = "".join(f"{line}\n" for line in ([ended] if ended else []) + shown)
        self._write(f"{up}\x1b[J{text}" if up else text)
        self._drawn = len(shown)


def reporter(stream: TextIO, style: Style = PLAIN, *, live: bool, reasons: bool = True) -> Lines:
    """Choose the display; ``live`` says that the stream is a terminal that takes movements of the cursor."""
    return (Live if live else Lines)(stream, style, reasons=reasons)
