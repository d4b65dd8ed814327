"""Locks of Debian packages while their archive goes on: what stays, what moves, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.debian.variants import packages_of
from reconciler.errors import CorruptError, ResolveError
from reconciler.lock.difference import Kind, differences
from reconciler.lock.model import Interpreter, Lock, PlatformLock
from reconciler.lock.system import Part, System
from reconciler.manifest.model import Manifest, Python
from reconciler.ports import Ground, SystemQuestion
from reconciler.systems.resolve import Solver
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.debs import make_deb
from tests.reached import desired
from tests.signed_archive import DATE, NOW, Deb, Suite, World, debian, mirror

AMD64 = Platform("linux", "amd64")
ENTRY = "debian:bookworm-slim"
LINES = {"system_packages[0]": (5, 3), "system_packages[1]": (6, 3)}
NEEDS = {
    "python3": "python3.11",
    "python3.11": "libc6 (>= 2.36)",
    "libc-bin": "libc6 (= {version})",
    "git": "libc6 (>= 2.36), perl",
    "new": "libc6 (>= 2.37)",
}
ALL = (*packages_of("debian", "bookworm", "slim"), "python3", "python3.11", "python3-distutils", "libc6", "git", "perl")


def deb(name: str, version: str = "2.36-1", script: bytes = b"", **more: str) -> Deb:
    """Make a package of an archive, with what it needs."""
    needs = {"Depends": NEEDS[name].format(version=version)} if name in NEEDS else {}
    fields = needs | more
    scripts = {"postinst": script} if script else {}
    data = make_deb(name, version=version, scripts=scripts, fields=fields)
    return Deb(name=name, version=version, data=data, more=fields)


@dataclass(frozen=True, kw_only=True)
class Moving:
    """A mirror whose suite can be put in the place of what is there."""

    world: World

    @property
    def solver(self) -> Solver:
        """Make a solver that has read nothing yet."""
        archives = self.world.archives()
        return Solver(archives=archives, debs=archives.debs, standalones=None)  # type: ignore[arg-type]  # not asked

    def resolve(self, *packages: str, before: Ground | None = None, **more: object) -> Ground:
        """Solve as ``lock`` does."""
        manifest = Manifest(
            name="some",
            path="environments/some.yaml",
            python=Python(version="3.11"),
            system_packages=packages,
            lines=LINES,
        )
        preference = None if before is None else locked(before)
        return self.solver.resolve(
            SystemQuestion(
                desired=desired(manifest),
                platform=AMD64,
                entry=ENTRY,
                preference=preference,
                **more,  # type: ignore[arg-type]  # each has its own
            )
        )

    def publish(self, *debs: Deb, keep: bool = True, **more: object) -> None:
        """Let the suite have these packages, besides all that it had (``keep``) or in their place."""
        names = {one.name for one in debs}
        rest = [deb(name) for name in ALL if keep or name not in names]
        self.world.put("debian", Suite(debs=[*rest, *debs], date=NOW, **more))  # type: ignore[arg-type]  # as above


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Moving]:
    with mirror(tmp_path, debian(debs=[deb(name) for name in ALL])) as world:
        yield Moving(world=world)


def locked(ground: Ground) -> PlatformLock:
    """Give a lock of a base."""
    interpreter = Interpreter(implementation="cpython", version="3.11.2", abi="cp311", provider="debian")
    return PlatformLock(interpreter=interpreter, libc="glibc 2.36", system=ground.system)


def versions(system: System) -> dict[str, str]:
    """Give names and versions."""
    return {one.name: one.version for one in system.packages}


def moved(before: Ground, after: Ground) -> list[tuple[str, str | None, str | None]]:
    """Give what a lock says that moves."""
    locks = [Lock(inputs=Digest.of(b""), platforms={AMD64: locked(ground)}) for ground in (before, after)]
    found = differences(locks[0], locks[1])
    assert {one.kind for one in found} <= {Kind.DEBIAN}
    return [(one.name, one.old, one.new) for one in found]


def test_a_base_has_its_variant_its_python_and_what_is_added(moving: Moving) -> None:
    ground = moving.resolve("git")
    assert ground.interpreter == "usr/bin/python3.11"
    assert {one.name for one in ground.system.of(Part.ADDED)} == {"git", "perl"}
    assert {one.name for one in ground.system.of(Part.PYTHON)} == {"python3", "python3.11", "python3-distutils"}
    base = [one.name for one in ground.system.of(Part.BASE)]
    assert base == sorted([*packages_of("debian", "bookworm", "slim"), "libc6"])
    assert [archive.name for archive in ground.system.archives] == [
        "debian/bookworm/main",
        "debian/bookworm-updates/main",
        "debian-security/bookworm-security/main",
    ]


def test_a_base_is_the_same_whatever_is_added(moving: Moving) -> None:
    alone, more = moving.resolve(), moving.resolve("git")
    assert [*alone.system.of(Part.BASE)] == [*more.system.of(Part.BASE)]
    assert moved(alone, more) == [("git", None, "2.36-1"), ("perl", None, "2.36-1")]


@pytest.mark.parametrize("keep", [True, False])
def test_a_lock_is_the_same_although_the_archive_went_on(moving: Moving, keep: bool) -> None:  # noqa: FBT001  # the case
    before = moving.resolve("git")
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"), deb("git", "3"), keep=keep)
    assert moving.resolve("git", before=before) == before


def test_what_is_added_comes_beside_what_stays_although_the_archive_dropped_it(moving: Moving) -> None:
    before = moving.resolve()
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"), keep=False)
    after = moving.resolve("git", before=before)
    assert moved(before, after) == [("git", None, "2.36-1"), ("perl", None, "2.36-1")]
    dates = {archive.name: archive.date for archive in after.system.archives}
    assert dates["debian/bookworm/main"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
    assert dates["debian-security/bookworm-security/main"] == f"{DATE:%Y-%m-%dT%H:%M:%SZ}"


def test_what_needs_just_one_version_moves_along_also_where_nobody_offers_it_any_more(moving: Moving) -> None:
    before = moving.resolve("git")
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"), deb("git", "3"), keep=False)
    after = moving.resolve("git", before=before, upgrade=frozenset(["libc6"]))
    assert moved(before, after) == [("libc-bin", "2.36-1", "2.36-2"), ("libc6", "2.36-1", "2.36-2")]


def test_the_same_holds_on_a_machine_that_has_no_package_of_the_lock(moving: Moving) -> None:
    before = moving.resolve("git")
    for name in moving.world.kept:
        (moving.world.path / "debs" / name).unlink()
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"), deb("git", "3"), keep=False)
    assert moving.resolve("git", before=before) == before
    after = moving.resolve("git", before=before, upgrade=frozenset(["libc6"]))
    assert moved(before, after) == [("libc-bin", "2.36-1", "2.36-2"), ("libc6", "2.36-1", "2.36-2")]


def test_only_what_a_new_package_needs_moves(moving: Moving) -> None:
    before = moving.resolve("git")
    moving.publish(deb("libc6", "2.37-1"), deb("libc-bin", "2.37-1"), deb("git", "3"), deb("new", "1"))
    after = moving.resolve("git", "new", before=before)
    assert moved(before, after) == [
        ("libc-bin", "2.36-1", "2.37-1"),
        ("libc6", "2.36-1", "2.37-1"),
        ("new", None, "1"),
    ]


@pytest.mark.parametrize("more", [{"upgrade_base": True}, {"upgrade": None}])
def test_the_whole_base_moves_where_it_may(moving: Moving, more: dict[str, object]) -> None:
    before = moving.resolve("git")
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"), deb("git", "3"))
    after = moving.resolve("git", before=before, **more)
    assert moved(before, after) == [
        ("git", "2.36-1", "3"),
        ("libc-bin", "2.36-1", "2.36-2"),
        ("libc6", "2.36-1", "2.36-2"),
    ]


def test_a_version_that_is_asked_for_is_taken_and_what_needs_it_follows(moving: Moving) -> None:
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"))
    found = versions(moving.resolve("libc6=2.36-1").system)
    assert (found["libc6"], found["libc-bin"]) == ("2.36-1", "2.36-1")
    before = moving.resolve()
    after = moving.resolve("libc6=2.36-1", before=before)
    assert moved(before, after) == [("libc-bin", "2.36-2", "2.36-1"), ("libc6", "2.36-2", "2.36-1")]


def test_a_lock_of_another_suite_keeps_nothing(moving: Moving) -> None:
    before = moving.resolve()
    old = replace(before, system=replace(before.system, suite="bullseye"))
    moving.publish(deb("libc6", "2.36-2"), deb("libc-bin", "2.36-2"))
    assert versions(moving.resolve(before=old).system)["libc6"] == "2.36-2"


def test_what_the_archives_have_newer_is_named(moving: Moving) -> None:
    before = moving.resolve("git")
    assert moving.solver.newer(before.system, AMD64) == ()
    moving.publish(deb("libc6", "2.36-2"), deb("git", "2.36-1~old"), deb("another", "9"))
    assert moving.solver.newer(before.system, AMD64) == ("libc6",)


# -- refusals ---------------------------------------------------------------------------------------------------


def refusal(moving: Moving, *packages: str) -> str:
    """Give what is said, with its place."""
    with pytest.raises(ResolveError) as caught:
        moving.resolve(*packages)
    return str(caught.value)


def test_a_name_that_no_package_has_is_refused_at_its_line_with_those_that_are_near(moving: Moving) -> None:
    said = refusal(moving, "git", "libc7")
    assert said == (
        "environments/some.yaml:6:3: no package of debian:bookworm-slim is called libc7; did you mean libc6?"
    )


def test_a_version_that_no_archive_has_is_refused_with_those_that_there_are(moving: Moving) -> None:
    assert refusal(moving, "git=9") == (
        "environments/some.yaml:5:3: of git the archives have 2.36-1, and not git (= 9)"
    )


def test_a_name_that_several_packages_provide_is_refused_with_theirs(moving: Moving) -> None:
    moving.publish(deb("one", Provides="editor"), deb("two", Provides="editor"), deb("three", Provides="only"))
    assert "editor is no package, several provide it: name one of one, two" in refusal(moving, "editor")
    assert "three" in versions(moving.resolve("only").system)


def test_another_architecture_is_refused(moving: Moving) -> None:
    assert "git is asked for arm64, and the platform is linux/amd64" in refusal(moving, "git:arm64")
    assert "git" in versions(moving.resolve("git:amd64").system)


def test_what_would_run_scripts_is_refused_by_name_at_the_line_that_asks_for_it(moving: Moving) -> None:
    moving.publish(deb("odd", script=b"#!/bin/sh\nfrobnicate --now\n"), deb("asks", Depends="odd"))
    said = refusal(moving, "git", "asks")
    assert said.startswith(
        "environments/some.yaml:6:3: odd 2.36-1, which asks needs, can't be installed without running its scripts"
    )
    assert "frobnicate" in said


def test_an_archive_that_is_older_than_the_locks_is_refused(moving: Moving) -> None:
    moving.publish()
    before = moving.resolve()
    moving.world.put("debian", Suite(debs=[deb(name) for name in ALL], date=DATE))
    with pytest.raises(CorruptError, match="the lock was made from"):
        moving.resolve(before=before)
