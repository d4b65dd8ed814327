"""Compressed streams, unpacked piece by piece: bounded, never trusted (RFC 1952; the .xz file format 1.1; RFC 8878).

What unpacks to far more than it is made of is refused, and so is what is damaged or ends early; all are CorruptErrors
that begin with what it is (``a layer``).
"""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.errors import CorruptError

MAX_RATIO, FREE = 200, 256 << 20
"""A stream unpacks to at most so many times its own bytes, and so many more."""
MAX_MEMORY = 256 << 20
"""Bytes that unpacking may take: the largest preset of xz takes 65 MiB."""
_CHUNK = 1 << 20
_WINDOW = 1 << 15
_GZIP = 31  # zlib: a window of 15 bits, and a gzip header


@dataclass(kw_only=True, slots=True)
class Bound:
    """How much came in and went out of a stream; what is out of proportion is a CorruptError."""

    what: str
    packed: int = 0
    unpacked: int = 0

    def windows(self, chunks: Iterable[bytes], size: int = _WINDOW) -> Iterator[bytes]:
        """Count and cut into small pieces: what stands behind one stream is copied, and there may be thousands."""
        for chunk in chunks:
            for place in range(0, len(chunk), size):
                window = chunk[place : place + size]
                self.packed += len(window)
                yield window

    def check(self, piece: bytes) -> bytes:
        """Count what came out, and give it."""
        self.unpacked += len(piece)
        if self.unpacked > MAX_RATIO * self.packed + FREE:
            raise CorruptError(f"{self.packed} bytes of {self.what} unpack to more than {self.unpacked}")
        return piece


def gunzip(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Unpack gzip members that stand one after another."""
    bound, member = Bound(what=what), zlib.decompressobj(_GZIP)
    try:
        for window in bound.windows(chunks):
            rest = window
            while rest:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                if piece := bound.check(member.decompress(rest, _CHUNK)):
                    yield piece
                rest = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise CorruptError(f"{what} can't be unpacked: {error}") from error
    _refuse_rest(what, ended=member.eof)


def unxz(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Unpack xz streams that stand one after another, with padding between them."""
    bound, stream = Bound(what=what), lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_MEMORY)
    try:
        for window in bound.windows(chunks):
            rest = window
            while rest:
                if stream.eof:
                    rest = rest.lstrip(b"\0")
                    if not rest:
                        break
                    stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_MEMORY)
                for piece in _all(stream, rest):
                    yield bound.check(piece)
                rest = stream.unused_data if stream.eof else b""
    except lzma.LZMAError as error:
        raise CorruptError(f"{what} can't be unpacked: {error}") from error
    _refuse_rest(what, ended=stream.eof)


def _all(stream: lzma.LZMADecompressor, data: bytes) -> Iterator[bytes]:
    """Give what comes out for some input, at most a chunk at a time."""
    while True:
        piece = stream.decompress(data, _CHUNK)
        if piece:
            yield piece
        if stream.eof or stream.needs_input:
            return
        data = b""


def _refuse_rest(what: str, *, ended: bool) -> None:
    if not ended:
        raise CorruptError(f"{what} ends early")
