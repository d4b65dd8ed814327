"""Layers that another environment has: taken from its record, mounted, and only where it is our own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tests.base_case import write_base
from tests.registry_server import RegistryServer, serving_registry
from tests.repository import Repository
from tests.wheelhouse import write_wheel

LARGE = 1 << 20


@dataclass
class World:
    """A clone with a base image in it, wheels, and a registry that notes what it is asked."""

    repository: Repository
    server: RegistryServer | None
    large: str

    def declare(self, name: str, *pip: str, manager: str = "ours") -> None:
        root = self.repository.root
        address = f"{self.server.address}/team" if self.server else ".reconciler/registry"
        (root / "reconciler.yaml").write_text(f"registry: {address}\nmanager: {manager}\n")
        (root / "environments").mkdir(exist_ok=True)
        (root / "environments" / f"{name}.yaml").write_text(
            f"name: {name}\ndocker: {{base_image: 'oci:bases/small'}}\n"
            f"python: {{bytecode: false, pip: [{', '.join(pip)}]}}\n"
        )
        self.repository.commit()

    def forget(self) -> None:
        """Be another machine: nothing is cached."""
        for name in ("layers", "wheels", "cache"):
            shutil.rmtree(self.repository.root / ".reconciler" / name, ignore_errors=True)

    def fetched_large(self) -> bool:
        return (self.repository.root / ".reconciler" / "wheels" / f"{self.large}.whl").exists()

    @property
    def posted(self) -> list[str]:
        """The uploads that were begun."""
        return [one.path for one in self.server.asked if one.method == "POST"] if self.server else []


@pytest.fixture(params=["remote", "folder"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    repository = Repository(tmp_path / "clone")
    write_base(repository.root / "bases/small")
    write_wheel(repository.wheels, "pip", "25.0")
    data = "#" + os.urandom(LARGE).hex()
    large = sha256(write_wheel(repository.wheels, "large", "1", modules={"large.py": data}).read_bytes()).hexdigest()
    write_wheel(repository.wheels, "small", "1")
    if request.param == "folder":
        yield World(repository, None, large)
        return
    with serving_registry() as server:
        yield World(repository, server, large)


def test_a_layer_of_another_environment_is_taken_over_without_its_wheel(world: World) -> None:
    world.declare("first", "large")
    world.repository("apply")
    assert world.fetched_large()
    world.forget()
    world.declare("second", "large", "small")
    world.repository("apply")
    assert not world.fetched_large()
    mounted = [path for path in world.posted if "/team/second/" in path and "from=team%2Ffirst" in path]
    assert bool(mounted) == (world.server is not None)


@pytest.mark.threat("T8")
def test_a_layer_of_another_manager_is_not_taken(world: World) -> None:
    world.declare("first", "large", manager="theirs")
    world.repository("apply")
    world.forget()
    world.declare("second", "large", "small")
    world.repository("apply", "second")
    assert world.fetched_large()


@pytest.mark.threat("F11")
def test_a_layer_that_is_gone_from_the_record_is_made_again(world: World) -> None:
    world.declare("first", "large")
    world.repository("apply")
    world.forget()
    if world.server is not None:
        for one in world.server.store.repositories.values():
            for digest in [digest for digest, data in one.blobs.items() if len(data) > LARGE]:
                del one.blobs[digest]
    else:
        for path in (world.repository.root / ".reconciler/registry/first/blobs/sha256").iterdir():
            if path.stat().st_size > LARGE:
                path.write_bytes(bytes(path.stat().st_size))  # in every name that it has
    world.declare("second", "large", "small")
    world.repository("apply", "second")
    assert world.fetched_large()
    world.repository("doctor", "second", expect=None if world.server else 0)


def test_what_a_run_pushed_for_one_environment_is_mounted_for_the_next(world: World) -> None:
    world.declare("first", "large")
    world.repository("lock")
    world.declare("second", "large", "small")
    world.repository("apply")
    pairs = {("/team/second/", "from=team%2Ffirst"), ("/team/first/", "from=team%2Fsecond")}
    mounted = [path for path in world.posted for to, source in pairs if to in path and source in path]
    assert bool(mounted) == (world.server is not None)


def test_a_folder_holds_no_second_copy_of_what_the_cache_holds(world: World) -> None:
    world.declare("first", "large")
    world.repository("apply")
    names = {path.stat().st_nlink for path in (world.repository.root / ".reconciler/layers").glob("*.tar.gz")}
    assert names == ({1} if world.server else {3})  # the cache's, the shared store's, the repository's


@pytest.mark.threat("F11")
def test_a_layer_that_was_damaged_in_the_cache_is_made_again_at_once(world: World) -> None:
    world.declare("first", "large")
    world.repository("apply")
    for path in (world.repository.root / ".reconciler/layers").glob("*.tar.gz"):
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)  # in every name that it has
    shutil.rmtree(world.repository.root / ".reconciler/registry", ignore_errors=True)
    if world.server is not None:
        world.server.store.repositories.clear()
    world.repository("apply")
    world.repository("doctor")
