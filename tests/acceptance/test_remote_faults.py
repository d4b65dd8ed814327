"""The command line against a registry over HTTP that loses, refuses or does not answer, and a run that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import registry_faults as faults
from tests.conftest import Required
from tests.registry_auth import Auth, Basic, Bearer
from tests.registry_faults import Fault, Point, ResetConnectionError
from tests.registry_messages import Kind, Request
from tests.registry_store import Repository, Settings
from tests.remote import logged_in
from tests.remote_world import Applied, Clone, World, apply_first
from tests.stocked import copied

FULL = os.environ.get("RECONCILER_CASES") == "full"
STEP = 1 if FULL else 18
"""Every how manieth request a run is killed at."""
UNANSWERED_S = 1


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Applied:
    required.python("3.11")
    return apply_first(tmp_path_factory.mktemp("remote"))


@pytest.fixture
def world(applied: Applied, tmp_path: Path) -> Iterator[World]:
    with applied.world(tmp_path) as found:
        yield found


@pytest.fixture
def edited(world: World) -> Clone:
    """A clone whose commit asks for another ``first``."""
    clone = world.clone()
    clone.manage("first", "2")
    clone.push()
    return clone


def whole(clone: Clone) -> bool:
    """Tell whether nothing is to do, nothing drifted, and every byte is what it should be."""
    assert "Nothing to do" in clone("apply").out
    return clone("drift").code == clone("doctor").code == 0


# -- killed -----------------------------------------------------------------------------------------------------


class Killer:
    """Kills a run at its n-th request: before its work is done, or after."""

    def __init__(self, number: int, *, after: bool) -> None:
        self.number, self.after = number, after
        self.process: subprocess.Popen[str] | None = None
        self._count, self._lock, self._started = 0, threading.Lock(), threading.Event()

    def __call__(self, request: Request) -> Fault | None:
        del request
        with self._lock:
            self._count += 1
            if self._count != self.number:
                return None
        return Fault(actions={Point.AFTER_WORK if self.after else Point.BEFORE_BODY: self._kill})

    def run(self, clone: Clone) -> str:
        """Apply; give what the run said until it was killed."""
        self.process = clone.start("apply")
        self._started.set()
        err: str = self.process.communicate()[1]
        return err

    def _kill(self, _stopped: threading.Event) -> None:
        self._started.wait()
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        raise ResetConnectionError


@pytest.mark.parametrize("after", [False, True], ids=["before the work", "after the work"])
def test_a_run_that_is_killed_at_any_request_is_finished_by_the_next(
    world: World, edited: Clone, count_cases: Callable[[str, int], None], *, after: bool
) -> None:
    begun, begun_tags = world.server.store, set(world.stored("first").tags)
    world.server.store = copied(begun)
    edited("apply")
    requests, wanted = len(world.server.asked), world.currents
    killed = 0
    for number in range(1 + STEP // 2 * after, requests + 1, STEP):
        world.server.store = copied(begun)
        world.server.fault = killer = Killer(number, after=after)
        said = killer.run(edited)
        world.server.fault = faults.never
        assert killer.process is not None
        killed += killer.process.returncode == -signal.SIGKILL
        is_done = world.currents["first"] == wanted["first"]
        assert is_done or world.currents["first"] == world.stored("first").tags["v1"]
        is_made = any(tag not in begun_tags for tag in world.stored("first").tags if tag.startswith("build-"))
        assert edited.built() == ({} if is_made else {"first": 1}), said
        assert world.currents == wanted, number
        assert edited("doctor").code == 0
    assert killed
    count_cases("F1", killed)


# -- tags -------------------------------------------------------------------------------------------------------


def all_but_current(tag: str) -> bool:
    return tag != "current" and not tag.startswith("m-")


@pytest.mark.parametrize("same", [False, True], ids=["other content is refused", "any write is refused"])
def test_every_tag_but_current_and_the_state_may_be_immutable(world: World, *, same: bool) -> None:
    world.server.settings = Settings(immutable=all_but_current, immutable_same=same)
    clone = world.clone()
    for mode in "23":
        clone.manage("first", mode)
        clone.push()
        assert clone.built() == {"first": 1}
    assert world.versions("first") == ["v1", "v2", "v3"]
    assert whole(clone)


@pytest.mark.parametrize("status", [400, 403, 409])
def test_an_immutable_current_is_one_clear_line(world: World, edited: Clone, status: int) -> None:
    world.server.settings = Settings(immutable=lambda tag: not tag.startswith("m-"), immutable_status=status)
    before = world.currents
    answer = edited("apply", expect=None)
    assert answer.code not in (0, 2)
    assert answer.out.count("does not let the tag `current` of first move") == 1
    assert "exclude `current` from that rule" in answer.out
    assert world.currents == before


def test_an_immutable_state_is_one_clear_line(world: World, edited: Clone) -> None:
    world.server.settings = Settings(immutable=lambda tag: tag != "current")
    before = world.currents
    answer = edited("apply", expect=None)
    assert answer.code not in (0, 2)
    assert "does not let the tag" in answer.err + answer.out
    assert "reconciler-state" in answer.err + answer.out
    assert world.currents == before


@pytest.mark.threat("F13")
def test_a_current_that_was_deleted_by_hand_is_put_back_without_building(world: World) -> None:
    clone = world.clone()
    wanted = world.currents
    del world.stored("first").tags["current"]
    assert "current" in clone("drift", expect=3).out
    assert clone.built() == {}
    assert world.currents == wanted
    assert whole(clone)


def clean_up(repository: Repository) -> int:
    """Delete what no tag names, as registries' policies do, and then what no manifest names; tell how many."""
    kept = set(repository.tags.values())
    before = len(repository.manifests) + len(repository.blobs)
    repository.manifests = {digest: one for digest, one in repository.manifests.items() if digest in kept}
    text = b"".join(one.data for one in repository.manifests.values()).decode()
    repository.blobs = {digest: data for digest, data in repository.blobs.items() if digest in text}
    return before - len(repository.manifests) - len(repository.blobs)


