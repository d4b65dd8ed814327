"""Compressed layers: what went in comes out, and the bytes are the same on every machine."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.clients.compression import BLOCK, compress

TEXT = b"".join(b"%d lines of text, of which no two are the same\n" % number for number in range(60_000))
GOLDEN = "8998ca6132b381a8e462ee36eb8603c4fb1781703b58f7605028dfc20e3e21eb"
"""Another libdeflate writes other bytes: then ``assembly.key.RECIPE`` is raised, and this with it."""


def compressed(*chunks: bytes) -> bytes:
    return b"".join(compress(chunks))


@given(st.lists(st.binary(max_size=3000)))
def test_what_went_in_comes_out(chunks: list[bytes]) -> None:
    assert gzip.decompress(compressed(*chunks)) == b"".join(chunks)


@pytest.mark.threat("F21")
@pytest.mark.parametrize("size", [1, 4096, BLOCK - 1, BLOCK, BLOCK + 1, len(TEXT)])
def test_how_the_input_is_cut_does_not_matter(size: int) -> None:
    cut = TEXT if size > 1 else TEXT[:5000]
    chunks = [cut[place : place + size] for place in range(0, len(cut), size)]
    assert compressed(*chunks) == compressed(cut)


@pytest.mark.threat("F21")
def test_the_bytes_are_those_of_the_recipe() -> None:
    assert sha256(compressed(TEXT)).hexdigest() == GOLDEN


def test_other_readers_take_several_members() -> None:
    tool = shutil.which("gzip")
    assert tool is not None
    assert subprocess.run([tool, "-dc"], input=compressed(TEXT), capture_output=True, check=True).stdout == TEXT
    assert gzip.decompress(compressed(TEXT)) == TEXT


def test_nothing_is_a_stream_too() -> None:
    assert gzip.decompress(compressed()) == b""
    assert compressed(b"", b"") == compressed()


def test_no_time_and_no_name_is_written_down() -> None:
    flags, time = compressed(TEXT)[3], compressed(TEXT)[4:8]
    assert (flags, time) == (0, bytes(4))
