"""What programs need to start, read from programs that others wrote."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import CorruptError
from reconciler.oci.elf import MAGIC, Elf, Needs, parse_needs, read_elf
from tests.elf_case import ADDRESS, NEEDED, PATH, RUNPATH, SONAME, TEXTS, program


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


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[place : place + size] for place in range(0, len(data), size))


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_a_library_is_read_in_whatever_pieces_it_comes(size: int) -> None:
    entries = [(SONAME, "libz.so.1"), (NEEDED, "libc.so.6"), (PATH, "/old:$ORIGIN"), (RUNPATH, "$ORIGIN/../lib")]
    assert read_elf(pieces(program("", entries, machine="arm64"), size)) == Elf(
        machine="arm64",
        shared=True,
        soname="libz.so.1",
        libraries=("libc.so.6",),
        rpath=("/old", "$ORIGIN"),
        runpath=("$ORIGIN/../lib",),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="programs here are of another kind")
def test_no_more_of_a_library_is_read_than_it_takes() -> None:
    data = Path(sys.executable).resolve().read_bytes()
    read = [0]

    def counted() -> Iterator[bytes]:
        for piece in pieces(data, 4096):
            read[0] += len(piece)
            yield piece

    assert read_elf(counted()) is not None
    assert 0 < read[0] < len(data)


def test_texts_behind_what_is_held_are_found_and_those_that_passed_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    data = program("", [(NEEDED, "libc.so.6")])
    monkeypatch.setattr("reconciler.oci.elf._MAX_HELD", 8192)
    table = struct.unpack_from("<Q", data, 64 + 56 + 8)[0]
    far = 100_000
    moved = bytearray(data[:table].ljust(far, b"\0") + data[table:])
    struct.pack_into("<Q", moved, 64 + 56 + 8, far)
    struct.pack_into("<QQ", moved, 64 + 32, len(moved), len(moved))
    place = moved.index(struct.pack("<qQ", TEXTS, ADDRESS + table + 48)) + 8
    struct.pack_into("<Q", moved, place, ADDRESS + far + 48)
    found = read_elf(pieces(bytes(moved), 512))
    assert found is not None
    assert found.libraries == ("libc.so.6",)
    struct.pack_into("<Q", moved, place, ADDRESS + 50_000)
    assert read_elf(pieces(bytes(moved), 512)) is None


@pytest.mark.threat("T9")
def test_a_file_that_is_no_program_is_passed_over(count_cases: Callable[[str, int], None]) -> None:
    whole = program("/lib/ld.so", [(NEEDED, "libc.so.6"), (SONAME, "libx.so")])
    for place in range(len(whole)):
        for value in (0, 255):
            damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
            read_elf(iter((damaged,)))
            count_cases("T9", 1)
    assert read_elf(iter((b"#!/bin/sh\n",))) is None
    assert read_elf(iter(())) is None
