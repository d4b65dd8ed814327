"""The command line in a terminal of its own, as a person meets it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.repository import PROGRAM, TIMEOUT_S, Repository

INTERRUPT = b"\x03"
"""What a terminal sends for ^C."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    """What a command wrote to its terminal, byte by byte, and how it ended."""

    code: int
    text: str


def show(
    repository: Repository,
    *arguments: str,
    columns: int = 100,
    variables: Mapping[str, str] | None = None,
    interrupt_at: str | None = None,
) -> Screen:
    """Run the command line in a terminal; ``interrupt_at`` presses ^C once when that text is seen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environ = {key: value for key, value in repository.environ.items() if key != "NO_COLOR"}
    child = subprocess.Popen(
        [str(PROGRAM), *arguments],
        cwd=repository.root,
        env={**environ, "TERM": "xterm-256color", **(variables or {})},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # only so does ^C reach it
    )
    os.close(slave)
    try:
        text = _read(master, interrupt_at)
        return Screen(code=child.wait(TIMEOUT_S), text=text.decode().replace("\r\n", "\n"))
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()
        os.close(master)


def _read(master: int, interrupt_at: str | None) -> bytes:
    text = b""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        if not select.select([master], [], [], 1)[0]:
            continue
        part = b""
        with contextlib.suppress(OSError):  # Linux says EIO when the last writer has gone
            part = os.read(master, 1 << 16)
        if not part:
            break
        text += part
        if interrupt_at is not None and interrupt_at.encode() in text:
            os.write(master, INTERRUPT)
            interrupt_at = None
    return text
