"""What a program or library says of how it is started: its loader, and its shared libraries (ELF-64, gABI chapter 5).

Whatever is in an image or a wheel may lie: every size and place is checked, and what is kept of a file is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.errors import CorruptError

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, the lowest byte first: what images of every platform here have."""
MACHINES = {62: "amd64", 183: "arm64"}
"""Machines in OCI's words, by their number in the ABI."""
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_SHARED = 3  # e_type
_LOAD, _TABLE, _LOADER = 1, 2, 3  # p_type
_NEEDED, _TEXTS, _SONAME, _PATH, _RUNPATH = 1, 5, 14, 15, 29  # d_tag
_NAMED = (_NEEDED, _SONAME, _PATH, _RUNPATH)
_MAX = 4096
"""Entries of a table, and bytes of a text."""
_MAX_HELD = 64 << 20
"""Bytes of one file that are held: what comes before its table is where its texts usually are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Elf:
    """One file. ``machine`` is in OCI's words, or a number of the ABI.

    ``shared`` is one that the loader can load besides a program. ``loader`` is a path, empty where there is none;
    ``soname`` the name that others need it by, empty where it has none; ``libraries`` are names as they are needed;
    ``rpath`` and ``runpath`` folders to look for them in, as written.
    """

    machine: str
    shared: bool
    loader: str = ""
    soname: str = ""
    libraries: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """A loader's path, empty where there is none; names of libraries; folders to look for them in, as written."""

    loader: str
    libraries: tuple[str, ...]
    folders: tuple[str, ...]


def parse_needs(data: bytes, name: str) -> Needs:
    """Read a program or a library; what can't be read is a CorruptError that calls it by ``name``."""
    try:
        elf = _parse(_Source(iter((data,))))
    except (struct.error, ValueError, OverflowError) as error:
        raise CorruptError(f"{name} is no program that can be read") from error
    return Needs(loader=elf.loader, libraries=elf.libraries, folders=(*elf.runpath, *elf.rpath))


def read_elf(chunks: Iterator[bytes]) -> Elf | None:
    """Read as much of a file as it takes; none where it is of another kind, damaged, or too large to tell."""
    try:
        return _parse(_Source(chunks))
    except (struct.error, ValueError, OverflowError):
        return None


class _Source:
    """A file that is read once, forwards. What it begins with is held, as far as was asked; the rest passes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()
        self._passing = b""
        self._start = 0  # where what is passing begins

    def take(self, place: int, size: int) -> bytes:
        """Give the bytes at a place, fewer at the end; those that passed are a ValueError."""
        if size > _MAX_HELD:
            raise ValueError("more than is held")
        while len(self._held) < min(place + size, _MAX_HELD) and (chunk := next(self._chunks, b"")):
            self._held += chunk
            self._start = len(self._held)
        if place + size <= len(self._held) or len(self._held) < _MAX_HELD:
            return bytes(self._held[place : place + size])
        return self._forwards(place, size)

    def _forwards(self, place: int, size: int) -> bytes:
        if place < self._start:
            raise ValueError("a place that passed")
        while self._start + len(self._passing) < place + size and (chunk := next(self._chunks, b"")):
            ahead = max(0, min(len(self._passing), place - self._start))
            self._passing = self._passing[ahead:] + chunk
            self._start += ahead
        return self._passing[place - self._start :][:size]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Segment:
    kind: int
    place: int
    address: int
    size: int


def _parse(source: _Source) -> Elf:
    head = source.take(0, _HEADER.size)
    if not head.startswith(MAGIC):
        raise ValueError("another kind of file")
    _, kind, machine, *_ = _HEADER.unpack(head)
    segments = _segments(source, head)
    loader = next((_text(source.take(segment.place, _MAX), 0) for segment in segments if segment.kind == _LOADER), "")
    entries = [entry for segment in segments if segment.kind == _TABLE for entry in _entries(source, segment)]
    named = _named(source, segments, entries)
    return Elf(
        machine=MACHINES.get(machine, str(machine)),
        shared=kind == _SHARED and bool(entries),
        loader=loader,
        soname=next(iter(named[_SONAME]), ""),
        libraries=tuple(filter(None, named[_NEEDED])),
        rpath=_folders(named[_PATH]),
        runpath=_folders(named[_RUNPATH]),
    )


def _segments(source: _Source, head: bytes) -> Sequence[_Segment]:
    _, _, _, _, _, start, _, _, _, size, count, *_ = _HEADER.unpack(head)
    table = source.take(start, size * min(count, _MAX))
    found = []
    for number in range(min(count, _MAX)):
        kind, _, place, address, _, length, _, _ = _SEGMENT.unpack_from(table, number * size)
        found.append(_Segment(kind=kind, place=place, address=address, size=length))
    return found


def _entries(source: _Source, segment: _Segment) -> Iterator[tuple[int, int]]:
    for tag, value in _DYNAMIC.iter_unpack(_whole(source, segment)):
        if tag == 0:
            return
        yield tag, value


def _whole(source: _Source, segment: _Segment) -> bytes:
    data = source.take(segment.place, min(segment.size, _MAX * _DYNAMIC.size))
    return data[: len(data) // _DYNAMIC.size * _DYNAMIC.size]


def _named(source: _Source, segments: Sequence[_Segment], entries: Sequence[tuple[int, int]]) -> dict[int, list[str]]:
    """Read the texts of the tags that have one, all at once: they stand together."""
    places = [_place(segments, value) for tag, value in entries if tag == _TEXTS]
    if entries and not places:
        raise ValueError("a table whose texts are nowhere")
    wanted = [value for tag, value in entries if tag in _NAMED]
    first, last = min(wanted, default=0), max(wanted, default=0)
    texts = source.take(places[0] + first, last - first + _MAX) if wanted else b""
    return {name: [_text(texts, value - first) for tag, value in entries if tag == name] for name in _NAMED}


def _place(segments: Sequence[_Segment], address: int) -> int:
    """Say where in the file an address of memory is."""
    for segment in segments:
        if segment.kind == _LOAD and segment.address <= address < segment.address + segment.size:
            return segment.place + address - segment.address
    raise ValueError("an address that is in no segment")


def _text(data: bytes, place: int) -> str:
    found = data[place : place + _MAX].partition(b"\0")[0]
    return found.decode("ascii")


def _folders(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(folder for path in paths for folder in path.split(":") if folder)
