"""Archives of standalone Pythons: what they leave in an image, and that hostile ones are refused (T9)."""

from __future__ import annotations

import gzip
import tarfile
from contextlib import ExitStack
from pathlib import Path

import pytest
import zstandard

from reconciler.errors import CorruptError
from reconciler.oci.member import Kind, Member
from reconciler.systems.relocation import relocated
from reconciler.systems.sysconfig import mend_pkgconfig, mend_variables
from tests.standalone import Entry, pack, small

FILE, VERSION = "cpython-3.12.1.tar.gz", "3.12.1"
VARIABLES = b"# made\nbuild_time_vars = {'CC': 'clang -pthread',\n 'prefix': '/install', 'N': 3,\n 'AR': '/tools/ar'}\n"


def read(folder: Path, data: bytes, architecture: str = "amd64", file: str = FILE) -> dict[str, tuple[Member, bytes]]:
    with ExitStack() as opened:
        members = relocated(iter([data]), folder, opened, file=file, version=VERSION, architecture=architecture)
        return {member.path: (member, b"".join(member.read() if member.read else ())) for member in members}


def test_all_of_an_archive_is_below_opt_python_with_a_link_to_its_interpreter(tmp_path: Path) -> None:
    found = read(tmp_path, pack(small(python__share__man__x=b"text")))
    assert found["opt/python/bin/python3.12"][1].endswith(b"3.12.1\0")
    assert found["opt/python/bin/python3.12"][0].mode == 0o755
    assert found["opt/python/bin/python3"][0].target == "python3.12"
    assert found["opt/python/share/man/x"][1] == b"text"
    assert found["usr/local/bin/python3.12"][0].target == "/opt/python/bin/python3.12"
    assert {path.split("/")[0] for path in found} == {"opt", "usr"}
    assert [*found] == sorted(found)


def test_the_same_archive_leaves_the_same_whatever_its_owners_times_and_order(tmp_path: Path) -> None:
    files = small()
    other = pack(dict(reversed(files.items())))
    one, two = read(tmp_path, pack(files)), read(tmp_path, other)
    plain = [(member.path, member.kind, member.mode, member.uid, member.target, data) for member, data in one.values()]
    assert plain == [
        (member.path, member.kind, member.mode, member.uid, member.target, data) for member, data in two.values()
    ]


def test_pip_is_told_that_nobody_installs_into_it(tmp_path: Path) -> None:
    found = read(tmp_path, pack(small()))
    assert found["opt/python/lib/python3.12/EXTERNALLY-MANAGED"][1].startswith(b"[externally-managed]")


def test_compiled_files_are_left_out_because_their_sources_have_another_time(tmp_path: Path) -> None:
    cache = {"python/lib/python3.12/__pycache__/os.cpython-312.pyc": b"code"}
    assert not [path for path in read(tmp_path, pack({**small(), **cache})) if "__pycache__" in path]


def test_no_package_of_its_own_stands_in_the_way_of_those_of_an_environment(tmp_path: Path) -> None:
    packages = "python/lib/python3.12/site-packages"
    files = {f"{packages}/pip/__init__.py": b"", f"{packages}/setuptools-69.0.dist-info/METADATA": b""}
    scripts = {
        f"python/bin/{name}": b"#!/bin/sh\n" for name in ("pip", "pip3", "pip3.12", "easy_install-3.12", "idle3")
    }
    found = read(tmp_path, pack({**small(), **files, **scripts}))
    assert not [path for path in found if "site-packages/" in path or "/bin/pip" in path or "easy_install" in path]
    assert "opt/python/bin/idle3" in found


def test_a_second_name_of_a_file_has_its_bytes(tmp_path: Path) -> None:
    entry = special("python/bin/a", tarfile.LNKTYPE, "python/bin/python3.12")
    found = read(tmp_path, pack(small(), entry))
    assert found["opt/python/bin/a"][0].kind is Kind.FILE
    assert found["opt/python/bin/a"][1] == found["opt/python/bin/python3.12"][1]


def test_what_it_says_of_its_build_is_mended_for_its_place(tmp_path: Path) -> None:
    name = "python/lib/python3.12/_sysconfigdata__linux_x86_64-linux-gnu.py"
    found = read(tmp_path, pack({**small(), name: VARIABLES, "python/lib/pkgconfig/python3.pc": b"prefix=/install\n"}))
    space: dict[str, object] = {}
    exec(found[f"opt/{name}"][1], space)  # noqa: S102  # our own text
    assert space["build_time_vars"] == {
        "AR": "ar",
        "CC": "cc -pthread",
        "N": 3,
        "PYTHON_BUILD_STANDALONE": 1,
        "prefix": "/opt/python",
    }
    assert found["opt/python/lib/pkgconfig/python3.pc"][1] == b"prefix=${pcfiledir}/../..\n"