@pytest.mark.threat("F13")
def test_a_cleanup_of_untagged_manifests_takes_nothing_that_is_needed(world: World) -> None:
    clone = world.clone()
    for mode, extra in (("1", "description: words\n"), ("1", "description: others\n"), ("2", "")):
        clone.manage("first", mode, extra)
        clone.push()
        clone("apply")
    assert sum(clean_up(held) for held in world.server.store.repositories.values())
    assert whole(clone)
    assert clone("run", "first:1", "--", "python", "-c", "").code == 0
    assert "2 versions." in clone("history", "first").out
    clone.manage("first", "1")
    clone.push()
    assert clone.built() == {}


# -- drift ------------------------------------------------------------------------------------------------------


def image_deleted(held: Repository) -> tuple[str, ...]:
    digest = held.tags["v1-linux-amd64"]
    del held.manifests[digest]
    return (digest,)


def blob_deleted(held: Repository) -> tuple[str, ...]:
    manifest = json.loads(held.manifests[held.tags["v1-lock"]].data)
    del held.blobs[manifest["layers"][0]["digest"]]
    return (held.tags["v1-lock"],)


def tag_moved(held: Repository) -> tuple[str, ...]:
    ours, held.tags["current"] = held.tags["current"], held.tags["v1-lock"]
    return (ours, held.tags["v1-lock"])


def version_moved(held: Repository) -> tuple[str, ...]:
    ours, held.tags["v1"] = held.tags["v1"], held.tags["v1-request"]
    return (ours, held.tags["v1-request"])


@pytest.mark.threat("F13")
@pytest.mark.parametrize("damage", [image_deleted, blob_deleted, tag_moved, version_moved])
def test_drift_names_what_is_gone_or_moved_and_apply_mends_that_alone(
    world: World, damage: Callable[[Repository], tuple[str, ...]]
) -> None:
    clone = world.clone()
    wanted, held = world.currents, dict(world.stored("second").tags)
    digests = damage(world.stored("first"))
    before = len(world.server.writes)
    said = clone("drift", "--deep", "-o", "json", expect=3).out
    assert len(world.server.writes) == before
    assert {one["name"] for one in json.loads(said)["findings"]} == {"first"}
    for digest in digests:
        assert digest in said, said
    assert clone.built("--repair", "first") == ({"first": 1} if damage is image_deleted else {})
    assert world.currents == wanted
    assert world.stored("second").tags == held
    assert not [one for one in world.server.writes if one.name.endswith("second")]
    assert whole(clone)


