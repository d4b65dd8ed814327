"""What a program says that it needs to start: its loader and its shared libraries (ELF-64, gABI)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.errors import CorruptError

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, the lowest byte first: what images of every platform here have."""
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_LOAD, _TABLE, _LOADER = 1, 2, 3  # p_type
_NEEDED, _TEXTS, _PATH, _RUNPATH = 1, 5, 15, 29  # d_tag
_MAX = 4096
"""Entries of a table, and bytes of a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """A loader's path, empty where there is none; names of libraries; folders to look for them in, as written."""

    loader: str
    libraries: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Segment:
    kind: int
    place: int
    address: int
    size: int


def parse_needs(data: bytes, name: str) -> Needs:
    """Read a program or a library; what can't be read is a CorruptError that calls it by ``name``."""
    try:
        return _parse(data)
    except (struct.error, ValueError, OverflowError) as error:
        raise CorruptError(f"{name} is no program that can be read") from error


def _parse(data: bytes) -> Needs:
    if not data.startswith(MAGIC):
        raise ValueError("another kind of file")
    segments = list(_segments(data))
    entries = [entry for segment in segments if segment.kind == _TABLE for entry in _entries(data, segment)]
    places = [_place(segments, value) for tag, value in entries if tag == _TEXTS]
    if entries and not places:
        raise ValueError("a table whose texts are nowhere")
    texts = places[0] if places else 0
    named = {wanted: [_text(data, texts + value) for tag, value in entries if tag == wanted] for wanted in _NAMED}
    return Needs(
        loader=next((_text(data, segment.place) for segment in segments if segment.kind == _LOADER), ""),
        libraries=tuple(named[_NEEDED]),
        folders=tuple(folder for path in (*named[_RUNPATH], *named[_PATH]) for folder in path.split(":") if folder),
    )


_NAMED = (_NEEDED, _PATH, _RUNPATH)


def _segments(data: bytes) -> Iterator[_Segment]:
    _, _, _, _, _, start, _, _, _, size, count, *_ = _HEADER.unpack_from(data)
    for number in range(min(count, _MAX)):
        kind, _, place, address, _, length, _, _ = _SEGMENT.unpack_from(data, start + number * size)
        yield _Segment(kind=kind, place=place, address=address, size=length)


def _entries(data: bytes, segment: _Segment) -> Iterator[tuple[int, int]]:
    for number in range(min(segment.size // _DYNAMIC.size, _MAX)):
        tag, value = _DYNAMIC.unpack_from(data, segment.place + number * _DYNAMIC.size)
        if tag == 0:
            return
        yield tag, value


def _place(segments: list[_Segment], address: int) -> int:
    """Say where in the file an address of memory is."""
    for segment in segments:
        if segment.kind == _LOAD and segment.address <= address < segment.address + segment.size:
            return segment.place + address - segment.address
    raise ValueError("an address that is in no segment")


def _text(data: bytes, place: int) -> str:
    found = data[place : place + _MAX].partition(b"\0")[0]
    return found.decode("ascii")
