"""Compiling with an interpreter that was unpacked from an image, by its own loader: nothing of this machine has a part.

What runs is :mod:`reconciler.clients.pyc`, in a process of its own, which is asked for one source after another.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from reconciler.clients import child, pyc
from reconciler.errors import BuildError

LIMIT_S = 300.0
"""Seconds that one source may take; the slowest of those seen takes three."""
MAX_SOURCE, MAX_CODE = 16 << 20, 64 << 20
_CHUNK, _MAX_SAID, _MAX_TEXT = 1 << 16, 4096, 200
_GRACE_S = 3.0
_HINT = "`python: {bytecode: false}` leaves it to the first import"
_FLAGS = ("-S", "-s", "-B", "-W", "ignore")
"""No site, no user's packages, nothing written. Not ``-I``: with it the variables below are not read."""


@contextmanager
def compiling(folder: Path, minor: str, *, limit_s: float = LIMIT_S) -> Iterator[Compiler]:
    """Start the interpreter in ``folder``, as :mod:`reconciler.builders.interpreter` lays it out, and end it.

    Paths are relative to the folder that it runs in, which is empty: where it was unpacked is seen nowhere.
    """
    program = f"../bin/python{minor}"
    script = files("reconciler.clients").joinpath("pyc.py").read_text(encoding="utf-8")
    argv = ["../loader", "--library-path", "../shared", program, *_FLAGS, "-c", script]
    environ = {"PYTHONHOME": "..", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
    with child.talking(argv, folder=folder / "empty", environ=environ) as process:
        compiler = Compiler(talk=_Talk.to(process, limit_s))
        compiler.greet()
        yield compiler


@dataclass(kw_only=True, slots=True)
class Compiler:
    """An interpreter that is running: its ``version``, and the ``tag`` in the names of its files (``cpython-311``)."""

    talk: _Talk
    version: str = ""
    tag: str = ""

    def greet(self) -> None:
        """Hear what it is."""
        kind, data = self.talk.hear("to start", _MAX_TEXT)
        text = data.decode("ascii", errors="replace").split(" ")
        if kind != pyc.TEXT or len(text) != 2 or not text[1].replace("-", "").isalnum():  # noqa: PLR2004  # both
            raise self.talk.failure("does not say what it is")
        self.version, self.tag = text

    def compile(self, source: bytes, name: str) -> bytes | None:
        """Give the file for a source whose place in the image is ``name``; none where it is no Python.

        An interpreter that ends, hangs or answers something else is a BuildError.
        """
        if len(source) > MAX_SOURCE:
            raise BuildError(f"{name} has more than {MAX_SOURCE} bytes, too many to compile", hint=_HINT)
        what = f"to compile {name}"
        self.talk.say(((pyc.NAME, name.encode()), (pyc.SOURCE, source)), what)
        kind, data = self.talk.hear(what, MAX_CODE)
        if kind == pyc.FAILURE:
            raise BuildError(f"{name} can't be compiled: {data[:_MAX_TEXT].decode(errors='replace')}", hint=_HINT)
        if kind not in (pyc.CODE, pyc.NOTHING):
            raise self.talk.failure(f"answers what is no bytecode, asked {what}")
        return data if kind == pyc.CODE else None


@dataclass(kw_only=True, slots=True)
class _Talk:
    """The streams of a process, none of which is ever waited for without an end."""

    process: subprocess.Popen[str]
    limit_s: float
    writing: select.poll
    reading: select.poll
    streams: tuple[int, int, int]
    said: bytearray = field(default_factory=bytearray)

    @classmethod
    def to(cls, process: subprocess.Popen[str], limit_s: float) -> _Talk:
        found = [stream.fileno() for stream in (process.stdin, process.stdout, process.stderr) if stream is not None]
        sink, source, errors = found
        os.set_blocking(sink, False)
        writing, reading = select.poll(), select.poll()
        writing.register(sink, select.POLLOUT)
        reading.register(source, select.POLLIN)
        for poll in (writing, reading):
            poll.register(errors, select.POLLIN)
        return cls(process=process, limit_s=limit_s, writing=writing, reading=reading, streams=(sink, source, errors))

    def say(self, frames: tuple[tuple[bytes, bytes], ...], what: str) -> None:
        """Send frames, as far as somebody listens; who does not is heard of afterwards."""
        view = memoryview(b"".join(kind + len(data).to_bytes(4, "big") + data for kind, data in frames))
        deadline = time.monotonic() + self.limit_s
        try:
            while view:
                self._wait(self.writing, deadline, what)
                view = view[os.write(self.streams[0], view[:_CHUNK]) :]
        except BrokenPipeError:
            return

    def hear(self, what: str, most: int) -> tuple[bytes, bytes]:
        """Give the next frame: its kind, and at most so many bytes."""
        deadline = time.monotonic() + self.limit_s
        head = self._exactly(pyc.HEAD, deadline, what)
        size = int.from_bytes(head[1:], "big")
        if size > most:
            raise self.failure(f"answers {size} bytes, asked {what}", head)
        return bytes(head[:1]), bytes(self._exactly(size, deadline, what))

    def failure(self, what: str, heard: bytes | bytearray = b"") -> BuildError:
        """Say what it did, and what it said of it."""
        text = (self.said or heard).decode("utf-8", errors="replace").strip()
        return BuildError(f"the interpreter of the base image {what}", hint=_HINT, detail=text or None)

    def _exactly(self, size: int, deadline: float, what: str) -> bytearray:
        found = bytearray()
        while len(found) < size:
            self._wait(self.reading, deadline, what)
            piece = os.read(self.streams[1], min(_CHUNK, size - len(found)))
            if not piece:
                raise self._ended(what)
            found += piece
        return found

    def _wait(self, poll: select.poll, deadline: float, what: str) -> None:
        """Wait until the stream is ready; what comes on the other one is kept as far as it is short."""
        errors = self.streams[2]
        while (left := deadline - time.monotonic()) > 0:
            ready = {number for number, _ in poll.poll(left * 1000)}
            if errors in ready and not self._listen():
                for one in (self.writing, self.reading):
                    one.unregister(errors)
            if ready - {errors}:
                return
        raise self.failure(f"did not answer within {self.limit_s:g} s, asked {what}")

    def _listen(self) -> bool:
        piece = os.read(self.streams[2], _CHUNK)
        self.said += piece[: _MAX_SAID - len(self.said)]
        return bool(piece)

    def _ended(self, what: str) -> BuildError:
        last = select.poll()
        last.register(self.streams[2], select.POLLIN)
        while last.poll(_GRACE_S * 1000) and len(self.said) < _MAX_SAID and self._listen():
            pass
        try:
            return self.failure(f"ended with status {self.process.wait(_GRACE_S)}, asked {what}")
        except subprocess.TimeoutExpired:
            return self.failure(f"closed its output, asked {what}")
