"""Programs and libraries that are nothing but what they say of themselves (ELF-64, gABI)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from reconciler.oci.elf import MACHINES, MAGIC

ADDRESS = 0x400000
NEEDED, TEXTS, SONAME, PATH, RUNPATH = 1, 5, 14, 15, 29


def program(loader: str, entries: Sequence[tuple[int, str]], *, machine: str = "amd64") -> bytes:
    """Write a program with a loader and the entries of a dynamic table, in one segment."""
    texts, table = b"\0", b""
    for tag, text in entries:
        table += struct.pack("<qQ", tag, len(texts))
        texts += text.encode() + b"\0"
    start = 64 + 3 * 56
    interp, dynamic = start, start + len(loader) + 1
    strings = dynamic + len(table) + 32
    table += struct.pack("<qQqQ", TEXTS, ADDRESS + strings, 0, 0)
    size = strings + len(texts)
    number = next(number for number, name in MACHINES.items() if name == machine)
    header = struct.pack("<16sHHIQQQIHHHHHH", MAGIC + b"\1", 3, number, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    segments = [(1, 0, ADDRESS, size), (2, dynamic, ADDRESS + dynamic, len(table))]
    segments += [(3, interp, 0, len(loader) + 1)] if loader else [(0, 0, 0, 0)]
    packed = b"".join(struct.pack("<IIQQQQQQ", kind, 4, place, at, at, n, n, 8) for kind, place, at, n in segments)
    return header + packed + loader.encode() + b"\0" + table + texts
