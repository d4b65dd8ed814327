"""Which machine code a wheel holds, and what it needs, read from its files."""

from __future__ import annotations

import io

import pytest

from reconciler.errors import CorruptError
from reconciler.values.pep import Wheel
from reconciler.wheel.archive import open_wheel
from reconciler.wheel.native import Native, native_of
from tests.base_case import elf
from tests.wheel_case import FILE, INFO, Case

CHUNK = 1 << 20


def native(files: dict[str, bytes]) -> Native:
    return native_of(open_wheel(io.BytesIO(Case(files=files).build()), FILE))


def test_a_wheel_of_text_holds_none() -> None:
    assert native({"thing.py": b"GLIBC_2.99\0", "ELF.txt": b"ELF", "short": b"\x7fELF", "empty": b""}) == Native()


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_machine_and_the_newest_version_of_glibc_are_found(architecture: str) -> None:
    code = elf(architecture, b"GLIBC_2.2.5", b"GLIBC_2.17", b"GLIBC_2.9", b"GLIBC_PRIVATE", b"GLIBCXX_3.4.30")
    assert native({"thing.so": code, "thing.py": b"x"}) == Native(
        architectures=frozenset([architecture]), glibc=(2, 17)
    )


def test_every_file_counts() -> None:
    files = {"one.so": elf("amd64", b"GLIBC_2.17"), "two": elf("arm64", b"GLIBC_2.34")}
    assert native(files) == Native(architectures=frozenset(["amd64", "arm64"]), glibc=(2, 34))


def test_a_version_that_lies_across_two_pieces_is_found() -> None:
    for shift in range(12):
        begin = elf("amd64").ljust(CHUNK - shift, b".")
        assert native({"thing.so": begin + b"GLIBC_2.31\0"}).glibc == (2, 31)


def test_another_machine_has_its_number_and_musl_is_told() -> None:
    code = bytearray(elf("amd64", b"libc.musl-x86_64.so.1"))
    code[5], code[18:20] = 2, b"\x00\x16"  # big-endian, s390
    assert native({"thing.so": bytes(code)}) == Native(architectures=frozenset(["22"]), musl=True)


@pytest.mark.threat("T8")
def test_what_is_not_what_record_says_is_refused_while_it_is_read() -> None:
    right = Case(files={"thing.py": b"x"}).listed()[f"{INFO}/RECORD"]
    wrong = Case(files={"thing.py": b"y"}, record=right)
    with pytest.raises(CorruptError, match="not what RECORD says"):
        native_of(open_wheel(io.BytesIO(wrong.build()), FILE))


LINUX = ("linux_x86_64", "manylinux_2_17_x86_64")


@pytest.mark.parametrize(
    ("tag", "fits"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py311-none-any", True),
        ("cp311-cp311-linux_x86_64", True),
        ("cp311-abi3-linux_x86_64", True),
        ("cp38-abi3-manylinux_2_17_x86_64", True),
        ("py3-none-linux_x86_64", True),
        ("cp312-abi3-linux_x86_64", False),
        ("cp310-cp310-linux_x86_64", False),
        ("cp311-cp311t-linux_x86_64", False),
        ("cp311-cp311-linux_aarch64", False),
        ("cp311-cp311-manylinux_2_28_x86_64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("pp311-pypy311_pp73-linux_x86_64", False),
        ("py2-none-any", False),
    ],
)
def test_a_wheel_runs_where_its_tags_say(tag: str, fits: bool) -> None:  # noqa: FBT001  # a column of the table
    assert Wheel.parse(f"thing-1.0-{tag}.whl").runs_on("3.11", LINUX) is fits
