"""Layers that are streamed: any reader finds what was put in, and the same members are the same bytes."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import BuildError, CorruptError
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of, opaque_of, whiteout_of
from reconciler.oci.rootfs import Rootfs
from reconciler.oci.tar import with_folders, write_tar
from reconciler.oci.untar import read_tar

LONG = "/".join(["opt/venv/lib"] + ["a" * 60] * 3)
DEEP = "/".join(["b" * 99] * 4)
PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda part: part not in (".", "..") and not part.startswith(".wh.")
)
PATHS = st.lists(PARTS, min_size=1, max_size=6).map("/".join)


def archived(*members: Member) -> bytes:
    return b"".join(write_tar(with_folders(members)))


def opened(data: bytes) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8")


@given(st.dictionaries(PATHS, st.binary(max_size=1500), max_size=8))
def test_a_reader_finds_every_file_with_its_bytes(files: dict[str, bytes]) -> None:
    files = {path: data for path, data in files.items() if not any(other.startswith(f"{path}/") for other in files)}
    with opened(archived(*(file_of(path, data) for path, data in files.items()))) as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        assert {name: file.read() for name, file in found.items() if file} == files


@given(st.permutations([file_of("a/b", b"1"), file_of("a-b", b"2"), link_of("a/c", "b"), folder_of("z", mode=0o1777)]))
def test_the_order_in_which_members_come_does_not_matter(members: list[Member]) -> None:
    assert archived(*members) == archived(*reversed(members))


@pytest.mark.parametrize("path", [LONG, DEEP, "é" * 40, "x" * 100, "y" * 101, f"{'p' * 155}/{'n' * 100}"])
def test_long_and_foreign_names_are_read_by_gnu_tar_and_python(path: str, tmp_path: Path) -> None:
    data = archived(file_of(path, b"here"), link_of("link", path))
    with opened(data) as archive:
        assert archive.getmember("link").linkname == path
        assert archive.getmember(path).size == len(b"here")
    (tmp_path / "layer.tar").write_bytes(data)
    tar = shutil.which("tar")
    assert tar is not None
    said = subprocess.run(
        [tar, "--quoting-style=literal", "-tf", tmp_path / "layer.tar"], capture_output=True, check=True
    )
    assert path in said.stdout.decode().splitlines()


def test_owners_modes_and_kinds_are_kept_and_the_time_is_zero() -> None:
    home = folder_of("home/user", mode=0o1777, uid=1000, gid=1000)
    far = file_of("far", b"", mode=0o4755, uid=1 << 30, gid=8**7)
    with opened(archived(home, far)) as archive:
        found = {member.name: member for member in archive}
    assert [found["home"].mode, found["home"].uid, found["home"].isdir()] == [0o755, 0, True]
    assert [found["home/user"].mode, found["home/user"].uid] == [0o1777, 1000]
    assert [found["far"].mode, found["far"].uid, found["far"].gid] == [0o4755, 1 << 30, 8**7]
    assert {member.mtime for member in found.values()} == {0}


def test_a_size_over_eight_gibibytes_is_told() -> None:
    size = 9 << 30
    whole = Member(path="big", size=size, read=lambda: iter((b"x" * 512,)))
    pieces = write_tar([whole])
    with pytest.raises(CorruptError):
        list(pieces)
    header = tarfile.TarInfo.frombuf(b"".join(_first_blocks(whole))[1024:1536], "utf-8", "strict")
    assert header.name == "big"
    assert f"size={size}\n".encode() in b"".join(_first_blocks(whole))[512:1024]


def _first_blocks(member: Member) -> Iterator[bytes]:
    # Just the beginning: two MiB of it are enough for a piece to come.
    chunk = bytes(1 << 20)
    endless = replace(member, read=lambda: iter((chunk, chunk)))
    yield next(write_tar([endless]))[: 512 * 3]


@pytest.mark.parametrize("data", [b"", b"12", b"1234"])
def test_a_file_that_is_not_as_long_as_it_said_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError, match="/f has not the 3 bytes"):
        list(write_tar([Member(path="f", size=3, read=lambda: iter((data,)))]))


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "a//b", "a/./b", "", ".wh.x", "a/.wh..wh..opq", "a\0b"]
)
def test_a_path_that_leads_out_or_deletes_is_not_written(path: str) -> None:
    with pytest.raises(ValueError, match=r"path inside a layer|deletes"):
        list(write_tar([file_of(path, b"")]))


def test_members_out_of_order_or_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="stands behind"):
        list(write_tar([file_of("b", b""), file_of("a", b"")]))
    with pytest.raises(ValueError, match="stands behind"):
        list(write_tar([file_of("a", b""), file_of("a", b"")]))


def test_a_path_given_twice_is_refused_unless_it_is_the_same_folder() -> None:
    assert [member.path for member in with_folders([folder_of("a"), folder_of("a")])] == ["a"]
    for other in (folder_of("a", mode=0o700), file_of("a", b"")):
        with pytest.raises(BuildError, match="/a twice"):
            list(with_folders([folder_of("a"), other]))
    with pytest.raises(BuildError, match="/a is no folder"):
        list(with_folders([file_of("a", b""), file_of("a/b", b"")]))


def test_no_piece_is_much_larger_than_what_is_read_at_once() -> None:
    chunk = bytes(1 << 16)
    large = Member(path="large", size=100 << 16, read=lambda: iter([chunk] * 100))
    assert max(map(len, write_tar([large]))) <= (1 << 20) + (1 << 16) + 2048


def test_a_hard_link_names_the_file_before_it() -> None:
    data = archived(file_of("a", b"1"), Member(path="b", kind=Kind.HARD, target="a"))
    with opened(data) as archive:
        file = archive.extractfile("b")
        assert file is not None
        assert file.read() == b"1"


# -- what deletes -----------------------------------------------------------------------------------------------


def test_a_layer_deletes_what_its_marks_say_and_keeps_its_own() -> None:
    root = Rootfs()
    below = archived(file_of("opt/venv/old", b""), file_of("srv/gone", b""), file_of("srv/kept", b""))
    root.apply(read_tar(iter([below])))
    root.apply(read_tar(iter([archived(opaque_of("opt/venv"), file_of("opt/venv/new", b""), whiteout_of("srv/gone"))])))
    assert (root.children("opt/venv"), root.children("srv")) == (("new",), ("kept",))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/b", Kind.WHITEOUT),
        ("a/.wh.b", Kind.OPAQUE),
        ("a/.wh..wh..opq", Kind.WHITEOUT),
        (".wh..wh..opq", Kind.OPAQUE),
        ("a/.wh..wh.b", Kind.WHITEOUT),
        ("a/.wh...", Kind.WHITEOUT),
        ("a/.wh.", Kind.WHITEOUT),
        (".wh.a/b", Kind.WHITEOUT),
        ("../.wh.b", Kind.WHITEOUT),
    ],
)
def test_a_mark_under_a_name_that_means_something_else_is_not_written(path: str, kind: Kind) -> None:
    with pytest.raises(ValueError, match=r"path inside a layer|deletes|not the name"):
        archived(Member(path=path, kind=kind))
