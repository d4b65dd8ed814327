"""Copies that die, race, meet damage, or are large."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.errors import ConflictError, CorruptError, GuardError, RegistryError, UnavailableError
from reconciler.executors.transfers import Transfers
from reconciler.oci import media
from reconciler.oci.conversion import Family
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Blob, Content, Descriptor, Stream
from reconciler.oci.image import ImageConfig, to_image
from reconciler.oci.manifest import ImageManifest
from reconciler.plan.observed import Present
from reconciler.ports import Executor, Progress, Registry, Stage
from reconciler.reconcile.access import registered_names
from reconciler.reconcile.copying import Copied, Copying, copy
from reconciler.reconcile.ledger import read_state
from reconciler.reconcile.observe import Depth, observe
from reconciler.record import Facts, Record, components_content, to_index
from reconciler.registries.layout import LayoutRegistry
from reconciler.registries.memory import MemoryRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.names import Reference
from tests.world import ARM, LINUX, MANAGER, Killed, Mortal, Silent, World, wanted

Counter = Callable[[str, int], None]
Make = Callable[[Path], Registry]


def folder(path: Path) -> Registry:
    return LayoutRegistry(path / "registry", store=ContentStore(path / "store"))


def remote(_: Path) -> Registry:
    return MemoryRegistry(remote=True)


TARGETS = pytest.mark.parametrize("make", [folder, remote], ids=["folder", "remote"])
FAMILIES = pytest.mark.parametrize("family", [None, Family.DOCKER], ids=["as it is", "docker"])


@pytest.fixture
def source() -> Registry:
    """Two versions, the second restated: what `current` names is not what `v2` names."""
    world = World(MemoryRegistry("source"))
    for pip, description in ((["numpy"], ""), (["numpy", "scipy"], ""), (["numpy", "scipy"], "said later")):
        world.apply([wanted("training", pip, platforms=(LINUX, ARM), description=description)])
    assert world.registry.resolve("training", "v2") != world.registry.resolve("training", "current")
    return world.registry


def copied(
    source: Registry,
    target: Registry,
    reference: str = "training",
    *,
    family: Family | None = None,
    executor: Executor | None = None,
) -> Copied:
    return copy(
        Copying(
            source=source,
            target=target,
            reference=Reference.parse(reference),
            family=family,
            executor=executor,
            reporter=Silent(),
        )
    )


def whole(registry: Registry) -> Digest | None:
    """Check that what `current` names is all there and tagged; give its digest."""
    found = observe(registry, "training", depth=Depth.BLOBS)
    if not isinstance(found, Present):
        return None
    if not found.recovered:
        assert (found.missing, found.tampered) == ((), ())
    return found.digest


def content(registry: Registry) -> dict[str, Digest | None]:
    return {tag: registry.resolve("training", tag) for tag in registry.tags("training")}


@pytest.mark.threat("F1")
@TARGETS
@FAMILIES
@pytest.mark.parametrize("after", [False, True])
def test_death_at_every_write_leaves_what_one_more_copy_completes(  # noqa: PLR0913  # one argument a way to die
    source: Registry, make: Make, family: Family | None, tmp_path: Path, count_cases: Counter, *, after: bool
) -> None:
    reference = make(tmp_path / "reference")
    copied(source, reference, "training:1", family=family)
    copied(source, reference, family=family)
    step = 0
    while True:
        target = make(tmp_path / str(step))
        copied(source, target, "training:1", family=family)
        before = content(target)
        mortal = Mortal(target, dies_at=step, after=after)
        try:
            copied(source, mortal, family=family)
        except Killed:
            died = True
        else:
            died = False
        there = content(target)
        assert {tag: there[tag] for tag in before} == before
        if "current" in there:
            assert whole(target) == reference.resolve("training", "current")
        copied(source, target, family=family)
        assert content(target) == content(reference)
        assert whole(target) == reference.resolve("training", "current")
        assert read_state(target, MANAGER) == read_state(reference, MANAGER)
        again = Mortal(target)
        assert not copied(source, again, family=family).changed
        assert again.writes == 0 or not target.remote
        count_cases("F1", 1)
        if not died:
            break
        step += 1
    assert step >= 15


@pytest.mark.threat("F3")
@TARGETS
def test_copies_at_once_end_as_one(source: Registry, make: Make, tmp_path: Path) -> None:
    target, transfers = make(tmp_path), Transfers(4)
    done: list[Copied] = []
    threads = [
        threading.Thread(target=lambda: done.append(copied(source, target, executor=transfers))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert whole(target) == source.resolve("training", "current")
    assert target.resolve("training", "v2") == source.resolve("training", "v2")


def test_what_is_registered_meanwhile_is_not_gone_over(source: Registry) -> None:
    class Interrupting(Mortal):
        """Another writer moves `current` once the version has been written."""

        def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
            super().push(repository, content, tags=tags)
            if "v2" in tags:
                self.inner.push(repository, self.inner.fetch(repository, "v1"), tags=("current",))

    target = MemoryRegistry(remote=True)
    copied(source, target, "training:1")
    with pytest.raises(ConflictError, match="another writer"):
        copied(source, Interrupting(target))
    assert target.resolve("training", "current") == target.resolve("training", "v1")


@pytest.mark.threat("F11")
@TARGETS
def test_every_damaged_blob_of_the_source_is_found_before_a_tag_is_written(
    source: Registry, make: Make, tmp_path: Path, count_cases: Counter
) -> None:
    assert isinstance(source, MemoryRegistry)
    held = source.blobs["training"]
    needed = MemoryRegistry()
    copied(source, needed)
    for number, digest in enumerate(sorted(needed.blobs["training"], key=str)):
        data = held[digest]
        target = make(tmp_path / str(number))
        for damage in (data[:-1], data + b"x", bytes([data[0] ^ 1]) + data[1:], None):
            if damage is None:
                del held[digest]
            else:
                held[digest] = damage
            if source.resolve("training", "v2") == digest:
                pass  # what restates the version stands for it
            else:
                with pytest.raises(RegistryError):
                    copied(source, target)
                assert target.tags("training") == ()
            held[digest] = data
            count_cases("F11", 1)
        copied(source, target)
        assert whole(target) is not None


@pytest.mark.threat("F11")
@pytest.mark.parametrize("family", [None, Family.DOCKER])
def test_a_copy_mends_what_is_damaged_in_a_folder(source: Registry, family: Family | None, tmp_path: Path) -> None:
    target = folder(tmp_path)
    copied(source, target, family=family)
    before = content(target)
    for path in sorted((tmp_path / "registry" / "training" / "blobs" / "sha256").iterdir()):
        data = path.read_bytes()
        if data.startswith(b'{"annotations":'):
            continue  # a record: what can't be read is not known to be ours
        path.write_bytes(data[:-1])
        copied(source, target, family=family)
        assert path.read_bytes() == data
    assert content(target) == before
    assert whole(target) is not None


def test_where_current_is_damaged_nothing_stands_in_for_it(source: Registry) -> None:
    assert isinstance(source, MemoryRegistry)
    digest = source.resolve("training", "current")
    assert digest is not None
    source.blobs["training"][digest] = b"{}"
    target = Mortal(MemoryRegistry(remote=True))
    with pytest.raises(CorruptError, match="`current` of training") as caught:
        copied(source, target)
    assert "training:2" in (caught.value.hint or "")
    assert target.writes == 0
    assert copied(source, target, "training:2").changed


def test_where_there_is_no_current_the_newest_version_is_copied_and_that_is_said(source: Registry) -> None:
    source.delete("training", "current")
    target = MemoryRegistry(remote=True)
    done = copied(source, target)
    assert any("no `current`" in note for note in done.notes)
    assert target.resolve("training", "current") == source.resolve("training", "v2")


def test_a_registry_that_does_not_answer_is_not_written(source: Registry) -> None:
    class Mute(Mortal):
        def fetch(self, repository: str, reference: str | Digest) -> Content:
            raise UnavailableError(f"no answer for {repository}:{reference}")

    target = Mute(MemoryRegistry(remote=True))
    with pytest.raises(UnavailableError):
        copied(source, target)
    assert target.writes == 0


def test_another_record_under_the_number_is_refused_before_anything_is_written(source: Registry) -> None:
    world = World(MemoryRegistry(remote=True))
    world.apply([wanted("training", ["pandas"])])
    target = Mortal(world.registry)
    with pytest.raises(GuardError) as caught:
        copied(source, target, "training:1")
    assert target.writes == 0
    for registry in (source, target):
        assert str(registry.resolve("training", "v1")) in caught.value.message


def test_a_name_is_found_where_it_went_and_no_commit_is_claimed(source: Registry) -> None:
    target = MemoryRegistry(remote=True)
    copied(source, target)
    state = read_state(target, MANAGER)
    assert (state.began, state.finished) == (None, None)
    assert state.records == {"training": target.resolve("training", "current")}
    assert registered_names(target).names == ("training",)
    copied(source, target, "training:1")
    assert read_state(target, MANAGER) == state


def test_a_lost_state_is_entered_again_and_one_that_is_refused_is_a_note(source: Registry) -> None:
    class Closed(Mortal):
        def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
            if repository == "reconciler-state":
                raise RegistryError("this repository is closed")
            super().push_blob(repository, blob, mount_from=mount_from)

    target = MemoryRegistry(remote=True)
    done = copied(source, Closed(target))
    assert any("closed" in note for note in done.notes)
    assert whole(target) == source.resolve("training", "current")
    assert registered_names(target).names == ("training",)  # from what it lists
    assert copied(source, target).notes == ()
    assert read_state(target, MANAGER).records.keys() == {"training"}


# -- many and large ---------------------------------------------------------------------------------------------


@dataclass
class Kept:
    """Keeps what is reported."""

    events: list[Progress] = field(default_factory=list)

    def report(self, progress: Progress) -> None:
        self.events.append(progress)


def pieces(megabytes: int) -> Iterator[bytes]:
    for number in range(megabytes):
        yield number.to_bytes(4, "big") * (1 << 18)


def large(registry: Registry, *megabytes: int) -> None:
    """Register an environment whose layers have these sizes, streamed."""
    layers = []
    for size in megabytes:
        hashed = hashlib.sha256()
        for piece in pieces(size):
            hashed.update(piece)
        digest = Digest.parse(f"sha256:{hashed.hexdigest()}")
        layers.append(Descriptor(media_type=media.LAYER_TAR, digest=digest, size=size << 20))
        stream = Stream(descriptor=layers[-1], read=lambda size=size: pieces(size))  # type: ignore[misc]  # bound now
        registry.push_blob("training", stream)
    config = ImageConfig(platform=LINUX, diff_ids=tuple(layer.digest for layer in layers)).to_content()
    artifact = ImageManifest(config=config.describe(), layers=tuple(layers)).to_content()
    side = components_content({})
    for blob in (config, *side.blobs):
        registry.push_blob("training", blob)
    for manifest, tag in ((artifact, "build-" + "0" * 64), (side.manifest, "v1-lock")):
        registry.push("training", manifest, tags=(tag,))
    zero = Digest.of(b"")
    facts = Facts(
        name="training",
        version=1,
        request=zero,
        lock=zero,
        components={},
        builder="host",
        recipe=1,
        manager=MANAGER,
        manifest="environments/training.yaml",
    )
    entry = side.manifest.describe(platform=UNKNOWN_PLATFORM)
    record = Record(
        facts=facts,
        artifacts={LINUX: artifact.describe(platform=LINUX)},
        build_keys={LINUX: zero},
        request_entry=entry,
        lock_entry=entry,
    )
    registry.push("training", to_index(record), tags=("v1", "current"))


def test_a_large_copy_tells_how_far_it_is_and_a_small_one_does_not(source: Registry, tmp_path: Path) -> None:
    def told(origin: Registry, target: Registry) -> list[Progress]:
        kept = Kept()
        copy(Copying(source=origin, target=target, reference=Reference("training"), reporter=kept))
        return kept.events

    origin, target = folder(tmp_path / "origin"), folder(tmp_path / "target")
    large(origin, 3, 13, 7)
    events = told(origin, target)
    assert 5 <= len(events) <= 11
    assert [event.stage for event in events] == [*[Stage.PUBLISHING] * (len(events) - 1), Stage.DONE]
    assert events[-2].detail == "24 of 24 MB"
    assert told(origin, target) == []
    assert told(source, folder(tmp_path / "small")) == []


PROGRAM = """
import sys
from reconciler.cli.main import main
try:
    main(sys.argv[1:])
