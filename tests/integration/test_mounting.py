"""A base in the registry that environments go to: its layers are mounted, and none is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.clients.registry.session import Settings as Access
from reconciler.oci.descriptor import Stream
from reconciler.oci.manifest import parse_image
from reconciler.ports import Registry
from reconciler.reconcile.images import push_image
from reconciler.registries.bases import ImageBases
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from tests.base_case import AMD64, write_base
from tests.integration.test_assemble import World
from tests.registry_server import RegistryServer, serving_registry
from tests.remote import opened
from tests.services import RegistryService

PREFIX = "team/environments"


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with serving_registry() as found:
        yield found


def copy_base(world: World, target: Registry) -> Digest:
    """Bring a small base into a registry, as any client would."""
    digest = write_base(world.path / "bases/small", environment={"PATH": "/usr/bin:/bin"})
    source = LayoutRegistry(world.path / "bases", store=ContentStore(world.path / "bases/.store"))
    manifest = source.fetch("small", digest)
    image = parse_image(manifest)
    for blob in (image.config, *image.layers):
        data = b"".join(source.fetch_blob("small", blob))
        target.push_blob("small", type(manifest)(media_type=blob.media_type, data=data))
    target.push("small", manifest, tags=["latest"])
    return digest


def connected(address: str, credential: str | None = None) -> Registry:
    del credential
    host, _, prefix = address.partition("/")
    return opened(host, prefix)


@pytest.mark.parametrize("folder", [PREFIX, "library", "team", f"{PREFIX}/deeper"])
def test_a_base_of_the_same_registry_is_mounted_and_no_layer_is_read(
    tmp_path: Path, server: RegistryServer, folder: str
) -> None:
    world = World(tmp_path)
    world.base = copy_base(world, opened(server.address, folder))
    task = world.task([world.wheel("thing")])
    reference = f"{server.address}/{folder}/small:latest"
    assert task.lock.base is not None
    task = replace(task, lock=replace(task.lock, base=replace(task.lock.base, image=reference)))
    bases = ImageBases(connect=connected, root=world.path, target=f"{server.address}/{PREFIX}")
    layers = {str(layer.digest) for layer in parse_image(bases.open(reference, AMD64).manifest).layers}
    begun = len(server.asked)
    image = replace(world.builder(), bases=bases).build(task)
    push_image(opened(server.address, PREFIX), "thing", image)
    read = [one.path for one in server.asked[begun:] if one.method == "GET" and "/blobs/" in one.path]
    assert read == [f"/v2/{folder}/small/blobs/{parse_image(bases.open(reference, AMD64).manifest).config.digest}"]
    mounted = [one.path for one in server.asked[begun:] if "mount=" in one.path]
    assert len(mounted) == len(layers)
    pushed = opened(server.address, PREFIX)
    for stream in image.streams:
        assert pushed.has_blob("thing", stream.descriptor)


def test_the_reference_registry_mounts_from_beyond_the_prefix(
    tmp_path: Path, reference_registry: RegistryService
) -> None:
    world, prefix = World(tmp_path), reference_registry.prefix().partition("/")[2]
    access = Access(timeout_s=10.0, limit_s=20.0)
    there = opened(reference_registry.address, f"{prefix}-bases", settings=access)
    copy_base(world, there)
    image = parse_image(there.fetch("small", "latest"))

    def never() -> Iterator[bytes]:
        raise AssertionError("read")

    ours = opened(reference_registry.address, prefix, settings=access)
    for layer in image.layers:
        stream = Stream(descriptor=layer, read=never)
        ours.push_blob("thing", stream, mount_from=f"/{prefix}-bases/small")
        assert ours.has_blob("thing", layer)
