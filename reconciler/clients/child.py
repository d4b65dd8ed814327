"""Programs that we start: in a process group of their own, none of which outlives us.

A child ends when its caller is interrupted, when its time is over, in :func:`stopping`, and, on Linux, when this
process is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from reconciler.errors import BuildError, InterruptedByUserError

_GRACE_S = 3
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)
_running: set[subprocess.Popen[str]] = set()
_elsewhere: list[Callable[[], None]] = []
_guard = threading.Lock()
_stopping = threading.Event()


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """How a program ended: its exit status, 128 + n where signal n ended it, and what it wrote."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """What it wrote, one after the other."""
        return f"{self.stdout}{self.stderr}"


def run(
    argv: Sequence[str], *, folder: Path, environ: Mapping[str, str], limit_s: float | None = None, umask: int = -1
) -> Done:
    """Run a program to its end, with nothing on its input; no shell has a part in it.

    One that can't be started or takes too long is a BuildError. ``umask`` is ours where it is not given.
    """
    child = _start(argv, folder, environ, umask=umask)
    try:
        stdout, stderr = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{argv[0]} was stopped after {limit_s:g} s") from error
    finally:
        _end(child)
        for stream in (child.stdout, child.stderr):  # one that took too long was not read to its end
            if stream is not None:
                stream.close()
    if _stopping.is_set():
        raise InterruptedByUserError("interrupted")
    status = child.returncode
    return Done(status=status if status >= 0 else 128 - status, stdout=stdout, stderr=stderr)


def converse(  # noqa: PLR0913  # one argument a part of the call
    argv: Sequence[str], said: str, *, folder: Path, environ: Mapping[str, str], limit_s: float, max_bytes: int
) -> Done:
    """Run a program to its end with ``said`` on its input; it must not answer more than ``max_bytes``.

    One that can't be started, takes too long or says too much is a BuildError.
    """
    child = _start(argv, folder, environ, stdin=subprocess.PIPE)
    streams = [stream for stream in (child.stdin, child.stdout, child.stderr) if stream is not None]
    try:
        with contextlib.suppress(BrokenPipeError):  # it need not listen
            os.write(streams[0].fileno(), said.encode("utf-8"))
        streams[0].close()
        stdout, stderr = _gather(argv[0], streams[1:], limit_s, max_bytes)
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{argv[0]} was stopped after {limit_s:g} s") from error
    finally:
        _end(child)
        for stream in streams:
            stream.close()
    if _stopping.is_set():
        raise InterruptedByUserError("interrupted")
    status = child.returncode
    return Done(status=status if status >= 0 else 128 - status, stdout=stdout, stderr=stderr)


@contextlib.contextmanager
def talking(argv: Sequence[str], *, folder: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Start a program that is talked to through its streams, and end it.

    One that can't be started is a BuildError; so is what the caller raises because it was ended, unless it was ended in
    :func:`stopping`.
    """
    child = _start(argv, folder, environ, stdin=subprocess.PIPE)
    try:
        yield child
    except BuildError as error:
        if _stopping.is_set():
            raise InterruptedByUserError("interrupted") from error
        raise
    finally:
        _end(child)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def _gather(name: str, streams: Sequence[IO[str]], limit_s: float, max_bytes: int) -> tuple[str, ...]:
    """Read streams to their end, whichever has something to say."""
    end = time.monotonic() + limit_s
    found = {stream.fileno(): bytearray() for stream in streams}
    with selectors.DefaultSelector() as selector:
        for number in found:
            selector.register(number, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(name, limit_s)
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                found[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
            if sum(map(len, found.values())) > max_bytes:
                raise BuildError(f"{name} says more than {max_bytes} bytes")
    return tuple(data.decode("utf-8", "replace") for data in found.values())


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """End every running child, whichever thread waits for it, and start no other meanwhile."""
    with _guard:
        _stopping.set()
        ends = [partial(_end, child) for child in _running] + list(_elsewhere)
    try:
        for end in ends:
            threading.Thread(target=end, daemon=True).start()
        yield
    finally:
        _stopping.clear()


@contextlib.contextmanager
def ending(end: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Have ``end`` called when children are ended, for a program elsewhere; give what tells whether that happened."""
    called = threading.Event()

    def once() -> None:
        called.set()
        end()

    with _guard:
        if _stopping.is_set():
            raise InterruptedByUserError("interrupted")
        _elsewhere.append(once)
    try:
        yield called.is_set
    finally:
        with _guard:
            _elsewhere.remove(once)


def _start(
    argv: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    umask: int = -1,
) -> subprocess.Popen[str]:
    with _guard:
        if _stopping.is_set():
            raise InterruptedByUserError("interrupted")
        try:
            child = subprocess.Popen(  # noqa: S603  # an argument vector, no shell
                argv,
                cwd=folder,
                env=environ,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                process_group=0,
                umask=umask,
                preexec_fn=_tie_to(os.getpid()),  # noqa: PLW1509  # it only makes one system call
            )
        except OSError as error:
            raise BuildError(f"cannot start {argv[0]}: {error.strerror or error}") from error
        _running.add(child)
    return child


def _end(child: subprocess.Popen[str]) -> None:
    """See to it that the child and its group are gone."""
    if child.poll() is None:
        _signal(child, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
    _signal(child, signal.SIGKILL)
    child.wait()
    with _guard:
        _running.discard(child)


def _signal(child: subprocess.Popen[str], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _tie_to(parent: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            raise ProcessLookupError(parent)

    return tie