def test_a_word_that_only_begins_like_a_compiler_stays() -> None:
    data = b"build_time_vars = {'CC': 'clang-17 clang', 'OPT': 'clang', 'LIBDIR': '/install/lib'}\n"
    mended = mend_variables(data, "/opt/python", "x").decode()
    assert "'CC': 'clang-17 cc'" in mended
    assert "'OPT': 'clang'" in mended
    assert "'LIBDIR': '/opt/python/lib'" in mended


def test_a_file_without_such_variables_stays_as_it_is() -> None:
    assert mend_variables(b"x = 1\n", "/opt/python", "x") == b"x = 1\n"
    assert mend_pkgconfig(b"\xff") == b"\xff"


@pytest.mark.threat("T9")
@pytest.mark.parametrize("text", [b"build_time_vars = {'a': f()}", b"build_time_vars = {", b"(" * 5000, b"\xff"])
def test_variables_that_are_code_or_damaged_are_refused(text: bytes) -> None:
    with pytest.raises(CorruptError, match="can't be read"):
        mend_variables(text, "/opt/python", "x")


def test_an_older_archive_leaves_its_installation_and_nothing_of_what_it_was_built_from(tmp_path: Path) -> None:
    inside = {path.replace("python/", "python/install/"): content for path, content in small().items()}
    built = {"python/PYTHON.json": b"{}", "python/build/core.o": b"", "python/licenses/x": b""}
    data = zstandard.ZstdCompressor().compress(gzip.decompress(pack({**built, **inside})))
    assert read(tmp_path, data, file="cpython.tar.zst").keys() == read(tmp_path, pack(small())).keys()
    with pytest.raises(CorruptError, match="not laid out"):
        read(tmp_path, pack({**built, **inside}))


# -- hostile ----------------------------------------------------------------------------------------------------


def special(path: str, kind: bytes, target: str = "", mode: int = 0o755) -> Entry:
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname, entry.mode = kind, target, mode
    return entry, b""


def twice() -> Entry:
    entry = tarfile.TarInfo("python/bin/python3.12")
    entry.size = 1
    return entry, b"x"


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (special("etc/passwd", tarfile.REGTYPE), "is not below python/"),
        (special("python", tarfile.REGTYPE), "is not below python/"),
        (special("python", tarfile.SYMTYPE, "/etc"), "is not below python/"),
        (special("python/../etc/passwd", tarfile.REGTYPE), "leads out"),
        (special("python/bin/sh", tarfile.SYMTYPE, "/bin/sh"), "leads out of it"),
        (special("python/bin/sh", tarfile.SYMTYPE, "../../../bin/sh"), "leads out of it"),
        (special("python/bin/sh", tarfile.LNKTYPE, "etc/shadow"), "second name"),
        (special("python/bin/sh", tarfile.LNKTYPE, "python/nowhere"), "second name"),
        (special("python/bin/su", tarfile.REGTYPE, mode=0o4755), "rights of its owner"),
        (special("python/bin/sg", tarfile.REGTYPE, mode=0o2755), "rights of its owner"),
        (special("python/.wh.bin", tarfile.REGTYPE), "would delete"),
        (special("python/bin/.wh..wh..opq", tarfile.REGTYPE), "would delete"),
        (special("python/bin/python3/x", tarfile.REGTYPE), "below what is no folder"),
        (special("python/bin/null", tarfile.CHRTYPE), "a device"),
        (special("python/bin/disk", tarfile.BLKTYPE), "a device"),
        (special("python/bin/pipe", tarfile.FIFOTYPE), "a pipe"),
        (twice(), "twice"),
    ],
)
def test_an_archive_that_could_touch_anything_else_is_refused(tmp_path: Path, entry: Entry, says: str) -> None:
    with pytest.raises(CorruptError, match=says) as caught:
        read(tmp_path, pack(small(), entry))
    assert FILE in str(caught.value)


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "not laid out"),
        ({"python/bin/python3.11": b"\x7fELF", "python/lib/python3.11/os.py": b""}, "not laid out"),
        ({**small(), "python/bin/python3.12": "python3"}, "not laid out"),
        ({**small(), "python/bin/python3.12": b"#!/bin/sh\n"}, "not for amd64"),
        (small(architecture="arm64"), "not for amd64"),
    ],
)
def test_what_is_no_such_python_is_refused(tmp_path: Path, files: dict[str, bytes | str], says: str) -> None:
    with pytest.raises(CorruptError, match=says):
        read(tmp_path, pack(files))


@pytest.mark.threat("T9")
@pytest.mark.parametrize("cut", [1, 40, 100])
def test_an_archive_that_ends_early_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(CorruptError, match=FILE):
        read(tmp_path, pack(small())[:-cut])


def test_an_archive_for_another_machine_serves_that_one(tmp_path: Path) -> None:
    assert "opt/python/bin/python3.12" in read(tmp_path, pack(small(architecture="arm64")), "arm64")
