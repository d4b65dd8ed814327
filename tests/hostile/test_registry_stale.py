"""A registry over HTTP that shows for a while what was there before: looked at again, and built once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from reconciler.errors import NotFoundError, RegistryError
from reconciler.plan.observed import Present
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.registries.http import _WAITS_S as WAITS_S
from tests import registry_faults as faults
from tests.registry_messages import Kind
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings, Stale
from tests.remote import opened
from tests.stocked import NAME, STORED, stock
from tests.world import World, wanted

LOOKS = len(WAITS_S) + 1
BEHIND = {
    "the old value": Stale(),
    "nothing": Stale(missing=True),
    "head alone": Stale(get=False),
    "get alone": Stale(head=False),
    "head alone, nothing": Stale(get=False, missing=True),
    "get alone, nothing": Stale(head=False, missing=True),
    "also by digest": Stale(missing=True, digests=True),
    "also in lists": Stale(missing=True, lists=True),
}


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with serving_registry() as found:
        yield found


@pytest.mark.threat("F14")
@pytest.mark.parametrize("reads", [1, 3, LOOKS - 1])
@pytest.mark.parametrize("what", BEHIND)
def test_what_was_just_written_is_looked_at_until_it_shows(server: RegistryServer, what: str, reads: int) -> None:
    held = stock(server)
    server.settings = Settings(stale=replace(BEHIND[what], reads=reads))
    slept: list[float] = []
    for by_head in (False, True):
        registry = opened(server.address, sleep=slept.append)
        server.store.repositories[STORED].tags["current"] = str(held.first.digest)
        registry.push(NAME, held.second, tags=["current"])
        if by_head:
            assert registry.resolve(NAME, "current") == held.second.digest
        else:
            assert registry.fetch(NAME, "current") == held.second
    assert len(slept) <= 2 * reads
    assert sum(slept) <= 2 * sum(WAITS_S)


@pytest.mark.threat("F14")
@pytest.mark.parametrize("what", BEHIND)
def test_what_never_shows_is_believed_after_a_bounded_while(server: RegistryServer, what: str) -> None:
    held = stock(server)
    server.settings = Settings(stale=replace(BEHIND[what], seconds=3600))
    slept: list[float] = []
    registry = opened(server.address, sleep=slept.append)
    registry.push(NAME, held.second, tags=["current"])
    server.asked.clear()
    old = None if BEHIND[what].missing else held.first.digest
    expected = old if BEHIND[what].head else held.second.digest
    if BEHIND[what].head and BEHIND[what].get and old is None:
        with pytest.raises(NotFoundError):
            registry.fetch(NAME, "current")
    assert registry.resolve(NAME, "current") == expected
    assert len(server.asked) <= 4 * LOOKS
    assert sum(slept) <= 2 * sum(WAITS_S)
    assert not BEHIND[what].head or sum(slept) >= sum(WAITS_S), "a registry gets some seconds"


@pytest.mark.threat("F14")
def test_a_manifest_that_head_knows_and_get_does_not_is_looked_at_again(server: RegistryServer) -> None:
    held = stock(server)
    registry = opened(server.address)
    registry.push(NAME, held.second, tags=["current"])
    missing = faults.status(404, code="MANIFEST_UNKNOWN")
    for reference in ("current", held.second.digest):
        server.fault = faults.first(missing, Kind.GET_MANIFEST, times=LOOKS - 1)
        assert registry.resolve(NAME, reference) == held.second.digest
        assert registry.fetch(NAME, reference) == held.second
    server.fault = faults.every(missing, Kind.GET_MANIFEST)
    with pytest.raises(NotFoundError):
        registry.fetch(NAME, "current")


@pytest.mark.threat("F14")
def test_a_blob_that_was_just_stored_is_looked_at_until_it_shows(server: RegistryServer) -> None:
    held = stock(server)
    registry = opened(server.address)
    registry.push_blob(NAME, held.new)
    server.fault = faults.first(faults.status(404, code="BLOB_UNKNOWN"), Kind.HEAD_BLOB, times=3)
    assert registry.has_blob(NAME, held.new.describe())


@pytest.mark.threat("F14")
def test_what_somebody_else_wrote_is_believed_at_once(server: RegistryServer) -> None:
    held = stock(server)
    slept: list[float] = []
    registry = opened(server.address, sleep=slept.append)
    assert registry.fetch(NAME, "current") == held.first
    server.store.repositories[STORED].tags["current"] = str(held.second.digest)
    assert registry.fetch(NAME, "current") == held.second
    assert registry.resolve(NAME, "nothing") is None
    with pytest.raises(NotFoundError):
        registry.fetch(NAME, "nothing")
    assert slept == []


# -- the whole protocol -----------------------------------------------------------------------------------------

ALPHA = [wanted("alpha", ["numpy", "scipy"])]


def started(server: RegistryServer) -> World:
    world = World(opened(server.address))
    world.apply([wanted("alpha")])
    world.factory.built.clear()
    return world


def again(world: World, server: RegistryServer) -> tuple[Outcome, ...]:
    """Apply from another process."""
    return World(opened(server.address), index=world.index, factory=world.factory).apply(ALPHA)


def is_registered(server: RegistryServer) -> bool:
    found = observe(opened(server.address), "alpha", depth=Depth.BLOBS)
    assert isinstance(found, Present)
    assert (found.missing, found.tampered, found.recovered) == ((), (), False)
    return found.record.facts.request == ALPHA[0].request and found.record.facts.version == 2


@pytest.mark.threat("F14")
@pytest.mark.parametrize("reads", [1, 3])
@pytest.mark.parametrize("what", BEHIND)
def test_a_version_is_registered_and_built_once_on_a_registry_that_is_behind(
    server: RegistryServer, what: str, reads: int
) -> None:
    world = started(server)
    server.settings = Settings(stale=replace(BEHIND[what], reads=reads))
    (outcome,) = again(world, server)
    assert outcome.status is Status.APPLIED, outcome.error
    assert len(world.factory.built) == 1
    server.settings = Settings()
    assert is_registered(server)
    server.asked.clear()
    again(world, server)
    assert server.writes == []
    assert len(world.factory.built) == 1


@pytest.mark.threat("F14")
@pytest.mark.parametrize("what", BEHIND)
def test_a_registry_that_stays_behind_ends_in_an_error_and_the_next_run_builds_nothing(
    server: RegistryServer, what: str
) -> None:
    world = started(server)
    server.settings = Settings(stale=replace(BEHIND[what], seconds=3600))
    (outcome,) = again(world, server)
    if outcome.status is Status.FAILED:
        assert isinstance(outcome.error, RegistryError)
        assert outcome.error.hint, outcome.error
        assert "\n" not in str(outcome.error)
    else:
        assert not (BEHIND[what].get and BEHIND[what].head)
    server.settings = Settings()
    for repository in server.store.repositories.values():
        repository.behind.clear()
    assert {one.status for one in again(world, server)} <= {Status.APPLIED, Status.ADOPTED, Status.UNCHANGED}
    assert is_registered(server)
    assert len(world.factory.built) == 1


@pytest.mark.threat("F14")
@pytest.mark.parametrize("what", BEHIND)
def test_another_run_right_after_the_first_sees_the_old_and_breaks_nothing(server: RegistryServer, what: str) -> None:
    """It can't know that what it reads is old; what it writes is then the same bytes under the same tags."""
    world = started(server)
    server.settings = Settings(stale=replace(BEHIND[what], reads=40))
    again(world, server)
    again(world, server)
    server.settings = Settings()
    for repository in server.store.repositories.values():
        repository.behind.clear()
    again(world, server)
    assert is_registered(server)
    assert len(world.factory.built) <= 2
