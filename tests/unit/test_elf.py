"""What programs need to start, read from programs that others wrote."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from reconciler.errors import CorruptError
from reconciler.oci.elf import MAGIC, Needs, parse_needs

ADDRESS = 0x400000
NEEDED, TEXTS, PATH, RUNPATH = 1, 5, 15, 29


def program(loader: str, entries: Sequence[tuple[int, str]]) -> bytes:
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
    header = struct.pack("<16sHHIQQQIHHHHHH", MAGIC, 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    segments = [(1, 0, ADDRESS, size), (2, dynamic, ADDRESS + dynamic, len(table)), (3, interp, 0, len(loader) + 1)]
    packed = b"".join(struct.pack("<IIQQQQQQ", kind, 4, place, at, at, n, n, 8) for kind, place, at, n in segments)
    return header + packed + loader.encode() + b"\0" + table + texts


def test_what_is_needed_is_read() -> None:
    entries = [(NEEDED, "libc.so.6"), (PATH, "/old"), (RUNPATH, "$ORIGIN/../lib::/opt/lib"), (NEEDED, "libm.so.6")]
    wanted = Needs(
        loader="/lib64/ld.so.2", libraries=("libc.so.6", "libm.so.6"), folders=("$ORIGIN/../lib", "/opt/lib", "/old")
    )
    assert parse_needs(program("/lib64/ld.so.2", entries), "python") == wanted


@pytest.mark.skipif(sys.platform != "linux", reason="programs here are of another kind")
def test_this_interpreter_needs_a_c_library() -> None:
    needs = parse_needs(Path(sys.executable).resolve().read_bytes(), "python")
    assert needs.loader.startswith("/lib")
    assert "libc.so.6" in needs.libraries


@pytest.mark.threat("T9")
def test_what_ends_early_is_refused_or_needs_less(count_cases: Callable[[str, int], None]) -> None:
    whole = program("/lib/ld.so", [(NEEDED, "libc.so.6")])
    for size in range(len(whole) - len(b"libc.so.6\0")):
        assert "libc.so.6" not in read(whole[:size])
        count_cases("T9", 1)


def read(data: bytes) -> tuple[str, ...]:
    try:
        return parse_needs(data, "python").libraries
    except CorruptError:
        return ()


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#!/bin/sh\n",
        b"\x7fELF\x01\x01" + bytes(200),
        b"\x7fELF\x02\x02" + bytes(200),
        MAGIC + b"\xff" * 200,
        program("/lib/ld.so", [(NEEDED, "libc.so.6")]).replace(struct.pack("<qQ", TEXTS, ADDRESS)[:8], bytes(8)),
        program("/lib/\xe4", [(NEEDED, "libc.so.6")]),
    ],
    ids=["empty", "script", "32 bits", "big endian", "rubbish", "no texts", "no ASCII"],
)
def test_what_can_not_be_one_is_one_error(data: bytes) -> None:
    with pytest.raises(CorruptError, match=r"\Apython is no program that can be read\Z"):
        parse_needs(data, "python")
