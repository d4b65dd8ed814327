"""Debian packages: what dpkg takes is read, what is hostile or can be read in two ways is refused (T8, T9)."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.debian.deb import Deb, open_deb
from reconciler.errors import CorruptError
from reconciler.oci.inflate import gunzip, unxz
from reconciler.oci.member import Kind
from reconciler.oci.zstd import unzstd
from tests.debs import COMPRESS, ar, control_of, info, make_deb, tarred

UNPACK = {".gz": gunzip, ".xz": unxz, ".zst": unzstd}


def opened(data: bytes) -> Deb:
    return open_deb(io.BytesIO(data), "made_1.deb")


def files(data: bytes) -> dict[str, bytes]:
    return {member.path: b"".join(body) for member, body in opened(data).members()}


def read(data: bytes) -> None:
    """Read all of a package."""
    files(data)


# -- what is right ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", sorted(COMPRESS))
def test_a_package_is_read_however_it_is_compressed(ending: str) -> None:
    scripts = {"postinst": b"#!/bin/sh\n", "conffiles": b"/etc/made\n", "md5sums": b"0 etc/made\n", "shlibs": b"x"}
    data = make_deb(
        "made", {"etc/made": b"text"}, scripts=scripts, ending=ending, fields={"Depends": "libc6 (>= 2),\n bash"}
    )
    deb = opened(data)
    assert (deb.name, deb.version, deb.control["depends"]) == ("made", "1.0-1", "libc6 (>= 2),\nbash")
    assert deb.scripts == {"conffiles": "/etc/made\n", "postinst": "#!/bin/sh\n"}
    assert deb.md5sums == "0 etc/made\n"
    assert files(data) == {"etc/made": b"text"}


def test_what_dpkg_builds_is_read(tmp_path: Path) -> None:
    program = shutil.which("dpkg-deb")
    if program is None:
        pytest.skip("dpkg-deb is not here")
    folder = tmp_path / "made"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN/control").write_bytes(control_of("made", Maintainer="Nobody <nobody@example.org>"))
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/one").write_bytes(b"x" * 3000)
    (folder / "usr/bin/one").chmod(0o4755)
    (folder / "usr/bin/two").hardlink_to(folder / "usr/bin/one")
    (folder / "usr/bin/three").symlink_to("one")
    for kind in ("gzip", "xz", "zstd"):
        command: list[str | Path] = [
            program,
            "--root-owner-group",
            f"-Z{kind}",
            "--build",
            folder,
            tmp_path / f"{kind}.deb",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and "unknown compression" in done.stderr:  # an older dpkg has no zstd
            continue
        assert done.returncode == 0, done.stderr
        members = {member.path: member for member, _ in opened((tmp_path / f"{kind}.deb").read_bytes()).members()}
        assert {path: member.kind for path, member in members.items()} == {
            "usr": Kind.FOLDER, "usr/bin": Kind.FOLDER, "usr/bin/three": Kind.LINK,
            "usr/bin/one": Kind.FILE, "usr/bin/two": Kind.HARD,
        }  # fmt: skip
        assert members["usr/bin/one"].mode == 0o4755


def test_a_script_that_is_a_program_is_read_as_no_text_that_anybody_runs() -> None:
    """As in bash 5.1."""
    assert opened(make_deb("made", scripts={"preinst": b"\x7fELF\xff\x00"})).scripts["preinst"].startswith("\x7fELF")


def test_signatures_and_what_stands_behind_the_files_are_passed_over() -> None:
    whole = [("debian-binary", b"2.0\n"), ("_extra", b"x"), *parts(), ("_gpgorigin", b"signed")]
    assert files(ar(*whole)) == {"a": b"1"}


def test_a_package_may_consist_of_several_streams() -> None:
    for ending, unpack in UNPACK.items():
        data = COMPRESS[ending](b"one") + COMPRESS[ending](b"two")
        assert b"".join(unpack([data[:5], data[5:]], "it")) == b"onetwo"
    assert b"".join(unxz([COMPRESS[".xz"](b"one") + bytes(8)], "it")) == b"one"


# -- what is refused --------------------------------------------------------------------------------------------


def parts(control: bytes = control_of("made"), data: bytes | None = None) -> list[tuple[str, bytes]]:
    whole = tarred([(info("a"), b"1")]) if data is None else data
    return [("control.tar", tarred([(info("control"), control)])), ("data.tar", whole)]


def holding(*members: tarfile.TarInfo) -> Callable[[], bytes]:
    return lambda: ar(("debian-binary", b"2.0\n"), *parts(data=tarred([(member, b"") for member in members])))


def outer(*members: tuple[str, bytes]) -> Callable[[], bytes]:
    return lambda: ar(*members)


FORMAT = ("debian-binary", b"2.0\n")
CONTROL, DATA = parts()
HOSTILE: dict[str, Callable[[], bytes]] = {
    "no archive": lambda: b"PK\x03\x04 more",
    "empty": lambda: b"",
    "cut short": lambda: make_deb("made", {"a": b"1" * 9999})[:-700],
    "a header that is none": lambda: make_deb("made") + b"x" * 60,
    "another format": outer(("debian-binary", b"3.0\n"), CONTROL, DATA),
    "no format": outer(CONTROL, DATA),
    "no files": outer(FORMAT, CONTROL),
    "nothing for dpkg": outer(FORMAT, DATA),
    "data first": outer(FORMAT, DATA, CONTROL),
    "control twice": outer(FORMAT, CONTROL, CONTROL, DATA),
    "data twice": outer(FORMAT, CONTROL, DATA, ("data.tar.gz", b"")),
    "an unknown member before": outer(FORMAT, ("extra", b""), CONTROL, DATA),
    "an unknown compression": outer(FORMAT, CONTROL, ("data.tar.rar", b"")),
    "no gzip": outer(FORMAT, CONTROL, ("data.tar.gz", b"nothing")),
    "no xz": outer(FORMAT, CONTROL, ("data.tar.xz", b"nothing")),
    "no zstd": outer(FORMAT, CONTROL, ("data.tar.zst", b"nothing")),
    "xz that ends early": outer(FORMAT, CONTROL, ("data.tar.xz", COMPRESS[".xz"](tarred([]))[:-9])),
    "zstd that ends early": outer(FORMAT, CONTROL, ("data.tar.zst", COMPRESS[".zst"](tarred([]))[:-3])),
    "a name that leads out": lambda: make_deb("../../etc"),
    "a version that leads out": lambda: make_deb("made", version="../1"),
    "no name": outer(FORMAT, *parts(control=b"Version: 1\nArchitecture: all\n")),
    "two stanzas": outer(FORMAT, *parts(control=control_of("one") + b"\n" + control_of("two"))),
    "a field twice": outer(FORMAT, *parts(control=control_of("made") + b"Package: other\n")),
    "no stanza": outer(FORMAT, *parts(control=b"nothing\n")),
    "no UTF-8": outer(FORMAT, *parts(control=control_of("made", Maintainer="x") + b"X: \xff\n")),
    "a script that leads out": lambda: make_deb("made", scripts={"../postinst": b""}),
    "a script in a folder": lambda: make_deb("made", scripts={"folder/postinst": b""}),
    "a script twice": lambda: make_deb("made", scripts={"./control": b""}),
    "dot dot": holding(info("../etc/passwd")),
    "dot dot within": holding(info("usr/../../etc/passwd")),
    "a whiteout": holding(info("usr/.wh.bin")),
    "an opaque whiteout": holding(info("usr/.wh..wh..opq")),
    "a file twice": holding(info("a"), info("a")),
    "a file and a folder": holding(info("a"), info("a", tarfile.DIRTYPE)),
    "a file below a link": holding(info("a", tarfile.SYMTYPE, linkname="/etc"), info("a/passwd")),
    "a file below a file": holding(info("a"), info("a/b")),
    "a hard link that leads out": holding(info("a", tarfile.LNKTYPE, linkname="../../etc/shadow")),
    "a hard link to nothing": holding(info("a", tarfile.LNKTYPE, linkname="./b")),
    "a hard link to a link": holding(
        info("l", tarfile.SYMTYPE, linkname="/etc/shadow"), info("a", tarfile.LNKTYPE, linkname="./l")
    ),
    "a character device": holding(info("dev", tarfile.CHRTYPE)),
    "a block device": holding(info("dev", tarfile.BLKTYPE)),
    "a pipe": holding(info("pipe", tarfile.FIFOTYPE)),
    "a new line in a name": holding(info("a\nb")),
    "a name that is no UTF-8": holding(info("a\udcff")),
    "something behind the end": outer(FORMAT, *parts(data=tarred([(info("a"), b"1")]) + b"more")),
    "a link to nowhere": holding(info("l", tarfile.SYMTYPE)),
}


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_package_is_refused_in_one_line_that_names_it(name: str) -> None:
    data = HOSTILE[name]()
    with pytest.raises(CorruptError) as refused:
        read(data)
    assert refused.value.message.startswith("made_1.deb: ")
    assert refused.value.message.isprintable()


@pytest.mark.threat("T9")
@pytest.mark.parametrize("ending", sorted(UNPACK))
def test_a_bomb_is_refused_before_it_is_unpacked(ending: str) -> None:
    one = COMPRESS[ending](bytes(16 << 20))
    with pytest.raises(CorruptError, match="unpack to more"):
        sum(map(len, UNPACK[ending]((one for _ in range(1 << 20)), "it")))
