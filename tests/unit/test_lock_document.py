"""Lock files: what is written reads back, what is wrong is refused at its line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from reconciler.errors import ManifestError
from reconciler.lock.difference import PackageChange, differences
from reconciler.lock.document import MAX_BYTES, lock_from_json, parse_lock, to_document
from reconciler.lock.form import is_source
from reconciler.lock.model import Interpreter, Lock, Package, PlatformLock
from reconciler.lock.wheels import best
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LINUX, ARM = Platform("linux", "amd64"), Platform("linux", "arm64")
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/lock.schema.json").read_text())
ALPHA = Package(name="alpha", version="1.0", file="alpha-1.0-py3-none-any.whl", size=10, sha256="a" * 64)
BETA = Package(
    name="beta",
    version="2",
    file="beta-2.tar.gz",
    size=7,
    sha256="b" * 64,
    source=f"built:beta-2.tar.gz@sha256:{'b' * 64}",
)
HOST = Interpreter(implementation="cpython", version="3.11", abi="cp311", provider="host")
PLATFORM = PlatformLock(interpreter=HOST, libc="glibc 2.28", packages=(ALPHA, BETA), observed={"pip": "24.0"})
LOCK = Lock(inputs=Digest.of(b"inputs"), platforms={LINUX: PLATFORM})
TEXT = to_document(LOCK).decode()


def test_a_lock_reads_back_exactly() -> None:
    assert parse_lock(to_document(LOCK), "a.lock.json") == LOCK
    assert to_document(parse_lock(to_document(LOCK), "a.lock.json")) == to_document(LOCK)


def test_a_package_is_a_line_and_the_file_ends_with_a_newline() -> None:
    lines = TEXT.splitlines()
    assert [line.strip().startswith('{"name": "alpha"') for line in lines].count(True) == 1
    assert TEXT.endswith("}\n")


def test_the_order_in_which_packages_came_does_not_show() -> None:
    turned = replace(LOCK, platforms={LINUX: replace(PLATFORM, packages=(BETA, ALPHA))})
    assert to_document(turned) == to_document(LOCK)
    assert parse_lock(to_document(turned), "a.lock.json").digest == LOCK.digest


def test_what_is_written_meets_the_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(TEXT), SCHEMA)


WRONG: dict[str, tuple[str, str, int, str]] = {
    "an unknown key at the top": ('"version": 1', '"version": 1, "extra": 1', 2, "unknown key"),
    "a key that is missing": ('      "libc": "glibc 2.28",\n', "", 5, "libc is missing"),
    "an unknown key of a package": ('"name": "alpha"', '"name": "alpha", "x": 1', 9, "packages[0].x: unknown key"),
    "a version of the future": ('"version": 1', '"version": 2', 2, "unknown version 2"),
    "a version that is true": ('"version": 1', '"version": true', 2, "unknown version"),
    "a platform of no kind": ('"linux/amd64"', '"windows/amd64"', 5, "unknown platform"),
    "a digest of another kind": ("sha256:", "md5:", 3, "not a sha256 digest"),
    "a name with a capital": ('"name": "beta"', '"name": "Beta"', 10, "packages[1].name"),
    "a name with a newline": ('"name": "beta"', '"name": "beta\\n"', 10, "packages[1].name"),
    "a package twice": ('"name": "beta"', '"name": "alpha"', 10, "stands twice"),
    "a file that is a path": ("alpha-1.0-py3", "../alpha-1.0-py3", 9, "packages[0].file"),
    "a file that begins with a dash": ('"alpha-1.0-py3', '"-alpha-1.0-py3', 9, "packages[0].file"),
    "a negative size": ('"size": 10', '"size": -1', 9, "packages[0].size"),
    "a size that is true": ('"size": 10', '"size": true', 9, "packages[0].size"),
    "a size beyond all disks": ('"size": 10', f'"size": {1 << 60}', 9, "packages[0].size"),
    "a short digest": ("a" * 64, "a" * 63, 9, "packages[0].sha256"),
    "a digest in capitals": ("a" * 64, "A" * 64, 9, "packages[0].sha256"),
    "a source of no kind": ('"index:default"', '"ftp:default"', 9, "packages[0].source"),
    "a version that is a number": ('"version": "1.0"', '"version": 1', 9, "packages[0].version: text is needed"),
    "a package that is text": ('      "packages": [', '      "packages": ["alpha",', 8, "packages[0]: an object"),
    "an observed name that is none": ('"pip"', '"Pip Tool"', 13, "observed"),
    "a C library of no kind": ("glibc 2.28", "glibc", 7, "libc"),
    "an interpreter that is text": ('"python": {', '"python": "3.11", "x": {', 6, "unknown key"),
}


@pytest.mark.parametrize(("old", "new", "line", "reason"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_refused_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    assert old in TEXT
    with pytest.raises(ManifestError) as refused:
        parse_lock(TEXT.replace(old, new, 1).encode(), "environments/a.lock.json")
    assert reason in refused.value.message
    assert str(refused.value.where) == f"environments/a.lock.json:{line}"
    assert "reconciler lock" in str(refused.value.hint)


@pytest.mark.parametrize("name", [name for name in WRONG if name != "a package twice"])
def test_the_schema_refuses_it_too(name: str) -> None:
    old, new, _, _ = WRONG[name]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(TEXT.replace(old, new, 1)), SCHEMA)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        TEXT.replace("10", "NaN", 1).encode(),
        TEXT.replace('"size": 10', '"size": 1e1').encode(),
        TEXT.replace('"size": 10', '"size": ' + "9" * 10_000).encode(),
        TEXT.replace('"size": 10', '"size": 10, "size": 11').encode(),
        b" " * (MAX_BYTES + 1),
        b'{"version": 1, "inputs": "sha256:' + b"0" * 64 + b'", "platforms": {}}',
    ],
    ids=range(14),
)
def test_what_is_no_lock_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(ManifestError) as refused:
        parse_lock(data, "a.lock.json")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


def test_values_that_are_wrong_are_named_by_their_path() -> None:
    value: Json = json.loads(TEXT.replace("a" * 64, "x", 1))
    with pytest.raises(ValueError, match=r"^platforms\.linux/amd64\.packages\[0\]\.sha256: "):
        lock_from_json(value)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("index:default", True),
        ("index:team-pypi", True),
        ("channel:conda-forge", True),
        ("url:https://host.invalid/a-1-py3-none-any.whl", True),
        ("git:https://host.invalid/x.git@" + "0" * 40, True),
        ("path:wheels/a-1-py3-none-any.whl", True),
        ("index:", False),
        ("index:../x", False),
        ("index:https://host.invalid", False),
        ("url:https://user:word@host.invalid/a.whl", False),
        ("url:https://token@host.invalid/a.whl", False),
        ("url:no address", False),
        ("git:https://host.invalid/x.git@main", False),
        ("git:https://u:p@host.invalid/x.git@" + "0" * 40, False),
        ("path:/etc/passwd", False),
        ("path:../../x.whl", False),
        ("built:x.tar.gz", False),
        ("built:../x.tar.gz@sha256:" + "0" * 64, False),
        ("url:https://host.invalid/\n", False),
        ("url:https://[", False),
        ("", False),
    ],
)
def test_a_source_names_a_place_and_no_credential(text: str, right: bool) -> None:  # noqa: FBT001  # the expected answer
    assert is_source(text) is right


# -- differences ------------------------------------------------------------------------------------------------


def test_equal_locks_do_not_differ() -> None:
    assert differences(LOCK, LOCK) == ()


def test_everything_comes_where_there_was_no_lock() -> None:
    assert differences(None, LOCK) == (
        PackageChange(name="alpha", old=None, new="1.0", platforms=(LINUX,), size_delta=10),
        PackageChange(name="beta", old=None, new="2", platforms=(LINUX,), size_delta=7),
        PackageChange(name="pip", old=None, new="24.0", platforms=(LINUX,)),
    )


def test_the_same_move_on_two_platforms_is_one_change() -> None:
    both = Lock(inputs=LOCK.inputs, platforms={LINUX: PLATFORM, ARM: PLATFORM})
    newer = replace(PLATFORM, packages=(replace(ALPHA, version="1.1", size=15),))
    after = Lock(inputs=LOCK.inputs, platforms={LINUX: newer, ARM: newer})
    assert differences(both, after) == (
        PackageChange(name="alpha", old="1.0", new="1.1", platforms=(LINUX, ARM), size_delta=10),
        PackageChange(name="beta", old="2", new=None, platforms=(LINUX, ARM), size_delta=-14),
    )


def test_an_exchanged_file_of_the_same_version_is_a_change() -> None:
    other = replace(LOCK, platforms={LINUX: replace(PLATFORM, packages=(replace(ALPHA, sha256="c" * 64), BETA))})
    assert [(change.name, change.old, change.new) for change in differences(LOCK, other)] == [("alpha", "1.0", "1.0")]


def test_the_most_specific_of_several_wheels_is_taken() -> None:
    files = [
        "a-1-py3-none-any.whl",
        "a-1-cp38-abi3-manylinux_2_17_x86_64.whl",
        "a-1-cp311-cp311-manylinux_2_17_x86_64.whl",
        "rubbish.whl",
    ]
    for kept in (files, files[::-1]):
        assert best({file: file for file in kept}) == "a-1-cp311-cp311-manylinux_2_17_x86_64.whl"
    assert best({file: file for file in files[:2]}) == files[1]
