"""What a wheel leaves in an environment: what pip would, at the same places."""

from __future__ import annotations

import csv
import io
import stat

import pytest

from reconciler.errors import BuildError, CorruptError
from reconciler.oci.member import Member
from reconciler.wheel.archive import open_wheel
from reconciler.wheel.collision import merge
from reconciler.wheel.installed import installed
from tests.wheel_case import FILE, INFO, METADATA, PLAIN, Case, hash_of

MODULES = "opt/venv/lib/python3.11/site-packages"
DATA = "thing-1.0.data"


def members(direct_url: str | None = None, *, requested: bool = False, **parts: object) -> dict[str, Member]:
    wheel = open_wheel(io.BytesIO(Case(**parts).build()), FILE)  # type: ignore[arg-type]  # what a test says
    found = installed(wheel, python="3.11", prefix="opt/venv", direct_url=direct_url, requested=requested)
    return {member.path: member for member in found}


def content(member: Member) -> bytes:
    assert member.read is not None
    return b"".join(member.read())


def test_modules_and_metadata_go_to_site_packages() -> None:
    found = members()
    names = {"METADATA", "WHEEL", "RECORD", "INSTALLER"}
    assert set(found) == {f"{MODULES}/{name}" for name in (*PLAIN, *(f"{INFO}/{name}" for name in names))}
    assert content(found[f"{MODULES}/thing/__init__.py"]) == PLAIN["thing/__init__.py"]
    assert content(found[f"{MODULES}/{INFO}/INSTALLER"]) == b"pip\n"


def test_a_member_is_read_anew_each_time_and_has_the_size_that_it_says() -> None:
    for member in members(points=b"[console_scripts]\nx = thing:main\n").values():
        assert content(member) == content(member)
        assert len(content(member)) == member.size


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        ("purelib", f"{MODULES}/a/b"),
        ("platlib", f"{MODULES}/a/b"),
        ("data", "opt/venv/a/b"),
        ("headers", "opt/venv/include/site/python3.11/thing/a/b"),
        ("scripts", "opt/venv/bin/a/b"),
    ],
)
def test_what_belongs_elsewhere_goes_there(kind: str, place: str) -> None:
    assert content(members(files={f"{DATA}/{kind}/a/b": b"x"})[place]) == b"x"


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", [f"{DATA}/etc/passwd", f"{DATA}/loose"])
def test_what_belongs_nowhere_is_refused(name: str) -> None:
    with pytest.raises(CorruptError, match="goes nowhere"):
        members(files={name: b"x"})


@pytest.mark.threat("T8")
def test_two_files_for_one_place_are_refused() -> None:
    with pytest.raises(CorruptError, match="two of its files go to"):
        members(files={"a": b"1", f"{DATA}/purelib/a": b"2"})


@pytest.mark.parametrize("first", [b"#!python", b"#!pythonw", b"#!python -E"])
def test_a_script_begins_with_the_environments_interpreter(first: bytes) -> None:
    script = members(files={f"{DATA}/scripts/run": first + b"\nprint(1)\n"})["opt/venv/bin/run"]
    assert content(script) == b"#!/opt/venv/bin/python\nprint(1)\n"
    assert script.mode == 0o755


@pytest.mark.parametrize("data", [b"#!/bin/sh\necho\n", b"\x7fELF" + bytes(5000), b""])
def test_other_programs_stay_as_they_are(data: bytes) -> None:
    program = members(files={f"{DATA}/scripts/run": data})["opt/venv/bin/run"]
    assert (content(program), program.mode) == (data, 0o755)


def test_entry_points_become_commands() -> None:
    points = (
        b"[console_scripts]\nx = thing.a:b.c [extra]\nY-2 = thing:main\n[gui_scripts]\nz=thing:win\n[other]\nq = 1\n"
    )
    found = members(points=points)
    assert {path for path in found if "/bin/" in path} == {f"opt/venv/bin/{name}" for name in ("x", "Y-2", "z")}
    text = content(found["opt/venv/bin/x"]).decode()
    assert text.startswith("#!/opt/venv/bin/python\n")
    assert "from thing.a import b\n" in text
    assert "sys.exit(b.c())" in text
    assert found["opt/venv/bin/x"].mode == 0o755


