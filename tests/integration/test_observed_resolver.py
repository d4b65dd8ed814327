"""Real interpreters that somebody else keeps, observed."""

from __future__ import annotations

import os
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import ReconcilerError, ResolveError
from reconciler.lock.document import parse_lock, to_document
from reconciler.lock.model import Lock, PlatformLock
from reconciler.ports import Resolution
from reconciler.resolvers.observed import ObservedResolver
from tests import host_case
from tests.conftest import Required
from tests.reached import desired

RESOLVER = ObservedResolver(environ=dict(os.environ), limit_s=10)


def observe(path: object, **environ: str) -> PlatformLock:
    resolver = ObservedResolver(environ={**os.environ, **environ}, limit_s=10)
    wanted = desired(host_case.user_managed(str(path)))
    return resolver.resolve(Resolution(desired=wanted)).lock.platforms[host_case.HERE]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Make an interpreter with one package."""
    venv.create(tmp_path / "own")
    install(tmp_path / "own", "tiny", "1.5")
    return tmp_path / "own" / "bin" / "python"


def install(place: Path, name: str, version: str) -> Path:
    """Put a package's metadata where an interpreter finds it."""
    site = next((place / "lib").glob("python3*")) / "site-packages"
    found = site / f"{name}-{version}.dist-info"
    found.mkdir()
    (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return found


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_an_interpreter_tells_what_it_is(required: Required) -> None:
    found = {version: path for version in ("3.9", "3.10", "3.12", "3.13") if (path := required.another_python(version))}
    for version, path in {**found, "3.11": required.python("3.11")}.items():
        lock = observe(path)
        assert lock.interpreter.version.startswith(f"{version}.")
        assert lock.interpreter.abi == f"cp{version.replace('.', '')}"
        assert (lock.interpreter.implementation, lock.interpreter.provider) == ("cpython", "user")
        assert lock.libc.split()[0] in {"glibc", "musl", "macos"}


def test_what_is_observed_reads_back_from_a_lock(own: Path) -> None:
    lock = Lock(inputs=desired(host_case.user_managed(str(own))).inputs, platforms={host_case.HERE: observe(own)})
    assert parse_lock(to_document(lock), "tiny.lock.json") == lock


def test_the_same_interpreter_gives_the_same_lock(own: Path) -> None:
    assert observe(own) == observe(own)


def test_a_virtual_environment_has_its_own_packages(own: Path) -> None:
    assert observe(own).observed == {"tiny": "1.5"}


@pytest.mark.parametrize("depth", [1, 3])
def test_a_link_to_a_virtual_environment_keeps_being_one(own: Path, tmp_path: Path, depth: int) -> None:
    link = own
    for number in range(depth):
        following = own.parent / f"python-{number}"
        following.symlink_to(link.name)
        link = following
    (tmp_path / "folder").symlink_to(own.parent.parent)
    assert observe(link).observed == {"tiny": "1.5"}
    assert observe(tmp_path / "folder" / "bin" / "python").observed == {"tiny": "1.5"}


def test_a_package_that_is_added_moves_the_lock(own: Path) -> None:
    before = observe(own)
    install(own.parent.parent, "other", "2")
    assert observe(own).observed == {"other": "2", "tiny": "1.5"}
    assert observe(own).digest != before.digest


def test_what_can_not_be_read_of_a_package_hides_no_other(own: Path) -> None:
    install(own.parent.parent, "broken", "1").joinpath("METADATA").write_bytes(b"\xff\xfe\0")
    install(own.parent.parent, "nameless", "1").joinpath("METADATA").write_text("Metadata-Version: 2.1\n")
    install(own.parent.parent, "odd", "1").joinpath("METADATA").write_text("Name: o d d\nVersion: 1 2\n")
    assert observe(own).observed == {"tiny": "1.5"}


def test_neither_the_callers_variables_nor_its_folder_count(own: Path, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "json.py").write_text("raise SystemExit(3)")
    assert observe(own, PYTHONPATH=str(planted), PYTHONHOME="/nonexistent", PYTHONSTARTUP="x").observed == {
        "tiny": "1.5"
    }


def test_what_prints_while_an_interpreter_starts_is_no_answer(own: Path) -> None:
    site = next((own.parent.parent / "lib").glob("python3*")) / "site-packages"
    (site / "noise.pth").write_text('import sys; sys.stdout.write("{}garbage" * 1000)\n')
    assert observe(own).observed == {"tiny": "1.5"}


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "false",
        "echo '{\"version\": 3}'",
        "head -c 100000 /dev/urandom",
        "kill -9 $$",
        "shift 4; echo '[]' > $1",
        "shift 4; head -c 1000 /dev/urandom > $1",
        "shift 4; echo '{\"libc\": [1, 2]}' > $1",
        "shift 4; mkdir $1",
    ],
)
def test_what_is_no_python_is_said_at_its_line(tmp_path: Path, text: str) -> None:
    manifest = host_case.user_managed(str(script(tmp_path / "python", text)))
    with pytest.raises(ResolveError, match="does not tell what it has") as refused:
        RESOLVER.resolve(Resolution(desired=desired(manifest)))
    assert refused.value.where == manifest.locate("python.interpreter_path")
    assert "python.interpreter_path" in str(refused.value.hint)


@pytest.mark.parametrize("path", ["/nonexistent/python", "no-such-python", "/", "/etc/passwd"])
def test_a_missing_interpreter_is_said_at_its_line(path: str) -> None:
    with pytest.raises(ResolveError, match="is not on this machine, or is not executable") as refused:
        observe(path)
    assert refused.value.where is not None


def test_a_link_that_leads_nowhere_is_a_missing_interpreter(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to(tmp_path / "gone")
    with pytest.raises(ResolveError, match="is not on this machine"):
        observe(tmp_path / "python")


def test_a_file_of_another_machine_is_said(tmp_path: Path) -> None:
    (tmp_path / "python").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(ReconcilerError, match="cannot start") as refused:
        observe(tmp_path / "python")
    assert refused.value.where is not None


def test_an_interpreter_that_hangs_is_ended(tmp_path: Path) -> None:
    resolver = ObservedResolver(environ=dict(os.environ), limit_s=0.5)
    wanted = desired(host_case.user_managed(str(script(tmp_path / "python", "sleep 600"))))
    with pytest.raises(ResolveError, match=r"stopped after 0\.5 s") as refused:
        resolver.resolve(Resolution(desired=wanted))
    assert refused.value.where is not None


FOUND = ".".join(str(part) for part in sys.version_info[:3])


@pytest.mark.parametrize(
    ("version", "fits"), [("2.7", False), ("3.1", False), (f"{FOUND}1", False), (FOUND, True), (FOUND[:4], True)]
)
def test_a_written_version_is_held(version: str, *, fits: bool) -> None:
    python = replace(host_case.user_managed(sys.executable).python, version=version)
    manifest = host_case.manifest(python=python, lines={"python.version": (7, 3)})
    if fits:
        RESOLVER.resolve(Resolution(desired=desired(manifest)))
        return
    with pytest.raises(ResolveError, match=f"is Python {FOUND}, and the manifest says {version}") as refused:
        RESOLVER.resolve(Resolution(desired=desired(manifest)))
    assert str(refused.value.where) == "environments/tiny.yaml:7:3"


def test_nothing_runs_where_nothing_may(own: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    wanted = desired(host_case.user_managed(str(script(tmp_path / "python", f'touch {canary}; exec {own} "$@"'))))
    with pytest.raises(ResolveError, match="only in lock and apply"):
        RESOLVER.resolve(Resolution(desired=wanted, build_allowed=False))
    assert not canary.exists()
