"""One mirror of an archive, over HTTP or in a folder: what it gives is bounded, and checked against digests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from reconciler.clients.http.index import Http
from reconciler.debian.release import Listed
from reconciler.errors import CorruptError, NotFoundError, ReconcilerError, UnavailableError
from reconciler.oci.inflate import gunzip, unxz

MAX_RELEASE = 16 << 20
RELEASE_LIMIT_S = 300.0
MAX_INDEX = 1 << 30
"""Bytes that an index may unpack to; Debian's largest has 55 MB."""
_CHUNK = 1 << 18
_LIES = "the mirror lies, or is being updated: try again in some minutes, or take another one"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """A mirror; ``kind`` is what it is (``the mirror of debian``), ``url`` may hold a password."""

    kind: str
    url: str = field(repr=False)
    http: Http = field(repr=False)

    @property
    def name(self) -> str:
        """What errors call it: what it is, and where, without a password."""
        host = "a folder" if self.url.startswith("file:") else urlsplit(self.url).netloc.rpartition("@")[2]
        return f"{self.kind} ({host})" if host else self.kind

    def read(self, path: str) -> bytes:
        """Read a small file that nothing vouches for yet; more than :data:`MAX_RELEASE` bytes is a CorruptError."""
        body = bytearray()
        hurried = replace(self, http=replace(self.http, limit_s=min(self.http.limit_s, RELEASE_LIMIT_S)))
        for piece in hurried.stream(path):
            body += piece
            if len(body) > MAX_RELEASE:
                raise CorruptError(f"it has more than {MAX_RELEASE} bytes")
        return bytes(body)

    def stream(self, path: str) -> Iterator[bytes]:
        """Give a file as it comes. Errors name the mirror and the file."""
        with self._named(path):
            if self.url.startswith("file:"):
                yield from _file(Path(unquote(urlsplit(self.url).path)) / path)
            else:
                yield from self.http.stream(f"{self.url}/{quote(path)}")

    def listed(self, folder: str, listed: Listed, *, by_hash: bool) -> Iterator[bytes]:
        """Give a file that a Release file lists, checked while it comes: at its end it is what was listed."""
        path = f"{folder}/{listed.path}"
        chunks = self.stream(path)
        if by_hash:
            hashed = self.stream(f"{path.rpartition('/')[0]}/by-hash/SHA256/{listed.sha256}")
            with suppress(NotFoundError, StopIteration):
                chunks = chain((next(hashed),), hashed)
        return self._checked(path, listed, chunks)

    def _checked(self, path: str, listed: Listed, chunks: Iterator[bytes]) -> Iterator[bytes]:
        hashed, left = sha256(), listed.size
        for chunk in chunks:
            left -= len(chunk)
            hashed.update(chunk)
            if left < 0:
                break
            yield chunk
        if left or hashed.hexdigest() != listed.sha256:
            raise CorruptError(
                f"{self.name}: {path} is not what the signed Release file says",
                hint=_LIES,
            )

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        try:
            yield
        except ReconcilerError as error:
            message = error.message.removeprefix("the package index ")
            text = f"{self.name} {message}" if message != error.message else f"{self.name}: {message}"
            raise type(error)(f"{text}: {path}", hint=error.hint, detail=error.detail) from error


def lines_of(chunks: Iterator[bytes], path: str, *, limit: int = MAX_INDEX) -> Iterator[bytes]:
    """Unpack an index (by the ending of its name) and give its lines.

    Damage, and more than ``limit`` bytes, is a CorruptError.
    """
    rest = b""
    for piece in _unpacked(chunks, path, limit):
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()
        yield from lines
    if rest:
        yield rest


def _unpacked(chunks: Iterator[bytes], path: str, limit: int) -> Iterator[bytes]:
    make = next((make for ending, make in _UNPACKERS.items() if path.endswith(ending)), None)
    if make is None:
        yield from chunks
        return
    done = 0
    for piece in _hinted(make(chunks, path)):
        done += len(piece)
        if done > limit:
            raise CorruptError(f"{path} unpacks to more than {limit} bytes", hint=_LIES)
        yield piece


def _hinted(pieces: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from pieces
    except CorruptError as error:
        raise CorruptError(error.message, hint=error.hint or _LIES) from error


_UNPACKERS: dict[str, Callable[[Iterator[bytes], str], Iterator[bytes]]] = {".xz": unxz, ".gz": gunzip}
PACKINGS = (*_UNPACKERS, "")
"""The endings of an index's name, the best first."""


def _file(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError("has no such file") from error
    except OSError as error:
        raise UnavailableError(f"can't be read: {os.strerror(error.errno or 0)}") from error
