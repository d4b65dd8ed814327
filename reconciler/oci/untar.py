"""Reading layers that others wrote: streamed, bounded, never trusted (image-spec 1.1, layer.md; POSIX.1-2001; GNU).

Entries come one after another, each with its bytes, which are passed over where nobody asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.inflate import gunzip
from reconciler.oci.member import Kind, Member
from reconciler.oci.zstd import unzstd

BLOCK = 512
MAX_HEADER = 1 << 20
"""Bytes of a long name or of an extended header."""
MAX_ENTRIES = 2_000_000
_LAYER = "a layer"
_KINDS = {b"0": Kind.FILE, b"\0": Kind.FILE, b"7": Kind.FILE, b"1": Kind.HARD, b"2": Kind.LINK, b"5": Kind.FOLDER}
_SKIPPED = frozenset([b"3", b"4", b"6"])
"""Devices and pipes: a base may have them, nothing of ours looks at one."""
_GZIPPED = frozenset({media.LAYER_TAR_GZIP, media.DOCKER_LAYER_TAR_GZIP})
_ZSTANDARD = frozenset({media.LAYER_TAR_ZSTD, media.DOCKER_LAYER_TAR_ZSTD})
_PLAIN = frozenset({media.LAYER_TAR, media.DOCKER_LAYER_TAR})


def decompress(media_type: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack a layer, piece by piece; a form that is not known, damage and bombs are CorruptErrors."""
    if media_type in _PLAIN:
        return iter(chunks)
    if media_type in _GZIPPED:
        return gunzip(chunks, _LAYER)
    if media_type in _ZSTANDARD:
        return unzstd(chunks, _LAYER)
    raise CorruptError(
        f"a layer is of type {media_type[:80]}, which can't be unpacked",
        hint="push the base image with gzip layers (skopeo copy --dest-compress-format gzip)",
    )


class Reader(Protocol):
    """Gives the bytes of an archive, one after another."""

    def take(self, size: int) -> bytes:
        """Give exactly so many bytes; fewer at the end."""

    def pieces(self, size: int) -> Iterator[bytes]:
        """Give so many bytes as they come; fewer at the end."""

    def skip(self, size: int) -> int:
        """Pass over so many bytes; tell how many there were."""


class Streamed:
    """Implements :class:`Reader` for what comes in chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._waiting = b""
        self._place = 0

    def take(self, size: int) -> bytes:
        """Give exactly so many bytes; fewer at the end."""
        if len(self._waiting) - self._place >= size:
            self._place += size
            return self._waiting[self._place - size : self._place]
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes]:
        """Give so many bytes as they come; fewer at the end."""
        while size:
            if self._place == len(self._waiting):
                self._waiting, self._place = next(self._chunks, b""), 0
                if not self._waiting:
                    return
            piece = self._waiting[self._place : self._place + size]
            self._place += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> int:
        """Pass over so many bytes; tell how many there were."""
        return sum(map(len, self.pieces(size)))


@dataclass(kw_only=True, slots=True)
class _Body:
    """The bytes of the entry that is being looked at."""

    reader: Reader
    left: int

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.reader.pieces(self.left):
            self.left -= len(piece)
            yield piece
        if self.left:
            raise CorruptError("a tar archive ends inside a file")

    def skip(self, padding: int) -> None:
        """Pass over what nobody asked for."""
        if self.reader.skip(self.left) != self.left:
            raise CorruptError("a tar archive ends inside a file")
        self.reader.take(padding)


def read_tar(chunks: Iterable[bytes]) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Give every entry with its bytes, which have to be read before the next is asked for, or not at all.

    Devices and pipes are passed over. An archive that can't be read in one way only, or an entry that leads out of the
    root, is a CorruptError.
    """
    return read_entries(Streamed(chunks))


