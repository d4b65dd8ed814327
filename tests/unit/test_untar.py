"""Layers that others wrote: what any tool writes is read, what is hostile refused."""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.clients.compression import compress
from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of
from reconciler.oci.tar import with_folders, write_tar
from reconciler.oci.untar import decompress, read_tar

LONG = "/".join(["folder" * 12] * 3)
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def found(data: bytes, size: int = 1000) -> dict[str, tuple[Member, bytes]]:
    pieces = (data[place : place + size] for place in range(0, len(data), size))
    return {member.path: (member, b"".join(body)) for member, body in read_tar(pieces)}


def tarred(*members: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT, data: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


# -- what is right ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("name", ["a", "./a/b", "/abs", "x" * 100, LONG, "é/ü"])
def test_what_python_writes_is_read(form: str, name: str) -> None:
    data = tarred(info(name, size=3, mode=0o4755, uid=5, gid=6), form=FORMATS[form], data=b"abc")
    member, body = found(data)[name.removeprefix("./").lstrip("/")]
    assert (body, member.mode, member.uid, member.gid, member.size) == (b"abc", 0o4755, 5, 6, 3)


@pytest.mark.parametrize("form", ["ustar", "gnu", "oldgnu", "pax", "v7"])
def test_what_gnu_tar_writes_is_read(form: str, tmp_path: Path) -> None:
    tar = shutil.which("tar")
    assert tar is not None
    (tmp_path / "in/folder").mkdir(parents=True)
    (tmp_path / "in/folder/file").write_bytes(b"x" * 3000)
    (tmp_path / "in/link").symlink_to("folder/file")
    (tmp_path / "in/hard").hardlink_to(tmp_path / "in/folder/file")
    made = subprocess.run([tar, f"--format={form}", "-C", tmp_path / "in", "-c", "."], capture_output=True, check=True)
    read = found(made.stdout)
    assert {path: member.kind for path, (member, _) in read.items()}.keys() == {"folder", "folder/file", "link", "hard"}
    assert read["link"][0].target == "folder/file"
    kinds = sorted((read["hard"][0].kind.value, read["folder/file"][0].kind.value))
    assert kinds == ["file", "hard link"]


def test_what_we_write_we_read() -> None:
    members = [file_of(LONG, b"1" * 5000, uid=1 << 30), link_of("link", LONG), folder_of("d", mode=0o1777, uid=7)]
    read = found(b"".join(write_tar(with_folders(members))), size=1 << 20)
    assert read[LONG][1] == b"1" * 5000
    assert (read[LONG][0].uid, read["link"][0].target, read["d"][0].mode) == (1 << 30, LONG, 0o1777)


def test_bytes_that_nobody_reads_are_passed_over() -> None:
    data = b"".join(write_tar([file_of("a", b"x" * 3000), file_of("b", b"y")]))
    assert [member.path for member, _ in read_tar([data])] == ["a", "b"]
    first = next(read_tar([data]))
    assert next(first[1])[:1] == b"x"


def test_devices_and_pipes_are_passed_over() -> None:
    kinds = [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    data = tarred(*(info(f"dev{place}", kind) for place, kind in enumerate(kinds)), info("file"))
    assert list(found(data)) == ["file"]


def test_the_root_itself_is_no_entry() -> None:
    assert found(tarred(info("./", tarfile.DIRTYPE), info("/", tarfile.DIRTYPE))) == {}


def test_large_numbers_are_read() -> None:
    data = tarred(info("a", uid=1 << 40, gid=1 << 40), form=tarfile.GNU_FORMAT)
    assert found(data)["a"][0].uid == 1 << 40


def test_an_archive_may_end_without_its_empty_blocks() -> None:
    data = tarred(info("a", size=512), data=b"z" * 512)
    assert found(data[:1024])["a"][1] == b"z" * 512


@pytest.mark.parametrize("kind", [media.LAYER_TAR_GZIP, media.DOCKER_LAYER_TAR_GZIP])
def test_gzip_of_one_and_of_several_members_is_unpacked(kind: str) -> None:
    data = bytes(range(256)) * 10_000
    for packed in (gzip.compress(data), b"".join(compress([data])), gzip.compress(data[:9]) + gzip.compress(data[9:])):
        cut = (packed[place : place + 777] for place in range(0, len(packed), 777))
        assert b"".join(decompress(kind, cut)) == data


def test_what_is_not_compressed_is_passed_on() -> None:
    assert list(decompress(media.LAYER_TAR, [b"a", b"b"])) == [b"a", b"b"]


# -- what is refused --------------------------------------------------------------------------------------------


def spoiled(offset: int, value: bytes) -> Callable[[], bytes]:
    """Overwrite a field of a header, and sum it up again."""

    def make() -> bytes:
        data = bytearray(tarred(info("a", size=3), data=b"abc"))
        data[offset : offset + len(value)] = value
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        return bytes(data)

    return make


def extended(**headers: str) -> Callable[[], bytes]:
    return lambda: tarred(info("a", size=3, pax_headers=headers), data=b"abc")


def header_of(data: bytes) -> Callable[[], bytes]:
    """Write an extended header as these bytes."""

    def make() -> bytes:
        member = info("x", tarfile.XHDTYPE, size=len(data))
        return tarred(member, form=tarfile.USTAR_FORMAT, data=data)

    return make


HOSTILE: dict[str, Callable[[], bytes]] = {
    "parent": lambda: tarred(info("../evil")),
    "parent inside": lambda: tarred(info("a/../../evil")),
    "absolute parent": lambda: tarred(info("/../evil")),
    "parent in an extended header": extended(path="../evil"),
    "nul in an extended header": extended(path="a\0b"),
    "hard link out": lambda: tarred(info("a", tarfile.LNKTYPE, linkname="../../etc/shadow")),
    "hard link out in an extended header": lambda: tarred(
        info("a", tarfile.LNKTYPE, linkname="b", pax_headers={"linkpath": "../x"})
    ),
    "sparse": spoiled(156, b"S"),
    "sparse in an extended header": extended(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
    "sparse map": extended(**{"GNU.sparse.map": "0,1"}),
    "unknown kind": spoiled(156, b"Z"),
    "volume": spoiled(156, b"V"),
    "several volumes": spoiled(156, b"M"),
    "checksum": lambda: b"b" + tarred(info("a"))[1:],
    "text": lambda: b"no archive, but text " * 100,
    "size that is none": spoiled(124, b"abcdefghijk\0"),
    "negative size": spoiled(124, b"\xff" * 12),
    "size that is negative in an extended header": extended(size="-1"),
    "size that is huge in an extended header": extended(size="9" * 30),
    "mode that is none": spoiled(100, b"rwxr-xr\0"),
    "longer than the archive": spoiled(124, b"77777777777\0"),
    "ends in a header": lambda: tarred(info("a"))[:300],
    "ends in a file": lambda: tarred(info("a", size=2000), data=b"x" * 2000)[:1500],
    "ends in a long name": lambda: tarred(info(LONG * 4), form=tarfile.GNU_FORMAT)[:700],
    "extended header without length": header_of(b"path=x\n"),
    "extended header of no length": header_of(b"0 path=x\n"),
    "extended header that is too long": header_of(b"99 path=x\n"),
    "extended header without sign": header_of(b"8 pathx\n"),
    "extended header without end": header_of(b"9 path=xy"),
    "huge extended header": lambda: tarred(
        info("x", tarfile.XHDTYPE, size=2 << 20), form=tarfile.USTAR_FORMAT, data=bytes(2 << 20)
    ),
}


@pytest.mark.threat("T9")
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_layer_is_refused_in_one_line(name: str) -> None:
    data = HOSTILE[name]()
    with pytest.raises(CorruptError) as refused:
        found(data)
    assert "\n" not in refused.value.message
    assert refused.value.message.startswith("a tar archive ")


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    "data", [b"no gzip", gzip.compress(b"x" * 999, mtime=0)[:-5], gzip.compress(b"x", mtime=0) + b"more", b"\x1f\x8b"]
)
def test_what_can_t_be_unpacked_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError, match="a layer"):
        list(decompress(media.LAYER_TAR_GZIP, [data]))


@pytest.mark.threat("T9")
def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    one = gzip.compress(bytes(4 << 20), 9)
    with pytest.raises(CorruptError, match="unpack to more"):
        sum(map(len, decompress(media.LAYER_TAR_GZIP, (one for _ in range(1 << 20)))))


@pytest.mark.threat("T9")
def test_another_compression_is_refused_with_what_to_do() -> None:
    with pytest.raises(CorruptError, match="brotli") as refused:
        decompress("application/vnd.oci.image.layer.v1.tar+brotli", [])
    assert refused.value.hint


def test_kinds_are_told_apart() -> None:
    data = tarred(info("d", tarfile.DIRTYPE), info("l", tarfile.SYMTYPE, linkname="../d"), info("old/"))
    kinds = {path: member.kind for path, (member, _) in found(data).items()}
    assert kinds == {"d": Kind.FOLDER, "l": Kind.LINK, "old": Kind.FOLDER}
