"""Real disks that refuse: full, read-only, and limits of the process."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from reconciler.errors import StoreError
from reconciler.oci import media
from reconciler.oci.descriptor import Descriptor, Stream
from reconciler.oci.image import side_entry
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest


class Required(Protocol):
    def program(self, name: str) -> Path: ...

    def refuse(self, reason: str) -> None: ...


@pytest.fixture
def small_disk(tmp_path: Path, required: Required) -> Iterator[Path]:
    """A file system of 200 kB."""
    mount, umount = required.program("mount"), required.program("umount")
    if os.geteuid() != 0:
        required.refuse("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=200k,nr_inodes=60", "tmpfs", disk], check=False)
    if done.returncode:
        required.refuse("a small disk can't be mounted here")
    yield disk
    subprocess.run([umount, disk], check=True)


def registry_in(root: Path) -> LayoutRegistry:
    return LayoutRegistry(root / "registry", store=ContentStore(root / "store"))


def push(root: Path, text: bytes, *tags: str) -> None:
    registry = registry_in(root)
    with registry.writing("training"):
        made = side_entry(media.LOCK, text)
        for blob in made.blobs:
            registry.push_blob("training", blob)
        registry.push("training", made.manifest, tags=tags)


def check_old(root: Path, said: StoreError) -> None:
    assert registry_in(root).tags("training") == ("current", "v1")
    assert registry_in(root).fetch("training", "current").data == side_entry(media.LOCK, b"old").manifest.data
    assert str(root) in said.message
    assert said.hint
    assert "\n" not in str(said)
    assert list(root.rglob(".tmp-*")) == []


@pytest.mark.threat("F15")
@pytest.mark.parametrize("free", [0, 1, 2, 3, 5, 8, 20])
def test_a_full_disk_keeps_the_old_state_until_there_is_room(small_disk: Path, free: int) -> None:
    push(small_disk, b"old", "v1", "current")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        written = 0
        try:
            while True:
                written += file.write(bytes(4096))
        except OSError:
            file.truncate(max(written - free * 4096, 0))
    with pytest.raises(StoreError, match="No space") as caught:
        push(small_disk, b"new" * 40_000, "v2", "current")
    check_old(small_disk, caught.value)
    filler.unlink()
    push(small_disk, b"new" * 20_000, "v2", "current")
    assert registry_in(small_disk).tags("training") == ("current", "v1", "v2")


@pytest.mark.threat("F15")
def test_a_disk_that_fills_up_while_a_blob_streams_keeps_nothing_of_it(small_disk: Path) -> None:
    push(small_disk, b"old", "v1", "current")
    pieces = [bytes([number]) * 50_000 for number in range(8)]
    data = b"".join(pieces)
    large = Stream(
        descriptor=Descriptor(media_type=media.LOCK, digest=Digest.of(data), size=len(data)),
        read=lambda: iter(pieces),
    )
    with pytest.raises(StoreError, match="No space") as caught:
        registry_in(small_disk).push_blob("training", large)
    check_old(small_disk, caught.value)
    assert not registry_in(small_disk).has_blob("training", large.descriptor)
    push(small_disk, b"new", "v2", "current")


@pytest.mark.threat("F15")
def test_a_disk_without_inodes_keeps_the_old_state(small_disk: Path) -> None:
    push(small_disk, b"old", "v1", "current")
    fillers = []
    try:
        for number in range(100):
            fillers.append(small_disk / f"filler-{number}")
            fillers[-1].touch()
    except OSError:
        fillers.pop()
    with pytest.raises(StoreError, match="No space") as caught:
        push(small_disk, b"new", "v2", "current")
    check_old(small_disk, caught.value)
    for filler in fillers:
        filler.unlink()
    push(small_disk, b"new", "v2", "current")


@pytest.mark.threat("F15")
def test_a_read_only_disk_is_read_and_refuses_writes(small_disk: Path) -> None:
    push(small_disk, b"old", "v1", "current")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreError, match=r"[Rr]ead-only") as caught:
        push(small_disk, b"new", "v2", "current")
    check_old(small_disk, caught.value)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    push(small_disk, b"new", "v2", "current")


@pytest.mark.threat("F15")
def test_too_few_file_handles_keep_the_old_state(tmp_path: Path) -> None:
    push(tmp_path, b"old", "v1", "current")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = os.dup(0)  # the lowest number that is free: from there on handles run out, whatever is open above it
    os.close(taken)
    refused = 0
    for spare in range(12):
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken + spare, hard))
        try:
            push(tmp_path, f"new {spare}".encode(), "v1")
        except StoreError as error:
            said: StoreError | None = error
        else:
            said = None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if said is not None:
            refused += 1
            check_old(tmp_path, said)
    assert refused
    push(tmp_path, b"new", "v2", "current")


@pytest.mark.threat("F15")
def test_a_limit_on_the_size_of_files_keeps_the_old_state(tmp_path: Path) -> None:
    push(tmp_path, b"old", "v1", "current")
    program = """
import resource, sys
from pathlib import Path
from reconciler.errors import StoreError
from reconciler.store.content import ContentStore
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    ContentStore(Path(sys.argv[1]) / "store").put(bytes(5000))
except StoreError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)
    assert "File too large" in run.stdout
    assert len(run.stdout.splitlines()) == 1
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert registry_in(tmp_path).tags("training") == ("current", "v1")
