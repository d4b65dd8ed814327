"""The command line against a registry over HTTP: what is written when, and who may write."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import registry_faults as faults
from tests.conftest import Required
from tests.registry_faults import Asking
from tests.registry_messages import Kind, Request
from tests.remote_world import Applied, Clone, World, apply_first
from tests.repository import PROGRAM, Answer


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Applied:
    required.python("3.11")
    return apply_first(tmp_path_factory.mktemp("remote"))


@pytest.fixture
def world(applied: Applied, tmp_path: Path) -> Iterator[World]:
    with applied.world(tmp_path) as found:
        yield found


def meeting(parties: int = 2) -> faults.Fault:
    """Hold a request until so many have come, or nobody else does."""
    barrier = threading.Barrier(parties)

    def meet() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(20)

    return faults.calling(meet)


def at_once(*clones: Clone) -> list[Answer]:
    """Apply from every clone at the same time."""
    running = [clone.start("apply") for clone in clones]
    texts = [process.communicate() for process in running]
    return [Answer(process.returncode, *text) for process, text in zip(running, texts, strict=True)]


# -- the cycle --------------------------------------------------------------------------------------------------


@pytest.mark.threat("F19")
def test_a_second_and_a_third_apply_write_nothing_wherever_they_run(world: World) -> None:
    for clone in (world.clone(), world.clone()):
        assert "Nothing to do: 2 environments unchanged." in clone("apply").out
    assert world.server.asked
    assert world.server.writes == []


def test_an_edit_builds_that_one_a_revert_and_a_restored_manifest_build_nothing(world: World) -> None:
    clone = world.clone()
    kept = world.currents["second"]
    clone.manage("first", "2")
    clone.push()
    assert clone.built() == {"first": 1}
    clone.git("revert", "--no-edit", "HEAD")
    assert "1 reused" in clone("apply").out
    clone.git("rm", "-q", "environments/first.yaml")
    clone.commit()
    assert clone.outcomes()["first"]["action"] == "archive"
    assert "first" not in clone("list").out
    clone.git("revert", "--no-edit", "HEAD")
    assert clone.built() == {}
    assert world.versions("first") == ["v1", "v2", "v3", "v4"]
    assert world.currents["second"] == kept
    assert clone("drift").code == clone("doctor").code == 0


def test_what_is_registered_is_seen_run_and_copied_without_a_clone(world: World, tmp_path: Path) -> None:
    away = Clone(tmp_path / "home" / "away", world.python, world.registry)
    shutil.rmtree(away.root)
    away.root.mkdir()
    assert [one["name"] for one in away.json("list")["environments"]] == ["first", "second"]
    assert away("get", "first", "--format", "{digest}").out.strip() == world.currents["first"]
    assert "1 version." in away("history", "first").out
    assert "first  version 1" in away("explain", "first").out
    script = "import os, sys; print(os.environ['MODE'], sys.prefix)"
    mode, prefix = away("run", "first", "--", "python", "-c", script).out.split()
    assert (mode, Path(prefix)) == ("1", world.python.parents[1])
    assert away("doctor").code == 0
    assert away("copy", "first", "--to", "../folder").code == 0
    assert away("copy", "first", "--to", f"{world.server.address}/other").code == 0
    assert world.server.store.repositories["other/first"].tags["current"] == world.currents["first"]
    again = away("copy", "first", "--registry", "../folder", "--to", f"{world.server.address}/third")
    assert "Copied first v1." in again.out
    assert list(away.root.iterdir()) == []


def test_packages_are_solved_installed_and_run_elsewhere_as_they_were_registered(world: World) -> None:
    clone = world.clone()
    clone.release("alpha", "1.0")
    clone.declare("third", "alpha")
    clone.push()
    assert clone.built() == {"third": 1}
    clone.release("alpha", "2.0")
    other = world.clone()
    other.wheels = clone.wheels
    assert "Nothing to do" in other("apply").out
    program = "from importlib.metadata import version; print(version('alpha'))"
    assert other("run", "third", "--", "python", "-c", program).out.strip() == "1.0"
    assert other.built("--refresh", "third") == {"third": 1}
    assert other("run", "third", "--", "python", "-c", program).out.strip() == "2.0"


# -- who writes at the same time --------------------------------------------------------------------------------


def first_of_each(kind: str, name: str) -> Asking:
    """Let the first two requests of that kind for a repository meet: one of each clone."""
    wait = faults.first(meeting(), kind, times=2)

    def ask(request: Request) -> faults.Fault | None:
        return wait(request) if request.name.endswith(name) else None

    return ask


@pytest.mark.threat("F3")
@pytest.mark.parametrize(
    ("kind", "name"),
    [(Kind.START_UPLOAD, "reconciler-state"), (Kind.START_UPLOAD, "first"), (Kind.PUT_MANIFEST, "first")],
)
def test_the_same_change_from_two_clones_at_once_is_one_record(world: World, kind: str, name: str) -> None:
    one = world.clone()
    one.manage("first", "2")
    one.push()
    two = world.clone()
    world.server.fault = first_of_each(kind, name)
    assert [answer.code for answer in at_once(one, two)] == [0, 0]
    world.server.fault = faults.never
    assert world.versions("first") == ["v1", "v2"]
    assert world.stored("first").tags["current"] == world.stored("first").tags["v2"]
    assert {digest for tag, digest in world.stored("first").history if tag == "v2"} == {world.currents["first"]}
    assert "Nothing to do" in one("apply").out


@pytest.mark.threat("F4")
def test_other_environments_from_two_clones_at_once_are_all_there(world: World) -> None:
    older = world.clone()
    older.manage("first", "2")
    older.push()
    newer = world.clone()
    newer.manage("second", "2")
    newer.push()
    world.server.fault = first_of_each(Kind.START_UPLOAD, "reconciler-state")
    codes = [answer.code for answer in at_once(older, newer)]
    assert codes == [0, 0]
    world.server.fault = faults.never
    writes = len(world.server.writes)
    assert "Nothing to do" in newer("apply").out
    assert len(world.server.writes) == writes
    assert world.versions("first") == world.versions("second") == ["v1", "v2"]


# -- commits ----------------------------------------------------------------------------------------------------


@pytest.mark.threat("F6")
def test_an_older_commit_after_a_newer_one_that_had_nothing_to_write_is_superseded(world: World) -> None:
    clone = world.clone()
    clone.manage("first", "2")
    late = clone.push()
    clone.git("revert", "--no-edit", "HEAD")
    newer = clone.push()
    clone("apply")
    assert world.versions("first") == ["v1"]
    clone.git("checkout", "-q", late)
    before, currents = len(world.server.writes), world.currents
    answer = clone("apply")
    assert answer.out.splitlines()[0].startswith(f"superseded: commit {late[:12]} comes before {newer[:12]}")
    assert clone("apply", "first", expect=6).out.startswith("superseded")
    assert clone.outcomes()["first"]["status"] == "superseded"
    assert len(world.server.writes) == before
    assert world.currents == currents


@pytest.mark.threat("F6")
def test_a_rewritten_main_is_refused_until_somebody_takes_over(world: World) -> None:
    clone = world.clone()
    clone.manage("first", "2")
    theirs = clone.push()
    clone("apply")
    clone.git("reset", "-q", "--hard", "HEAD^")
    clone.manage("first", "3")
    ours = clone.push("rewritten", "--force")
    before = len(world.server.writes)
    for where in (clone, world.clone()):
        answer = where("apply", expect=6)
        assert ours[:12] in answer.err
        assert theirs[:12] in answer.err
        assert "--take-over" in answer.err
    assert len(world.server.writes) == before
    clone("apply", "--take-over")
    record = clone.json("get", "first")
    assert (record["version"], record["commit"]) == (3, ours)
    assert clone.json("get", "second")["commit"] is not None
    assert "Nothing to do" in clone("apply").out


@pytest.mark.threat("F6")
def test_a_shallow_clone_deepens_itself_and_one_without_its_origin_says_how(world: World) -> None:
    clone = world.clone()
    for number in range(3):
        clone.manage("first", f"2.{number}")
        clone.push()
    shallow, alone = (world.clone("--depth", "1") for _ in range(2))
    alone.git("remote", "set-url", "origin", (world.folder / "gone.git").as_uri())
    answer = alone("apply", expect=6)
    assert "`git fetch --unshallow`" in answer.err
    assert world.versions("first") == ["v1"]
    assert shallow.git("rev-list", "--count", "HEAD") == "1"
    assert shallow.built() == {"first": 1}
    assert world.versions("first") == ["v1", "v2"]


def test_another_manager_is_blocked_and_changes_nothing(world: World) -> None:
    clone = world.clone()
    (clone.root / "reconciler.yaml").write_text("manager: others\n")
    clone.manage("first", "2")
    clone.manage("own")
    clone.commit()
    held = {name: dict(world.stored(name).tags) for name in ("first", "second")}
    answer = clone("apply", expect=None)
    assert answer.code in (4, 6)
    assert "team" in answer.out + answer.err
    assert {name: dict(world.stored(name).tags) for name in ("first", "second")} == held
    assert "Nothing to do" in world.clone()("apply").out


def test_branches_register_in_their_own_prefixes(world: World) -> None:
    clone = world.clone()
    del clone.variables["RECONCILER_REGISTRY"]
    address = world.server.address
    (clone.root / "reconciler.yaml").write_text(
        f"manager: team\nbranches: {{main: {address}/team, staging: {address}/staging}}\n"
    )
    clone.push()
    clone("apply")
    clone.git("checkout", "-q", "-b", "staging")
    clone.manage("first", "2")
    clone.push()
    clone("apply")
    held = world.server.store.repositories
    assert sorted(name for name in held if held[name].was_pushed_to) == [
        *(f"staging/{name}" for name in ("first", "reconciler-state", "second")),
        *(f"team/{name}" for name in ("first", "reconciler-state", "second")),
    ]
    assert world.versions("first") == ["v1"]
    clone.git("checkout", "-q", "main")
    assert "Nothing to do" in clone("apply").out


def test_a_tree_that_differs_from_its_commit_is_refused_unless_it_is_said(world: World) -> None:
    clone = world.clone()
    clone.manage("first", "2")
    before = len(world.server.writes)
    answer = clone("apply", expect=6)
    assert "--allow-dirty" in answer.err
    assert len(world.server.writes) == before
    clone("apply", "--allow-dirty")
    assert clone.json("get", "first")["dirty"] is True
    clone.commit()
    assert clone.built() == {}


def test_a_saved_plan_is_applied_once(world: World) -> None:
    clone = world.clone()
    clone.manage("first", "2")
    clone.push()
    clone("plan", "--out", "../plan.json", "--detailed-exitcode", expect=2)
    assert world.server.writes == []
    clone("apply", "../plan.json")
    written = len(world.server.writes)
    clone("apply", "../plan.json")
    assert len(world.server.writes) - written <= 4  # at most the state: that all of the commit is done


def test_a_pull_request_plans_without_writing_a_byte(world: World) -> None:
    clone = world.clone()
    clone.git("checkout", "-q", "-b", "feature")
    clone.manage("first", "2")
    clone.commit()
    command = [str(PROGRAM), "plan", "-o", "markdown"]
    done = subprocess.run(command, cwd=clone.root, env=clone.environ, capture_output=True, text=True, check=True)
    assert "rebuild" in done.stdout
    assert world.server.writes == []
