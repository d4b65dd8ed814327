"""Wheels, opened as what they are: untrusted archives (PEP 427, the binary distribution format; APPNOTE 6.3.3).

The central directory is read by ``zipfile``; everything that two readers could take in two ways is refused: a local
header that says something else, entries that overlap, bytes before or behind the archive, names twice. Every file is
compared with RECORD while it is read.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from reconciler.errors import CorruptError
from reconciler.oci.member import Packed
from reconciler.wheel.metadata import Metadata, read_metadata

MAX_ENTRIES = 200_000
MAX_RATIO, FREE = 200, 64 << 20
"""An archive unpacks to at most so many times its own bytes, and so many more."""
_CHUNK = 1 << 20
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_SIGNATURE = b"PK\x03\x04"
_END = b"PK\x05\x06" + bytes(18)
"""The last record of an archive, its numbers and the length of its comment zero."""
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_WIDE = 0xFFFFFFFF
_PLAIN_DEFLATE = -15
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MEMBER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
"""Before the bytes of a gzip member (RFC 1952, 2.3): no name, no time, of an unknown system."""
_TRAILER = struct.Struct("<II")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file of a wheel. ``digest`` is RECORD's (``sha256=…``), empty for RECORD itself; sizes and places in bytes."""

    name: str
    size: int
    packed: int
    crc: int
    place: int
    is_deflated: bool
    is_executable: bool
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """A wheel that is open: what it says of itself, and its files in the archive's order."""

    file: str
    metadata: Metadata
    entries: tuple[Entry, ...]
    stream: BinaryIO = field(repr=False)

    def read(self, entry: Entry) -> Iterator[bytes]:
        """Give a file's bytes; those that are not what the archive and RECORD say are a CorruptError at the end."""
        return (piece.plain for piece in _read(self.stream, self.file, entry))

    def read_packed(self, entry: Entry) -> Iterator[Packed]:
        """Give a compressed file as it is: as a gzip member with the wheel's own bytes, and what they stand for.

        The member's last bytes come when all that is said of :meth:`read` has been found right.
        """
        yield Packed(plain=b"", packed=_MEMBER)
        yield from _read(self.stream, self.file, entry)
        yield Packed(plain=b"", packed=_TRAILER.pack(entry.crc, entry.size & _WIDE))


def open_wheel(stream: BinaryIO, file: str) -> Wheel:
    """Open a wheel by its bytes, which have to stay open while it is used, and the name of its file.

    Whatever is wrong with it is a CorruptError that names the file and the entry.
    """
    try:
        entries = _entries(stream, file)
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, struct.error, OSError, ValueError) as error:
        raise CorruptError(f"{file} is no wheel that can be read: {error}") from error
    by_name = {entry.name: entry for entry in entries}

    def read(name: str) -> bytes:
        return b"".join(piece.plain for piece in _read(stream, file, by_name[name]))

    metadata = read_metadata(file, by_name, read)
    checked = tuple(_recorded(file, entry, metadata) for entry in entries)
    return Wheel(file=file, metadata=metadata, entries=checked, stream=stream)


def _recorded(file: str, entry: Entry, metadata: Metadata) -> Entry:
    digest = metadata.record.get(entry.name, "")
    if not digest and entry.name not in metadata.unrecorded:
        raise CorruptError(f"{file}: {entry.name} has no hash in RECORD")
    return replace(entry, digest=digest)


# -- the directory ----------------------------------------------------------------------------------------------


def _entries(stream: BinaryIO, file: str) -> tuple[Entry, ...]:
    with zipfile.ZipFile(stream) as archive:
        listed, start = archive.infolist(), archive.start_dir
    size = stream.seek(0, 2)
    stream.seek(max(0, size - len(_END)))
    _refuse_shape(file, listed, size, is_closed=_is_end(stream.read()))
    seen: set[str] = set()
    entries = []
    for info in listed:
        _refuse_name(file, info.orig_filename, info.filename)
        if info.filename in seen:
            raise CorruptError(f"{file}: {info.filename} is there twice")
        seen.add(info.filename)
        entries.append(_entry(stream, file, info))
    _refuse_overlap(file, entries, start)
    files = tuple(entry for entry in entries if not entry.name.endswith("/"))
    _refuse_nested(file, {entry.name for entry in files}, seen)
    return files


def _is_end(data: bytes) -> bool:
    """Tell whether an archive ends here, without a comment."""
    return data.startswith(_END[:4]) and data.endswith(_END[-2:])


def _refuse_shape(file: str, listed: list[zipfile.ZipInfo], size: int, *, is_closed: bool) -> None:
    if len(listed) > MAX_ENTRIES:
        raise CorruptError(f"{file}: {len(listed)} entries, more than {MAX_ENTRIES}")
    if not is_closed:
        raise CorruptError(f"{file}: there are bytes behind the archive")
    if sorted(info.header_offset for info in listed)[:1] not in ([], [0]):
        raise CorruptError(f"{file}: there are bytes before the archive")
    total = sum(info.file_size for info in listed)
    if total > MAX_RATIO * size + FREE:
        raise CorruptError(f"{file}: {size} bytes unpack to {total}")