# -- who may, and who answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [Basic(), Bearer()], ids=["basic", "bearer"])
@pytest.mark.parametrize("password", ["", "wrong"], ids=["nobody", "wrong password"])
def test_who_is_not_let_in_builds_and_writes_nothing(
    world: World, edited: Clone, tmp_path: Path, auth: Auth, password: str
) -> None:
    world.server.settings = Settings(auth=auth)
    if password:
        account = logged_in(tmp_path / "docker", world.server.address, "user", password)
        edited.variables["DOCKER_CONFIG"] = str(account)
    for command in (("apply",), ("plan",), ("list",), ("drift",), ("get", "first")):
        answer = edited(*command, expect=77)
        assert "building" not in answer.err
        assert "secret" not in answer.out + answer.err
    assert world.server.store.repositories["team/first"].tags.keys() >= {"v1", "current"}
    assert world.versions("first") == ["v1"]


def test_a_login_that_ends_in_the_middle_registers_nothing_more(world: World, edited: Clone, tmp_path: Path) -> None:
    auth = Basic()
    world.server.settings = Settings(auth=auth)
    edited.variables["DOCKER_CONFIG"] = str(logged_in(tmp_path / "docker", world.server.address, "user", "secret"))

    def end() -> None:
        auth.password = "changed"  # noqa: S105  # of a server on loopback

    world.server.fault = faults.first(faults.calling(end), Kind.PUT_MANIFEST, after=4)
    before = world.currents
    answer = edited("apply", expect=None)
    assert answer.code in (4, 77), answer.out
    assert world.currents == before
    auth.password = "secret"  # noqa: S105  # the same
    edited("apply")
    assert whole(edited)


def test_a_registry_that_denies_what_is_not_there_takes_the_first_environment(applied: Applied, tmp_path: Path) -> None:
    with applied.world(tmp_path, Settings(auth=Bearer(), unauthorized_when_absent=401), empty=True) as world:
        clone = world.clone()
        account = logged_in(tmp_path / "docker", world.server.address, "user", "secret")
        clone.variables["DOCKER_CONFIG"] = str(account)
        assert clone.built() == {"first": 1, "second": 1}
        assert "Nothing to do" in clone("apply").out


def test_where_a_repository_must_exist_first_that_is_said_and_then_works(applied: Applied, tmp_path: Path) -> None:
    with applied.world(tmp_path, Settings(must_exist_first=True), empty=True) as world:
        clone = world.clone()
        answer = clone("apply", expect=None)
        assert answer.code not in (0, 2)
        said = answer.out + answer.err
        for name in ("first", "second", "reconciler-state"):
            if f"team/{name}" in said:
                world.server.store.create(f"team/{name}")
        assert world.server.store.created, said
        for name in ("first", "second", "reconciler-state"):
            world.server.store.create(f"team/{name}")
        clone("apply")
        assert "Nothing to do" in clone("apply").out


@pytest.mark.threat("F8")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.stall(60), 69),
        (faults.reset(), 69),
        (faults.status(503), 69),
        (faults.status(429, code="TOOMANYREQUESTS", retry_after="1000"), 75),
        (faults.status(429, code="TOOMANYREQUESTS"), 75),
    ],
    ids=["no answer", "reset", "unavailable", "wait long", "wait"],
)
def test_a_registry_that_never_answers_ends_soon_and_builds_nothing(
    world: World, edited: Clone, fault: Fault, code: int
) -> None:
    edited.variables["RECONCILER_REGISTRY_LIMIT"] = str(UNANSWERED_S)
    world.server.fault = faults.every(fault)
    answer = edited("apply", expect=code)
    assert "building" not in answer.err
    assert world.versions("first") == ["v1"]
    assert len(answer.err.strip().splitlines()) <= 4, answer.err