def test_pip_has_the_command_of_its_python_too() -> None:
    metadata = METADATA.replace(b"thing", b"pip")
    case = Case(info="pip-1.0.dist-info", metadata=metadata, points=b"[console_scripts]\npip = p:m\npip3 = p:m\n")
    wheel = open_wheel(io.BytesIO(case.build()), "pip-1.0-py3-none-any.whl")
    paths = {member.path for member in installed(wheel, python="3.11", prefix="opt/venv")}
    assert {"opt/venv/bin/pip", "opt/venv/bin/pip3", "opt/venv/bin/pip3.11"} <= paths


def test_record_lists_every_file_as_it_is_installed() -> None:
    files = {**PLAIN, f"{DATA}/scripts/run": b"#!python\n", f"{DATA}/data/share/x": b"1"}
    found = members(files=files, points=b"[console_scripts]\nx = thing:main\n")
    rows = list(csv.reader(io.StringIO(content(found[f"{MODULES}/{INFO}/RECORD"]).decode())))
    assert rows == sorted(rows)
    listed = {row[0]: row[1:] for row in rows}
    assert listed.pop(f"{INFO}/RECORD") == ["", ""]
    assert listed["../../../bin/run"] == [hash_of(b"#!/opt/venv/bin/python\n"), "23"]
    assert listed["../../../share/x"] == [hash_of(b"1"), "1"]
    assert len(listed) == len(found) - 1
    whole = {row: found[_path(row)] for row in listed}
    assert all(listed[row] == [hash_of(content(member)), str(member.size)] for row, member in whole.items())


def _path(row: str) -> str:
    return f"opt/venv/{row.removeprefix('../../../')}" if row.startswith("../") else f"{MODULES}/{row}"


def test_where_it_came_from_and_whether_it_was_asked_for_is_written_down() -> None:
    found = members(direct_url='{"url": "x"}', requested=True)
    assert content(found[f"{MODULES}/{INFO}/direct_url.json"]) == b'{"url": "x"}'
    assert content(found[f"{MODULES}/{INFO}/REQUESTED"]) == b""


@pytest.mark.threat("T8")
@pytest.mark.parametrize("name", ["INSTALLER", "REQUESTED", "direct_url.json"])
def test_a_wheel_does_not_say_itself_who_installed_it(name: str) -> None:
    found = members(files={**PLAIN, f"{INFO}/{name}": b"evil"})
    assert name == "INSTALLER" or f"{MODULES}/{INFO}/{name}" not in found
    assert b"evil" not in {content(member) for member in found.values()}


def test_only_what_the_archive_marks_is_executable() -> None:
    found = members(modes={"thing/data.bin": stat.S_IFREG | 0o755, "thing/__init__.py": stat.S_IFREG | 0o666})
    assert (found[f"{MODULES}/thing/data.bin"].mode, found[f"{MODULES}/thing/__init__.py"].mode) == (0o755, 0o644)


# -- two wheels -------------------------------------------------------------------------------------------------


def of(**files: bytes) -> list[Member]:
    return [member for path, member in members(files=files).items() if INFO not in path]


def test_equal_files_are_kept_once() -> None:
    found = merge([("b", of(x=b"1", y=b"2")), ("a", of(x=b"1"))])
    assert sorted(member.path for member in found) == [f"{MODULES}/x", f"{MODULES}/y"]


@pytest.mark.parametrize(("one", "other"), [(b"1", b"2"), (b"1", b"11")])
def test_different_files_are_an_error_that_names_both_and_the_path(one: bytes, other: bytes) -> None:
    with pytest.raises(BuildError, match=f"a.whl and b.whl both have /{MODULES}/x"):
        merge([("b.whl", of(x=other)), ("a.whl", of(x=one))])


def test_a_file_where_another_has_a_folder_is_an_error_that_names_both() -> None:
    with pytest.raises(BuildError, match=f"(a and b|b and a) both have /{MODULES}/x"):
        merge([("a", of(x=b"1")), ("b", of(**{"x/y": b"1"}))])


def test_equal_bytes_in_another_mode_are_an_error() -> None:
    marked = members(files={"x": b"1"}, modes={"x": stat.S_IFREG | 0o755})[f"{MODULES}/x"]
    with pytest.raises(BuildError, match="both have"):
        merge([("a", of(x=b"1")), ("b", [marked])])


def test_the_order_of_wheels_does_not_matter() -> None:
    groups = [("a", of(x=b"1")), ("b", of(y=b"2")), ("c", of(x=b"1", z=b"3"))]
    paths = [member.path for member in merge(groups)]
    assert paths == [member.path for member in merge(reversed(groups))]
