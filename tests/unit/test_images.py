"""Whole images: what is read, what is asked, and how many blobs move at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from reconciler.errors import UnavailableError
from reconciler.executors.transfers import Transfers
from reconciler.oci import media
from reconciler.oci.descriptor import Blob, Content, Descriptor, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.reconcile.images import copy_image, find_artifact, push_image
from reconciler.reconcile.tags import build_tag
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.digest import Digest
from tests.world import LINUX

KEY = Digest.of(b"key")


class Watched(MemoryRegistry):
    """Counts the blobs that are read, and how many are pushed at once."""

    def __init__(self, *, remote: bool) -> None:
        super().__init__(remote=remote)
        self.read: list[Digest] = []
        self.pushed: list[str | None] = []
        self.inside = self.most = 0
        self.failing: Digest | None = None
        self._counting = threading.Lock()

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        self.read.append(descriptor.digest)
        return super().fetch_blob(repository, descriptor)

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        with self._counting:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.pushed.append(mount_from)
        time.sleep(0.002)
        with self._counting:
            self.inside -= 1
        if blob.digest == self.failing:
            raise UnavailableError("no answer")
        super().push_blob(repository, blob, mount_from=mount_from)


def image(layers: int) -> Image:
    contents: Sequence[Content] = [
        Content(media_type=media.LAYER_TAR, data=f"layer {number}".encode()) for number in range(layers)
    ]
    return to_image(ImageConfig(platform=LINUX), contents)


def test_many_blobs_are_pushed_side_by_side_and_all_before_the_manifest() -> None:
    registry, made = Watched(remote=True), image(136)
    push_image(registry, "training", made, build_tag(KEY), executor=Transfers(6))
    assert 4 <= registry.most <= 6
    assert len(registry.pushed) == 137
    assert registry.fetch("training", build_tag(KEY)) == made.manifest


@pytest.mark.parametrize("executor", [None, Transfers(6)])
def test_a_side_entry_needs_no_thread(executor: Transfers | None) -> None:
    registry = Watched(remote=True)
    push_image(registry, "training", image(1), executor=executor)
    assert registry.most == 1


def test_a_blob_that_can_not_be_pushed_leaves_no_manifest() -> None:
    registry, made = Watched(remote=True), image(20)
    registry.failing = made.blobs[7].digest
    with pytest.raises(UnavailableError):
        push_image(registry, "training", made, build_tag(KEY), executor=Transfers(4))
    assert registry.tags("training") == ()
    assert registry.resolve("training", made.manifest.digest) is None


@pytest.mark.parametrize("executor", [None, Transfers(6)])
@pytest.mark.parametrize("remote", [False, True])
def test_a_remote_registry_is_asked_for_its_blobs_and_a_local_one_is_read(
    *, remote: bool, executor: Transfers | None
) -> None:
    registry, made = Watched(remote=remote), image(5)
    push_image(registry, "training", made, build_tag(KEY))
    assert find_artifact(registry, "training", KEY, executor=executor) == made.manifest
    assert set(registry.read) == (set() if remote else {blob.digest for blob in made.blobs})
    registry.blobs["training"].pop(made.blobs[3].digest)
    assert find_artifact(registry, "training", KEY, executor=executor) is None


def test_an_image_comes_from_another_repository_by_mounting() -> None:
    registry, made = Watched(remote=True), image(5)
    push_image(registry, "old", made, build_tag(KEY))
    registry.pushed.clear()
    copy_image(registry, "old", "new", made.manifest.digest, build_tag(KEY), executor=Transfers(4))
    assert registry.pushed == ["old"] * 6
    assert registry.fetch("new", build_tag(KEY)) == made.manifest