finally:
    lines = open("/proc/self/status").read().splitlines()
    print(next(line for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_a_large_layer_is_never_in_memory(tmp_path: Path) -> None:
    large(LayoutRegistry(tmp_path / "from", store=ContentStore(tmp_path / "from" / ".store")), 300)
    arguments = ["copy", "training", "--registry", "./from", "--to", "./to", "-C", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "4 copied (314.6 MB)" in done.stdout
    assert "training publishing: 314 of 314 MB" in done.stderr
    peak_kb = int(done.stderr.split("VmHWM:")[1].split()[0])
    assert peak_kb < 120_000


def test_what_the_target_has_elsewhere_is_not_read(source: Registry, tmp_path: Path) -> None:
    target = folder(tmp_path)
    first = copied(source, target).tally
    assert (first.copied > 0, first.mounted, first.there) == (True, 0, 0)
    other = LayoutRegistry(tmp_path / "second", store=ContentStore(tmp_path / "store"))
    second = copied(source, other).tally
    assert (second.copied, second.mounted, second.there) == (0, first.copied, 0)
    assert whole(other) == whole(target)


def test_a_layer_that_docker_has_no_type_for_is_refused_before_anything_is_written() -> None:
    source, target = MemoryRegistry(), Mortal(MemoryRegistry())
    layer = Content(media_type="application/vnd.oci.image.layer.v1.tar+zstd", data=b"x")
    artifact, side = to_image(ImageConfig(platform=LINUX), [layer]), components_content({})
    for image in (artifact, side):
        for blob in image.blobs:
            source.push_blob("training", blob)
        source.push("training", image.manifest)
    zero, entry = Digest.of(b""), side.manifest.describe(platform=UNKNOWN_PLATFORM)
    facts = Facts(
        name="training",
        version=1,
        request=zero,
        lock=zero,
        components={},
        builder="assemble",
        recipe=1,
        manager=MANAGER,
        manifest="m",
    )
    record = Record(
        facts=facts,
        artifacts={LINUX: artifact.manifest.describe(platform=LINUX)},
        build_keys={LINUX: zero},
        request_entry=entry,
        lock_entry=entry,
    )
    source.push("training", to_index(record), tags=("v1", "current"))
    with pytest.raises(RegistryError, match="zstd"):
        copied(source, target, family=Family.DOCKER)
    assert target.writes == 0
    assert copied(source, target).changed


def test_a_record_whose_entry_is_gone_is_corrupt(source: Registry) -> None:
    assert isinstance(source, MemoryRegistry)
    digest = source.resolve("training", "v2-lock")
    assert digest is not None
    del source.blobs["training"][digest]
    target = Mortal(MemoryRegistry(remote=True))
    with pytest.raises(CorruptError, match=str(digest)):
        copied(source, target)
    assert target.writes == 0
