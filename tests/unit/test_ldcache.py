"""The loader's cache, held to what ldconfig writes for the same root."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.debian.ldcache import CACHE, compare_names, ldcache, library_folders, wanted
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of
from reconciler.oci.rootfs import Rootfs
from tests.conftest import Required
from tests.elf_case import SONAME, program

CONFIGURATION = {"etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n", "etc/ld.so.conf.d/b.conf": "/opt/b # last\n"}
PLACE = 32
"""Where the header says where extensions begin."""


def library(soname: str, machine: str = "amd64") -> bytes:
    return program("", [(SONAME, soname)] if soname else [(1, "libc.so.6")], machine=machine)


def root_of(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> Rootfs:
    found = Rootfs(wanted)
    found.apply((member, iter(member.read() if member.read else ())) for member in members(files, links or {}))
    return found


def members(files: Mapping[str, str | bytes], links: Mapping[str, str]) -> list[Member]:
    plain = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    return [*(file_of(path, data) for path, data in plain.items()), *(link_of(*link) for link in links.items())]


def read(data: bytes) -> list[tuple[str, str, int, int]]:
    """Read entries as a loader does: name, path, flags, hardware."""
    _, count, _, _, _, *_ = struct.unpack_from("<20sIIB3xIIII", data)
    rows = [struct.unpack_from("<iIIIQ", data, 48 + 24 * number) for number in range(count)]
    return [(_text(data, key), _text(data, value), flags, hardware) for flags, key, value, _, hardware in rows]


def _text(data: bytes, place: int) -> str:
    return data[place : data.index(b"\0", place)].decode()


def cache_of(root: Rootfs, architecture: str = "amd64") -> bytes:
    member = ldcache(root, architecture)
    assert (member.path, member.kind, member.mode) == (CACHE, Kind.FILE, 0o644)
    return b"".join(member.read() if member.read else ())


NAMES = ["libz.so.1.2.13", "libfoo-2.so.10", "libfoo-10.so.9", "libnone.so", "libold.so.1.9", "libold.so.1.10"]
FILES: Mapping[str, str | bytes] = {
    **CONFIGURATION,
    "etc/ld.so.conf.d/a.conf": "\n/opt/a/\n/nowhere\n",
    **{f"opt/a/{name}": library(name.partition(".so")[0] + ".so.1") for name in NAMES},
    "opt/b/libz.so.1": library("libz.so.1"),
    "opt/b/libnamed.so.3": library(""),
    "opt/b/libtext.so": "GROUP ( libz.so.1 )",
    "opt/b/module.so": library("libmodule.so.1"),
    "usr/lib/x86_64-linux-gnu/libz.so.1.3": library("libz.so.1"),
    "usr/lib/x86_64-linux-gnu/sub/libdeep.so.1": library("libdeep.so.1"),
}
LINKS = {"lib": "usr/lib", "usr/lib/x86_64-linux-gnu/libz.so.1": "libz.so.1.3", "opt/b/libgone.so.1": "gone"}


def test_a_cache_has_the_bytes_of_ldconfig(tmp_path: Path, required: Required) -> None:
    for member in members(FILES, LINKS):
        path = tmp_path / member.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.kind is Kind.LINK:
            path.symlink_to(member.target)
        else:
            path.write_bytes(b"".join(member.read() if member.read else ()))
    subprocess.run([required.program("ldconfig"), "-r", tmp_path], check=True, capture_output=True)
    made = (tmp_path / CACHE).read_bytes()
    links = {
        link.relative_to(tmp_path).as_posix(): link.readlink().as_posix()
        for link in tmp_path.rglob("*.so*")
        if link.is_symlink()
    }
    own = cache_of(root_of(FILES, {**LINKS, **links}))
    assert own[:PLACE] == made[:PLACE]
    assert own[PLACE + 4 :] == made[PLACE + 4 : len(own)]
    assert len(read(own)) == 8


def test_a_library_whose_link_nobody_made_is_found_by_its_file() -> None:
    files = {"usr/lib/libold.so.1.9": library("libold.so.1"), "usr/lib/libold.so.1.10": library("libold.so.1")}
    assert read(cache_of(root_of(files))) == [("libold.so.1", "/usr/lib/libold.so.1.10", 0x0303, 0)]


def test_what_a_linker_looks_for_is_found_too() -> None:
    root = root_of({"usr/lib/libz.so.1": library("libz.so.1")}, {"usr/lib/libz.so": "libz.so.1"})
    assert [name for name, *_ in read(cache_of(root))] == ["libz.so.1", "libz.so"]


def test_only_libraries_of_the_machine_are_there() -> None:
    files = {"usr/lib/libone.so.1": library("libone.so.1"), "lib/libother.so.1": library("libother.so.1", "arm64")}
    root = root_of(files)
    assert [(name, flags) for name, _, flags, _ in read(cache_of(root))] == [("libone.so.1", 0x0303)]
    assert [(name, flags) for name, _, flags, _ in read(cache_of(root, "arm64"))] == [("libother.so.1", 0x0A03)]


def test_libraries_for_some_hardware_come_first_and_say_which() -> None:
    folder = "usr/lib/glibc-hwcaps"
    files = {
        "usr/lib/libone.so.1": library("libone.so.1"),
        f"{folder}/x86-64-v3/libone.so.1.2": library("libone.so.1"),
        f"{folder}/x86-64-v2/libone.so.1": library("libone.so.1"),
    }
    data = cache_of(root_of(files))
    found = [(path, hardware) for _, path, _, hardware in read(data)]
    assert found == [
        (f"/{folder}/x86-64-v2/libone.so.1", 1 << 62),
        (f"/{folder}/x86-64-v3/libone.so.1.2", 1 << 62 | 1),
        ("/usr/lib/libone.so.1", 0),
    ]
    (place,) = struct.unpack_from("<I", data, PLACE)
    magic, count, tag, _, start, size = struct.unpack_from("<6I", data, place)
    assert (magic, count, tag, size, place % 4) == (0xEAA42174, 1, 1, 8, 0)
    assert [_text(data, name) for name in struct.unpack_from("<2I", data, start)] == ["x86-64-v2", "x86-64-v3"]


def test_folders_of_the_configuration_come_first_and_each_once() -> None:
    root = root_of({**FILES, "usr/local/lib/x": ""}, LINKS)
    assert library_folders(root, "amd64") == ("/opt/a", "/opt/b", "/lib/x86_64-linux-gnu", "/lib")


@pytest.mark.threat("T9")
def test_a_configuration_that_includes_itself_ends() -> None:
    root = root_of({"etc/ld.so.conf": "include /etc/ld.so.conf\n/opt/a\n", "opt/a/x": ""})
    assert library_folders(root, "amd64") == ("/opt/a",)


def test_an_empty_root_has_an_empty_cache() -> None:
    root = Rootfs(wanted)
    root.apply([(folder_of("etc"), iter(()))])
    assert read(cache_of(root)) == []


@pytest.mark.parametrize(
    "falling",
    [("libb.so.1", "liba.so.2"), ("liba.so.10", "liba.so.9"), ("liba1.so", "liba.so"), ("liba.so.1", "liba.so")],
)
def test_names_are_compared_with_the_value_of_their_numbers(falling: Sequence[str]) -> None:
    assert compare_names(*falling) > 0
    assert compare_names(*reversed(falling)) < 0


names = st.text("ab.1029", max_size=8)


@given(one=names, other=names, third=names)
def test_names_have_one_order(one: str, other: str, third: str) -> None:
    assert (compare_names(one, other) > 0) == (compare_names(other, one) < 0)
    if compare_names(one, other) >= 0 and compare_names(other, third) >= 0:
        assert compare_names(one, third) >= 0
