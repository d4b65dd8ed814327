"""What may be built from source: from which index it comes, and what may run while it is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.clients.uv import Uv
from reconciler.clients.virtualenv import make_virtualenv
from reconciler.errors import BuildError, ReconcilerError
from reconciler.lock.document import parse_lock, to_document
from reconciler.lock.model import PlatformLock
from reconciler.ports import Resolved
from tests.simple_index import SimpleIndex, chosen

CANARY = 'open({canary!r}, "w").close()'


@pytest.fixture
def index(tmp_path: Path) -> SimpleIndex:
    return SimpleIndex(tmp_path / "index")


@pytest.fixture
def team(tmp_path: Path) -> SimpleIndex:
    return SimpleIndex(tmp_path / "team")


def only(resolved: Resolved) -> PlatformLock:
    (lock,) = resolved.lock.platforms.values()
    return lock


def install(index: SimpleIndex, place: Path, lock: PlatformLock, **environ: str) -> list[str]:
    """Make the environment, and give what is in it."""
    make_virtualenv(Uv(environ=index.environ(**environ)), place, lock)
    return sorted(
        path.stem for path in next((place / "lib").glob("python3*")).glob("site-packages/*.py") if path.stem[0] != "_"
    )


@pytest.mark.parametrize("how", [{"indexes": ("team",)}, {"sources": {"gamma": "team"}}], ids=["index", "source"])
def test_a_source_of_a_named_index_is_found_there_again(
    index: SimpleIndex, team: SimpleIndex, tmp_path: Path, how: dict[str, object]
) -> None:
    index.wheel("alpha", "1", ["gamma"])
    team.buildable("gamma", "2")
    environ = index.environ(RECONCILER_INDEX_TEAM=team.address)
    resolved = index.resolve("alpha", environ=environ, build_from_source=("gamma",), **how)
    assert chosen(resolved) == {"alpha": "1", "gamma": "2"}
    gamma = only(resolved).packages[1]
    assert gamma.source == f"built:gamma-2.tar.gz@sha256:{gamma.sha256}@index:team"
    assert gamma.index == "index:team"
    assert parse_lock(to_document(resolved.lock), "training.lock.json") == resolved.lock
    assert install(index, tmp_path / "place", only(resolved), RECONCILER_INDEX_TEAM=team.address) == ["alpha", "gamma"]


def test_a_machine_without_that_index_says_so_before_anything_is_built(
    index: SimpleIndex, team: SimpleIndex, tmp_path: Path
) -> None:
    team.buildable("gamma", "2")
    environ = index.environ(RECONCILER_INDEX_TEAM=team.address)
    resolved = index.resolve("gamma", environ=environ, build_from_source=("gamma",), indexes=("team",))
    with pytest.raises(BuildError, match="the package source team has no address on this machine"):
        install(index, tmp_path / "place", only(resolved))


def test_a_source_of_the_machines_own_index_names_none(index: SimpleIndex, tmp_path: Path) -> None:
    index.buildable("gamma", "2")
    resolved = index.resolve("gamma", build_from_source=("gamma",))
    gamma = only(resolved).packages[0]
    assert gamma.source == f"built:gamma-2.tar.gz@sha256:{gamma.sha256}"
    assert install(index, tmp_path / "place", only(resolved)) == ["gamma"]


def test_a_source_that_was_exchanged_is_not_built(index: SimpleIndex, tmp_path: Path) -> None:
    index.buildable("gamma", "2")
    resolved = index.resolve("gamma", build_from_source=("gamma",))
    canary = tmp_path / "canary"
    index.links.clear()
    index.buildable("gamma", "2", setup=CANARY.format(canary=str(canary)))
    with pytest.raises(BuildError):
        install(index, tmp_path / "place", only(resolved), UV_CACHE_DIR=str(tmp_path / "fresh"))
    assert not canary.exists()


@pytest.mark.threat("T11")
def test_what_building_needs_is_not_built_in_turn(index: SimpleIndex, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    index.buildable("evil", "1", setup=CANARY.format(canary=str(canary)))
    index.wheel("gamma", "1")
    harmless = index.resolve("gamma").lock.platforms
    index.buildable("gamma", "2", build_requires=["evil"])
    with pytest.raises(ReconcilerError):
        index.resolve("gamma", build_from_source=("gamma",))
    assert not canary.exists()
    assert harmless


@pytest.mark.threat("T11")
def test_what_a_locked_build_needs_is_not_built_while_installing(index: SimpleIndex, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    index.wheel("evil", "1")
    index.buildable("gamma", "2", build_requires=["evil"])
    resolved = index.resolve("gamma", build_from_source=("gamma",))
    index.buildable("evil", "2", setup=CANARY.format(canary=str(canary)))
    environ = {"UV_CACHE_DIR": str(tmp_path / "fresh")}
    assert install(index, tmp_path / "place", only(resolved), **environ) == ["gamma"]
    assert not canary.exists()
