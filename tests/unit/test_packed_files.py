"""Files that keep their wheel's compression: any reader finds the same archive, and nothing that was not checked."""

from __future__ import annotations

import gzip
import io
import random
import shutil
import struct
import subprocess
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.clients.compression import compress
from reconciler.errors import CorruptError
from reconciler.oci.member import Member, Packed, file_of
from reconciler.oci.tar import with_folders, write_pieces, write_tar
from reconciler.wheel.archive import open_wheel
from reconciler.wheel.installed import KEPT, installed
from tests.wheel_case import FILE, Case

PLACE = "opt/venv/lib/python3.11/site-packages/thing/"


def text(size: int, seed: int = 0) -> bytes:
    """Give what compresses to about half."""
    return bytes(random.Random(seed).choices(b"0123456789abcdef", k=size))  # noqa: S311  # the same each time


def members_of(data: bytes) -> tuple[Member, ...]:
    return installed(open_wheel(io.BytesIO(data), FILE), python="3.11", prefix="opt/venv")


def layer_of(data: bytes) -> bytes:
    return b"".join(compress(write_pieces(with_folders(members_of(data)))))


def plain_of(data: bytes) -> bytes:
    return b"".join(write_tar(with_folders(members_of(data))))


@pytest.mark.parametrize("size", [0, 100, 3 * KEPT, 5 << 20])
def test_every_reader_finds_the_archive_that_was_hashed(size: int) -> None:
    data = Case(files={"thing/a.bin": text(size), "thing/b.py": b"1\n", "thing/c.bin": text(size, 1)}).build()
    packed, plain = layer_of(data), plain_of(data)
    assert gzip.decompress(packed) == plain
    tool = shutil.which("gzip")
    assert tool is not None
    assert subprocess.run([tool, "-dc"], input=packed, capture_output=True, check=True).stdout == plain


def test_a_large_files_own_bytes_stand_in_the_layer() -> None:
    content = text(200_000)
    data = Case(files={"thing/a.bin": content}).build()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("thing/a.bin")
    place = info.header_offset + 30 + len(info.filename)
    stream = data[place : place + info.compress_size]
    member = b"\x1f\x8b\x08" + bytes(6) + b"\xff" + stream + struct.pack("<II", zlib.crc32(content), len(content))
    assert member in layer_of(data)


@pytest.mark.parametrize(("size", "method", "kept"), [(KEPT, 8, 0), (4 * KEPT, 8, 1), (4 * KEPT, 0, 0)])
def test_small_and_uncompressed_files_are_compressed_with_others(size: int, method: int, kept: int) -> None:
    members = members_of(Case(files={"thing/a.bin": text(size)}, method=method).build())
    assert sum(member.packed is not None for member in members) == kept


@given(st.lists(st.tuples(st.binary(max_size=2000), st.booleans()), max_size=20))
def test_any_mixture_is_one_stream(pieces: list[tuple[bytes, bool]]) -> None:
    mixed = (Packed(plain=data, packed=gzip.compress(data)) if is_packed else data for data, is_packed in pieces)
    assert gzip.decompress(b"".join(compress(mixed))) == b"".join(data for data, _ in pieces)


def _spoilt(data: bytes, change: str) -> bytes:
    """Change the stream of the large file, and let the archive's numbers say so."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("thing/a.bin")
    place = info.header_offset + 30 + len(info.filename)
    stream = data[place : place + info.compress_size]
    if change == "behind":
        hidden = gzip.compress(b"hidden")
        stream += struct.pack("<II", info.CRC, info.file_size) + hidden
    if change == "early":
        stream = stream[:-100]
    if change == "other":
        compressor = zlib.compressobj(wbits=-15)
        stream = compressor.compress(text(info.file_size, 9)) + compressor.flush()
    return _with_stream(data, info, stream)


def _with_stream(data: bytes, info: zipfile.ZipInfo, stream: bytes) -> bytes:
    grown = len(stream) - info.compress_size
    place = info.header_offset + 30 + len(info.filename)
    made = bytearray(data[:place] + stream + data[place + info.compress_size :])
    struct.pack_into("<I", made, info.header_offset + 18, len(stream))
    end = made.rindex(b"PK\x05\x06")
    directory = struct.unpack_from("<I", made, end + 16)[0] + grown
    struct.pack_into("<I", made, end + 16, directory)
    while directory < end:
        lengths = struct.unpack_from("<HHH", made, directory + 28)
        name = bytes(made[directory + 46 : directory + 46 + lengths[0]])
        if name == info.filename.encode():
            struct.pack_into("<I", made, directory + 20, len(stream))
        else:
            struct.pack_into("<I", made, directory + 42, struct.unpack_from("<I", made, directory + 42)[0] + grown)
        directory += 46 + sum(lengths)
    return bytes(made)


@pytest.mark.threat("T8")
@pytest.mark.parametrize("change", ["behind", "early", "other"])
def test_a_stream_that_is_not_the_file_is_refused(change: str) -> None:
    data = _spoilt(Case(files={"thing/a.bin": text(200_000)}).build(), change)
    with pytest.raises(CorruptError, match=r"thing/a\.bin"):
        layer_of(data)


@pytest.mark.threat("T8")
def test_what_stands_behind_a_stream_is_in_no_layer() -> None:
    """Further behind than one read: it is passed over, and so is not copied."""
    content = text(2 << 20)
    data = Case(files={"thing/a.bin": content}).build()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo("thing/a.bin")
    padding = -info.compress_size % (1 << 20)
    place = info.header_offset + 30 + len(info.filename)
    stream = data[place : place + info.compress_size]
    spoilt = _with_stream(data, info, stream + bytes(padding) + gzip.compress(b"hidden"))
    with pytest.raises(CorruptError, match=r"thing/a\.bin"):
        layer_of(spoilt)


def test_a_file_in_memory_is_compressed_with_others() -> None:
    assert gzip.decompress(b"".join(compress(write_pieces([file_of("a", b"1")])))) == b"".join(
        write_tar([file_of("a", b"1")])
    )
