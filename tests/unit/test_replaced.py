"""What of a base is deleted where our packages take the place of its own: all of theirs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.assembly.distributions import distributions, wanted
from reconciler.assembly.replaced import whiteouts_of
from reconciler.errors import BuildError, CorruptError
from reconciler.lock.model import Base
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of
from reconciler.oci.rootfs import Rootfs
from reconciler.oci.tar import with_folders, write_tar
from reconciler.oci.untar import read_tar

PYTHON = "usr/bin/python3.11"
BASE = Base(image="oci:small", digest="sha256:" + "0" * 64, python=PYTHON)
SITE = "usr/local/lib/python3.11/dist-packages"
DEBIAN = "usr/lib/python3/dist-packages"
RECORD = "one/__init__.py,,\none/data/a.txt,,\none-1.0.dist-info/RECORD,,\n../../../bin/one,,\n"
ONE = {
    f"{SITE}/one/__init__.py": "",
    f"{SITE}/one/__pycache__/__init__.cpython-311.pyc": "",
    f"{SITE}/one/data/a.txt": "",
    f"{SITE}/one-1.0.dist-info/RECORD": RECORD,
    f"{SITE}/one-1.0.dist-info/METADATA": "",
    "usr/local/bin/one": "",
}
LIST = "var/lib/dpkg/info/python3-one.list"
LINES = [
    "/.", "/usr", f"/{DEBIAN}", f"/{DEBIAN}/one", f"/{DEBIAN}/one/__init__.py", f"/{DEBIAN}/one-1.0.egg-info",
    "/lib/python3/dist-packages/one.pth", "/usr/share/one/doc/copyright",
]  # fmt: skip
OURS = {
    f"{DEBIAN}/one/__init__.py": "",
    f"{DEBIAN}/one/__pycache__/__init__.cpython-311.pyc": "",
    f"{DEBIAN}/one-1.0.egg-info": "",
    f"{DEBIAN}/one.pth": "",
    "usr/share/one/doc/copyright": "",
    LIST: "\n".join(LINES) + "\n",
}


def rooted(files: Mapping[str, str], *more: Member) -> Rootfs:
    root = Rootfs(wanted)
    members = [file_of(PYTHON, b""), *(file_of(path, text.encode()) for path, text in files.items()), *more]
    root.apply(read_tar(write_tar(with_folders(members))))
    return root


def marks(root: Rootfs, *names: str) -> list[str]:
    """Give what is deleted, as a reader of the layer that is written understands it."""
    members = list(whiteouts_of(root, BASE, "3.11.2", names or ("one",)))
    data = b"".join(write_tar(with_folders(members)))
    found = [member.path for member, _ in read_tar([data]) if member.kind is Kind.FILE]
    assert all(path.rpartition("/")[2].startswith(".wh.") for path in found)
    return sorted(path.replace(".wh.", "") for path in found)


def test_all_files_of_a_record_go_and_what_is_compiled_of_them() -> None:
    root = rooted({**ONE, f"{SITE}/two/__init__.py": ""})
    assert marks(root) == ["usr/local/bin/one", f"{SITE}/one", f"{SITE}/one-1.0.dist-info"]


def test_a_folder_that_others_have_files_in_stays() -> None:
    assert f"{SITE}/one/data/a.txt" in marks(rooted({**ONE, f"{SITE}/one/data/other": "", f"{SITE}/one/own": ""}))
    assert f"{SITE}/one/data" in marks(rooted({**ONE, f"{SITE}/one/own": ""}))


def test_where_packages_are_stays_when_it_is_empty() -> None:
    assert SITE not in marks(rooted(ONE))
    assert "usr/local/bin" not in marks(rooted(ONE))


def test_what_is_deleted_is_gone_and_everything_else_is_there() -> None:
    files = {**ONE, f"{SITE}/two/__init__.py": "", "usr/local/bin/two": ""}
    root = rooted(files)
    layer = write_tar(with_folders(whiteouts_of(root, BASE, "3.11.2", ["one"])))
    root.apply(read_tar(layer))
    assert {path for path, _ in root.files()} == {PYTHON, f"{SITE}/two/__init__.py", "usr/local/bin/two"}
    assert distributions(root, PYTHON, "3.11") == ()


def test_folders_above_a_mark_keep_their_rights() -> None:
    above = folder_of(SITE, mode=0o2775, uid=7, gid=8)
    found = {member.path: member for member in whiteouts_of(rooted(ONE, above), BASE, "3.11.2", ["one"])}
    assert (found[SITE].mode, found[SITE].uid, found[SITE].gid) == (0o2775, 7, 8)


def test_an_installer_that_wrote_a_list_of_its_own_is_understood() -> None:
    info = f"{SITE}/one-1.0-py3.11.egg-info"
    files = {f"{info}/installed-files.txt": "../one.py\nPKG-INFO\n", f"{info}/PKG-INFO": "", f"{SITE}/one.py": ""}
    assert marks(rooted(files)) == [info, f"{SITE}/one.py"]


def test_a_package_of_debian_is_known_by_the_list_of_its_package_manager() -> None:
    root = rooted(OURS, link_of("lib", "usr/lib"))
    assert marks(root) == [f"{DEBIAN}/one", f"{DEBIAN}/one-1.0.egg-info", f"{DEBIAN}/one.pth", "usr/share/one"]


def test_each_copy_of_a_package_goes() -> None:
    found = marks(rooted({**ONE, **OURS}, link_of("lib", "usr/lib")))
    assert {f"{SITE}/one", f"{DEBIAN}/one"} <= set(found)


def test_what_nothing_tells_the_files_of_is_refused_by_name() -> None:
    with pytest.raises(BuildError, match=r"those of one 1\.0") as refused:
        marks(rooted({f"{DEBIAN}/one-1.0.egg-info": ""}))
    assert "base_packages: ignore" in str(refused.value)


def test_a_package_that_stays_is_not_deleted_with_one_that_goes() -> None:
    shared = {**OURS, LIST: OURS[LIST] + f"/{DEBIAN}/two-2.dist-info/METADATA\n/{DEBIAN}/two-2.dist-info\n"}
    with pytest.raises(BuildError, match="python3-one, which brings two as well"):
        marks(rooted(shared))
    shared[f"{DEBIAN}/two-2.dist-info/METADATA"] = ""
    assert f"{DEBIAN}/two-2.dist-info" in marks(rooted(shared), "one", "two")


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    "line", ["../../../../../../../../etc/passwd", "/etc/passwd", "", "..", "a\0b", "one/../../../../../.."]
)
def test_a_list_that_leads_out_of_the_root_stays_in_it(line: str) -> None:
    files = {**ONE, f"{SITE}/one-1.0.dist-info/RECORD": f'{RECORD}"{line}",,\n', "etc/other": ""}
    assert "etc" not in marks(rooted(files))


@pytest.mark.threat("T9")
def test_a_list_deletes_no_folder_and_no_link_but_its_own() -> None:
    files = {**ONE, f"{SITE}/one-1.0.dist-info/RECORD": f"{RECORD}{SITE}/link,,\n../two,,\nlink,,\n"}
    found = marks(rooted({**files, f"{SITE}/target/file": ""}, link_of(f"{SITE}/link", "target")))
    assert f"{SITE}/link" in found
    assert f"{SITE}/target" not in found
    assert f"{SITE}/target/file" not in found


@pytest.mark.threat("T9")
def test_paths_without_end_are_refused() -> None:
    deep = "/".join(["d"] * 2000)
    files = {**ONE, f"{SITE}/one-1.0.dist-info/RECORD": f"{RECORD}{deep}/file,,\n", f"{SITE}/{deep}/file": ""}
    with pytest.raises(CorruptError, match="more than 100 folders"):
        marks(rooted(files))
