"""The three streams that a command is started with, made safe to write to."""

from __future__ import annotations

import os
import sys
from typing import TextIO


def secure() -> None:
    """Make every text printable in any locale, and put the null device where a stream was closed.

    What the locale can't spell is escaped. A closed descriptor would be given to the next file that is opened, and
    what is printed would be written into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
    sys.stdout, sys.stderr = _writable(sys.stdout, 1), _writable(sys.stderr, 2)


def _writable(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is None:
        return open(descriptor, "w", encoding="utf-8", closefd=False)
    reconfigure = getattr(stream, "reconfigure", None)  # what stands in for a stream may lack it
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
