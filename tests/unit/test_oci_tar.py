from __future__ import annotations

import io
import subprocess
import sys
import tarfile

import pytest

from reconciler.oci.tar import to_tar
from reconciler.values.digest import Digest

FILES = {
    "usr/bin/tool": (0o755, b"#!/bin/sh\n"),
    "etc/é": (0o644, b"x" * 1000),
    "a/" + "long/" * 60 + "name": (0o600, b""),
}


def test_a_layer_holds_the_files_and_the_folders_above_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(to_tar(FILES))) as archive:
        members = archive.getmembers()
        read = {
            member.name: (member.mode, stream.read())
            for member in members
            if (stream := archive.extractfile(member)) is not None
        }
    assert read == FILES
    assert {"usr", "usr/bin", "etc", "a"} <= {member.name for member in members if member.isdir()}
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in members} == {
        (0, 0, "", "", 0)
    }


@pytest.mark.threat("F21")
def test_the_order_of_files_does_not_change_a_layer() -> None:
    assert to_tar(dict(reversed(FILES.items()))) == to_tar(FILES)


@pytest.mark.threat("F21")
@pytest.mark.parametrize("environment", [{"TZ": "Asia/Tokyo"}, {"LC_ALL": "C"}, {"PYTHONHASHSEED": "7"}, {"HOME": "/"}])
def test_a_layer_stays_as_released_on_every_machine(environment: dict[str, str]) -> None:
    program = (
        "import os; os.umask(0o77)\n"
        "from reconciler.oci.tar import to_tar; from reconciler.values.digest import Digest\n"
        f"print(Digest.of(to_tar({FILES!r})), end='')"
    )
    run = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout == str(Digest.of(to_tar(FILES)))
    assert run.stdout == "sha256:831d5f273525f88b324c8c98d36399fc74c94140b40abbb85180f8bf1818553a"


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/etc/passwd", 0o644),
        ("../x", 0o644),
        ("a/../b", 0o644),
        ("a//b", 0o644),
        ("./a", 0o644),
        ("", 0o644),
        ("a\0b", 0o644),
        ("a/.wh.b", 0o644),
        (".wh..wh..opq", 0o644),
        ("a", 0o4755),
        ("a", 0o100644),
        ("a", -1),
    ],
)
@pytest.mark.threat("T9")
def test_a_file_that_would_lead_out_delete_or_raise_rights_is_refused(path: str, mode: int) -> None:
    with pytest.raises(ValueError, match=r"path|deletes|permissions"):
        to_tar({path: (mode, b"")})


def test_a_path_is_a_file_or_a_folder() -> None:
    with pytest.raises(ValueError, match="both"):
        to_tar({"a": (0o644, b""), "a/b": (0o644, b"")})