def _refuse_name(file: str, name: str, read: str) -> None:
    parts = name.removesuffix("/").split("/")
    if (
        name != read  # what zipfile reads otherwise: a name with a NUL
        or any(part in ("", ".", "..") or part.startswith(".wh.") for part in parts)
        or "\\" in name
        or _CONTROL.search(name)
        or name[1:2] == ":"
    ):
        raise CorruptError(f"{file}: {name!a} is no name of a file in a wheel")


def _entry(stream: BinaryIO, file: str, info: zipfile.ZipInfo) -> Entry:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or (kind == stat.S_IFDIR) > info.filename.endswith("/"):
        raise CorruptError(f"{file}: {info.filename} is no plain file")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise CorruptError(f"{file}: {info.filename} is encrypted, or compressed in a way that wheels are not")
    return Entry(
        name=info.filename,
        size=info.file_size,
        packed=info.compress_size,
        crc=info.CRC,
        place=_data_place(stream, file, info),
        is_deflated=info.compress_type == zipfile.ZIP_DEFLATED,
        is_executable=bool(mode & 0o111) and kind == stat.S_IFREG,
    )


def _data_place(stream: BinaryIO, file: str, info: zipfile.ZipInfo) -> int:
    """Say where an entry's bytes begin; a local header that differs from the directory's is refused."""
    stream.seek(info.header_offset)
    head = stream.read(_LOCAL.size)
    signature, _, flags, method, _, _, crc, packed, size, name_length, extra = _LOCAL.unpack(head)
    name = stream.read(name_length)
    written = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    described = (crc, packed, size)
    if flags & _DESCRIPTOR:  # they stand behind the bytes
        same = all(value in (0, _WIDE, true) for value, true in zip(described, _numbers(info), strict=True))
    else:
        same = crc == info.CRC and all(
            value in (_WIDE, true) for value, true in zip(described[1:], _numbers(info)[1:], strict=True)
        )
    if signature != _SIGNATURE or name != written or method != info.compress_type or not same:
        raise CorruptError(f"{file}: {info.filename} is described in two ways")
    if (flags ^ info.flag_bits) & (_ENCRYPTED | _DESCRIPTOR | _UTF8):
        raise CorruptError(f"{file}: {info.filename} is described in two ways")
    return int(info.header_offset + _LOCAL.size + name_length + extra)


def _numbers(info: zipfile.ZipInfo) -> tuple[int, int, int]:
    return info.CRC, info.compress_size, info.file_size


def _refuse_overlap(file: str, entries: list[Entry], end: int) -> None:
    """Refuse bytes that two entries share, or that the directory shares with one."""
    last = end
    for entry in sorted(entries, key=lambda entry: entry.place, reverse=True):
        if entry.place + entry.packed > last:
            raise CorruptError(f"{file}: {entry.name} overlaps what comes after it")
        last = entry.place - _LOCAL.size - len(entry.name.encode())


def _refuse_nested(file: str, files: set[str], names: set[str]) -> None:
    for name in names:
        parts = name.rstrip("/").split("/")
        for depth in range(1, len(parts) + name.endswith("/")):
            if "/".join(parts[:depth]) in files:
                raise CorruptError(f"{file}: {'/'.join(parts[:depth])} is a file and a folder")


# -- bytes ------------------------------------------------------------------------------------------------------


def _read(stream: BinaryIO, file: str, entry: Entry) -> Iterator[Packed]:
    algorithm, _, wanted = entry.digest.partition("=")
    hashed = hashlib.new(algorithm) if algorithm else None
    crc, left = 0, entry.size
    try:
        for piece in _inflated(stream, entry) if entry.is_deflated else map(_plain, _stored(stream, entry)):
            left -= len(piece.plain)
            if left < 0:
                break
            crc = zlib.crc32(piece.plain, crc)
            if hashed is not None:
                hashed.update(piece.plain)
            yield piece
    except (zlib.error, OSError) as error:
        raise CorruptError(f"{file}: {entry.name} can't be read: {error}") from error
    if left or crc != entry.crc:
        raise CorruptError(f"{file}: {entry.name} is not what the archive says")
    if hashed is not None and urlsafe_b64encode(hashed.digest()).decode().rstrip("=") != wanted:
        raise CorruptError(f"{file}: {entry.name} is not what RECORD says")


def _stored(stream: BinaryIO, entry: Entry) -> Iterator[bytes]:
    done = 0
    while done < entry.packed:
        stream.seek(entry.place + done)
        chunk = stream.read(min(_CHUNK, entry.packed - done))
        if not chunk:
            return
        done += len(chunk)
        yield chunk


def _plain(chunk: bytes) -> Packed:
    return Packed(plain=chunk, packed=b"")


def _inflated(stream: BinaryIO, entry: Entry) -> Iterator[Packed]:
    """Unpack, at most a chunk at a time and no more than a byte beyond the size."""
    unpacked, left = zlib.decompressobj(_PLAIN_DEFLATE), entry.size + 1
    for chunk in _stored(stream, entry):
        rest, packed = chunk, chunk
        while rest and left > 0 and not unpacked.eof:
            piece = unpacked.decompress(rest, min(_CHUNK, left))
            left -= len(piece)
            rest = unpacked.unconsumed_tail
            yield Packed(plain=piece, packed=packed)
            packed = b""
    while left > 0 and not unpacked.eof and (piece := unpacked.decompress(b"", min(_CHUNK, left))):
        left -= len(piece)
        yield _plain(piece)
    if not unpacked.eof or unpacked.unused_data:
        raise zlib.error("its compressed bytes end early or late")
