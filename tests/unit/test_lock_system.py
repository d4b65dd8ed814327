"""The Debian packages of a lock: what is written reads back, and file and schema refuse the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from reconciler.errors import ManifestError
from reconciler.lock.document import parse_lock, to_document
from reconciler.lock.model import Interpreter, Lock, PlatformLock
from reconciler.lock.system import Archive, Part, System, SystemPackage
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LINUX = Platform("linux", "amd64")
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/lock.schema.json").read_text())
ARCHIVE = Archive(
    alias="debian", suite="bookworm", component="main", date="2026-01-10T09:00:00Z", digest=str(Digest.of(b"signed"))
)
BASH = SystemPackage(
    name="bash",
    version="1:5.2~rc1+dfsg-1",
    architecture="amd64",
    file="pool/main/b/bash/bash_5.2~rc1+dfsg-1_amd64.deb",
    size=10,
    sha256="a" * 64,
    archive=ARCHIVE.name,
)
SYSTEM = System(distribution="debian", suite="bookworm", variant="slim", archives=(ARCHIVE,), packages=(BASH,))


def locked(system: System) -> Lock:
    python = Interpreter(implementation="cpython", version="3.11.2", abi="cp311", provider="debian")
    part = PlatformLock(interpreter=python, libc="glibc 2.36", system=system)
    return Lock(inputs=Digest.of(b"inputs"), platforms={LINUX: part})


def renamed(**names: str) -> System:
    archive = replace(ARCHIVE, **names)
    return replace(SYSTEM, archives=(archive,), packages=(replace(BASH, archive=archive.name),))


@pytest.mark.parametrize(
    "system",
    [
        SYSTEM,
        renamed(suite="Stable"),
        renamed(alias="team-x", suite="debian/bookworm", component="Extra/all"),
        replace(SYSTEM, packages=(replace(BASH, part=Part.ADDED),)),
    ],
)
def test_packages_and_archives_read_back_and_meet_the_schema(system: System) -> None:
    data = to_document(locked(system))
    assert parse_lock(data, "a.lock.json") == locked(system)
    jsonschema.validate(json.loads(data), SCHEMA)


@pytest.mark.parametrize(
    "system",
    [
        renamed(suite="../bookworm"),
        renamed(suite="bookworm/.."),
        renamed(suite="bookworm/"),
        renamed(component=""),
        renamed(alias="Debian"),
        renamed(date="yesterday"),
        replace(SYSTEM, packages=(replace(BASH, file="../bash.deb"),)),
        replace(SYSTEM, packages=(replace(BASH, file="pool/../../bash.deb"),)),
        replace(SYSTEM, packages=(replace(BASH, version="$(id)"),)),
        replace(SYSTEM, packages=(replace(BASH, name="-bash"),)),
    ],
)
def test_what_no_archive_can_have_is_refused_by_file_and_schema(system: System) -> None:
    data = to_document(locked(system))
    with pytest.raises(ManifestError):
        parse_lock(data, "a.lock.json")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(data), SCHEMA)


def test_a_package_of_an_archive_that_is_not_named_is_refused() -> None:
    data = to_document(locked(replace(SYSTEM, packages=(replace(BASH, archive="other/bookworm/main"),))))
    with pytest.raises(ManifestError, match="no archive is named other/bookworm/main"):
        parse_lock(data, "a.lock.json")


def test_what_vouched_for_the_packages_is_no_part_of_what_they_are() -> None:
    assert replace(SYSTEM, archives=(replace(ARCHIVE, date="2026-02-10T09:00:00Z"),)).digest == SYSTEM.digest
    assert replace(SYSTEM, packages=(replace(BASH, sha256="b" * 64),)).digest != SYSTEM.digest