def read_entries(
    reader: Reader, *, limit: int = MAX_ENTRIES, devices: bool = True
) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Give every entry as :func:`read_tar` does, at most ``limit``; bytes that nobody asks for need not be read.

    Where there may be no ``devices``, one is a CorruptError.
    """
    extended: dict[str, str] = {}
    for _ in range(limit):
        header = reader.take(BLOCK)
        if not header.strip(b"\0"):
            return
        kind, size = _checked(header)
        if kind in _SKIPPED and not devices:
            raise CorruptError("a tar archive has a device or a pipe")
        if kind in b"xgLK":
            extended |= _extension(reader, kind, size)
            continue
        member = _member(header, kind, size, extended)
        size = member.size if member is not None and member.kind is Kind.FILE else _size(size, extended, kind)
        body = _Body(reader=reader, left=size)
        if member is not None:
            yield member, iter(body)
        body.skip(-size % BLOCK)
        extended = {}
    raise CorruptError(f"a tar archive has more than {limit} entries")


def _checked(header: bytes) -> tuple[bytes, int]:
    if len(header) != BLOCK:
        raise CorruptError("a tar archive ends inside a header")
    wanted = _number(header[148:156])
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if wanted != total:
        raise CorruptError("a tar archive is none, or is damaged: a header's checksum is wrong")
    return header[156:157], _number(header[124:136])


def _number(data: bytes) -> int:
    """Read an octal number, or one in base 256 (GNU)."""
    if data[0] & 0x80:
        if data[0] != 0x80:  # noqa: PLR2004  # the mark of a positive number
            raise CorruptError("a tar archive has a negative number in a header")
        return int.from_bytes(data[1:])
    text = data.strip(b" \0")
    if text.strip(b"01234567"):
        raise CorruptError("a tar archive has a number in a header that is none")
    return int(text or b"0", 8)


def _extension(reader: Reader, kind: bytes, size: int) -> Mapping[str, str]:
    """Read a long name (GNU) or an extended header (pax); what is meant for all entries says nothing of ours."""
    if size > MAX_HEADER:
        raise CorruptError(f"a tar archive has a header of {size} bytes")
    data = reader.take(size)
    reader.take(-size % BLOCK)
    if len(data) != size:
        raise CorruptError("a tar archive ends inside a header")
    if kind in b"LK":
        return {"path" if kind == b"L" else "linkpath": _text(data.rstrip(b"\0"))}
    records = dict(_records(data))
    if any(name.startswith("GNU.sparse.") for name in records):
        raise CorruptError("a tar archive has a sparse file, which is not read")
    return {} if kind == b"g" else records


def _records(data: bytes) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(data):
        space = data.find(b" ", place, place + 20)
        digits = data[place:space] if space > place else b""
        length = int(digits) if digits.isdigit() else 0
        record = data[space + 1 : place + length]
        name, separator, value = record.partition(b"=")
        if not space - place < length <= len(data) - place or not separator or not record.endswith(b"\n"):
            raise CorruptError("a tar archive has an extended header that can't be read")
        if name in (b"path", b"linkpath", b"size", b"uid", b"gid") or name.startswith(b"GNU.sparse."):
            yield name.decode(), _text(value[:-1])
        place += length


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="surrogateescape")


def _member(header: bytes, kind: bytes, size: int, extended: Mapping[str, str]) -> Member | None:
    if kind in _SKIPPED:
        return None
    if kind not in _KINDS:
        raise CorruptError(f"a tar archive has an entry of a kind that is not read: {kind!r}")
    name = extended.get("path") or _name(header)
    found = Kind.FOLDER if kind in b"0\0" and name.endswith("/") else _KINDS[kind]
    path = _inside(name)
    if path == "":  # the root itself
        return None
    target = extended.get("linkpath") or _text(header[157:257].split(b"\0")[0])
    return Member(
        path=path,
        kind=found,
        mode=_number(header[100:108]) & 0o7777,
        size=_size(size, extended, kind) if found is Kind.FILE else 0,
        target=_inside(target) if found is Kind.HARD else target,
        uid=int(extended["uid"]) if extended.get("uid", "").isdecimal() else _number(header[108:116]),
        gid=int(extended["gid"]) if extended.get("gid", "").isdecimal() else _number(header[116:124]),
    )


def _name(header: bytes) -> str:
    name = _text(header[:100].split(b"\0")[0])
    prefix = _text(header[345:500].split(b"\0")[0]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _size(size: int, extended: Mapping[str, str], kind: bytes) -> int:
    if kind not in b"0\0" + b"7":
        return 0 if kind in b"12345" + b"6" else size
    said = extended.get("size")
    if said is None:
        return size
    if not said.isdecimal() or len(said) > 18:  # noqa: PLR2004  # digits of what fits in 63 bits
        raise CorruptError("a tar archive has a size that is no number")
    return int(said)


def _inside(name: str) -> str:
    """Give a path relative to the root; one that leads out of it is a CorruptError."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise CorruptError(f"a tar archive has an entry that leads out of it: {name[:120]!a}")
    return "/".join(parts)
