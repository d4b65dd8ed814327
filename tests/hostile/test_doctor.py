"""Registries that someone or something damaged: doctor names the environment and what of it, and nothing else.

The registry is made once; each case damages a copy of it at one place.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import DeniedError, UnavailableError
from reconciler.executors.serial import Serial
from reconciler.oci.image import side_entry
from reconciler.oci.manifest import parse_image
from reconciler.plan.diagnosis import Diagnosis, Mark, Remark, problems
from reconciler.ports import Feature, Registry
from reconciler.reconcile.checkup import Means, check_up
from reconciler.reconcile.ledger import REPOSITORY, state_tag
from reconciler.record import parse_record, to_index
from reconciler.registries.layout import LayoutRegistry
from reconciler.registries.memory import MemoryRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from tests.world import ARM, LINUX, MANAGER, Killed, Mortal, Silent, World, wanted

Count = Callable[[str, int], None]
NAMES = ("alpha", "beta", "gamma")
"""One version; two; two for two platforms, and a change of metadata, which ``current`` alone names."""
FOREIGN = Digest.of(b"nothing of ours")


def fill(registry: Registry) -> None:
    world = World(registry)
    world.apply([wanted("alpha"), wanted("beta", ["scipy"]), wanted("gamma", ["torch"], platforms=(LINUX, ARM))])
    second = wanted("gamma", ["torch", "numpy"], platforms=(LINUX, ARM))
    world.apply([wanted("alpha"), wanted("beta", ["scipy", "numpy"]), second], commit="b" * 40)
    described = wanted("gamma", ["torch", "numpy"], platforms=(LINUX, ARM), description="words")
    world.apply([wanted("alpha"), wanted("beta", ["scipy", "numpy"]), described], commit="c" * 40)


def checked(registry: Registry, *names: str, ours: str | None = MANAGER) -> Diagnosis:
    inspected = registry.inspection() if isinstance(registry, LayoutRegistry) else None
    means = Means(
        registry=registry, executor=Serial(), reporter=Silent(), clock=lambda: 0.0, ours=ours, inspected=inspected
    )
    return check_up(means, names)


def found(diagnosis: Diagnosis) -> list[Remark]:
    return list(problems(diagnosis.groups))


def told(diagnosis: Diagnosis, *, of: str, also: Sequence[str] = ()) -> str:
    """Check that problems are of this environment alone and that each says what to do; give what is said.

    ``also`` are others that are damaged too.
    """
    remarks = found(diagnosis)
    assert {remark.subject for remark in remarks} == {of, *also}, remarks
    for remark in remarks:
        assert remark.hint, remark
        assert "\n" not in f"{remark.part}{remark.text}{remark.hint}"
    return "\n".join(f"{remark.part}: {remark.text} ({remark.hint})" for remark in remarks)


# -- what is there ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Named:
    """A manifest or a blob of an environment, and which versions reach it, or which tags name it."""

    name: str
    digest: Digest
    versions: frozenset[str]


def reached(registry: Registry, name: str) -> list[Named]:
    """List all content of an environment that its tags reach, by reading JSON alone."""
    versions: dict[Digest, set[str]] = {}
    for tag in registry.tags(name):
        top = registry.fetch(name, tag)
        value = json.loads(top.data)
        if "manifests" not in value:
            continue
        version = f"v{value['annotations']['org.opencontainers.image.version']}"
        versions.setdefault(top.digest, set()).add(tag)
        for entry in value["manifests"]:
            digest = Digest.parse(entry["digest"])
            image = json.loads(registry.fetch(name, digest).data)
            for part in (digest, *(Digest.parse(one["digest"]) for one in (image["config"], *image["layers"]))):
                versions.setdefault(part, set()).add(version)
    return [Named(name, digest, frozenset(found)) for digest, found in sorted(versions.items())]


def mentions(text: str, one: Named) -> bool:
    """Tell whether the digest, and a version that needs it, stand in what is said."""
    return one.digest.hex in text and any(re.search(rf"\b{version}\b", text) for version in one.versions)


# -- in memory, as a remote registry ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def remote() -> MemoryRegistry:
    registry = MemoryRegistry("registry.example.org/ml")
    fill(registry)  # as by one whom no guard keeps from it
    registry.remote = True
    return registry


def copied(registry: MemoryRegistry) -> MemoryRegistry:
    copy = MemoryRegistry(registry.address, remote=registry.remote)
    copy.blobs = {name: dict(blobs) for name, blobs in registry.blobs.items()}
    copy.tagged = {name: dict(tags) for name, tags in registry.tagged.items()}
    return copy


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1 << (place % 8)]) + data[place + 1 :]


def damages(data: bytes, other: bytes) -> Iterator[bytes | None]:
    """Give what may become of content: bits flipped, cut, longer, emptied, something else, gone."""
    yield from (flipped(data, len(data) * part // 5) for part in range(5))
    yield from (data[: len(data) // 2], data[:-1], data + b"x", b"", other, None)


def test_a_whole_registry_has_no_problem(remote: MemoryRegistry, count_cases: Count) -> None:
    for names in ((), *((name,) for name in NAMES)):
        for ours in (MANAGER, None, "another"):
            diagnosis = checked(remote, *names, ours=ours)
            assert found(diagnosis) == []
            assert diagnosis.count(Mark.NOTE) == 0
    count_cases("F11", 12)


def test_damaged_content_is_found_with_its_environment_and_version(remote: MemoryRegistry, count_cases: Count) -> None:
    cases = 0
    for name in NAMES:
        content = reached(remote, name)
        for one in content:
            other = next(digest for digest in remote.blobs[name] if digest != one.digest)
            for data in damages(remote.blobs[name][one.digest], remote.blobs[name][other]):
                registry = copied(remote)
                if data is None:
                    del registry.blobs[name][one.digest]
                else:
                    registry.blobs[name][one.digest] = data
                text = told(checked(registry), of=name)
                assert mentions(text, one), (one, text)
                # A server keeps what it has: only what is gone, or what nothing else is built on, can be pushed again.
                assert data is None or not re.search(r"\(`reconciler apply [^)]*`\)$", text), text
                cases += 1
    assert cases >= 400
    count_cases("F11", cases)


def test_a_tag_that_is_gone_or_moved_is_named(remote: MemoryRegistry, count_cases: Count) -> None:
    cases = 0
    for name in NAMES:
        for tag, descriptor in remote.tagged[name].items():
            others = {
                other.digest: other for other in remote.tagged[name].values() if other.digest != descriptor.digest
            }
            if (name, tag) == ("gamma", "v2"):  # a record of the same version is as good: apply itself puts it there
                del others[remote.tagged[name]["current"].digest]
            for other in (None, *others.values()):
                registry = copied(remote)
                if other is None:
                    del registry.tagged[name][tag]
                else:
                    registry.tagged[name][tag] = other
                text = told(checked(registry), of=name)
                assert re.search(rf"^(?:v\d+, |current, )*{tag}\b", text, re.MULTILINE), (tag, other, text)
                cases += 1
    assert cases >= 150
    count_cases("F11", cases)


def test_a_moved_tag_that_names_what_is_not_there_is_named(remote: MemoryRegistry, count_cases: Count) -> None:
    cases = 0
    for name in NAMES:
        for tag, descriptor in remote.tagged[name].items():
            registry = copied(remote)
            registry.tagged[name][tag] = replace(descriptor, digest=FOREIGN)
            assert tag in told(checked(registry), of=name)
            registry = copied(remote)
            registry.tagged[name][tag] = replace(descriptor, size=descriptor.size + 1)
            assert tag in told(checked(registry), of=name)
            cases += 2
    count_cases("F11", cases)


@pytest.mark.parametrize("kind", ["request", "lock"])
@pytest.mark.threat("F11")
def test_whole_content_of_another_environment_is_named(remote: MemoryRegistry, kind: str) -> None:
    registry = copied(remote)
    record = parse_record(registry.fetch("alpha", "v1"))
    other = parse_record(registry.fetch("beta", "v2"))
    registry.blobs["alpha"] |= registry.blobs["beta"]
    entry = other.request_entry if kind == "request" else other.lock_entry
    swapped = replace(record, request_entry=entry) if kind == "request" else replace(record, lock_entry=entry)
    registry.push("alpha", to_index(swapped), tags=("current", "v1"))
    registry.push("alpha", registry.fetch("alpha", entry.digest), tags=(f"v1-{kind}",))
    assert f"v1: {kind}: {entry.digest}: the record holds another {kind} than it says" in told(
        checked(registry), of="alpha"
    )


def test_a_damaged_state_is_named_and_how_to_make_it_anew(remote: MemoryRegistry, count_cases: Count) -> None:
    cases = 0
    reachable = {remote.tagged[REPOSITORY][state_tag(MANAGER)].digest}
    image = parse_image(remote.fetch(REPOSITORY, state_tag(MANAGER)))
    reachable |= {image.config.digest, image.layers[0].digest}
    for digest in reachable:
        for data in damages(remote.blobs[REPOSITORY][digest], b"{}"):
            registry = copied(remote)
            if data is None:
                del registry.blobs[REPOSITORY][digest]
            else:
                registry.blobs[REPOSITORY][digest] = data
            text = told(checked(registry), of=REPOSITORY)
            assert state_tag(MANAGER) in text
            assert "loses nothing" in text
            cases += 1
    count_cases("F11", cases)


@pytest.mark.threat("F11")
def test_what_the_state_names_and_is_not_there_is_named(remote: MemoryRegistry) -> None:
    for name in NAMES:
        registry = copied(remote)
        del registry.blobs[name], registry.tagged[name]
        assert "nothing is left" in told(checked(registry), of=name)


@pytest.mark.threat("F11")
def test_without_a_state_the_contents_are_read_all_the_same(remote: MemoryRegistry) -> None:
    for name in NAMES:
        registry = copied(remote)
        del registry.blobs[REPOSITORY], registry.tagged[REPOSITORY]
        assert found(checked(registry)) == []
        digest = registry.tagged[name]["v1-lock"].digest
        registry.blobs[name][digest] = b"{}"
        assert digest.hex in told(checked(registry), of=name)


@pytest.mark.threat("F11")
def test_another_tools_images_under_the_same_prefix_are_let_alone(remote: MemoryRegistry) -> None:
    registry = copied(remote)
    image = side_entry("application/x", b"not of ours")
    for blob in image.blobs:
        registry.push_blob("webapp", blob)
    registry.push("webapp", image.manifest, tags=("v1", "latest"))
    diagnosis = checked(registry)
    assert (found(diagnosis), diagnosis.count(Mark.NOTE)) == ([], 1)


# -- answers and rights -----------------------------------------------------------------------------------------


class Closed(MemoryRegistry):
    """A registry that refuses what it is told to refuse."""

    def __init__(self, of: MemoryRegistry, *, tags: Exception | None = None, push: bool = True) -> None:
        super().__init__(of.address, remote=True)
        self.blobs, self.tagged = of.blobs, of.tagged
        self.refuse_tags, self.push_allowed = tags, push

    def tags(self, repository: str) -> tuple[str, ...]:
        if self.refuse_tags is not None and repository == REPOSITORY:
            raise self.refuse_tags
        return super().tags(repository)

    def features(self, repository: str) -> tuple[Feature, ...]:
        others = [one for one in super().features(repository) if one.name != "push"]
        return (Feature(name="push", supported=self.push_allowed, hint="docker login registry.example.org"), *others)


def test_a_registry_that_does_not_answer_is_one_problem(remote: MemoryRegistry) -> None:
    diagnosis = checked(Closed(remote, tags=UnavailableError("no answer")))
    assert isinstance(diagnosis.ended_by, UnavailableError)
    assert [remark.text for remark in found(diagnosis)] == ["no answer"]


def test_who_may_neither_read_nor_push_is_told_so_and_no_more(remote: MemoryRegistry) -> None:
    diagnosis = checked(Closed(remote, tags=DeniedError("401"), push=False))
    assert isinstance(diagnosis.ended_by, DeniedError)
    assert len(found(diagnosis)) == 1


def test_a_registry_that_denies_what_is_not_there_yet_is_in_order(remote: MemoryRegistry) -> None:
    """Some answer 401 for a repository that does not exist; the right to push tells that apart."""
    assert remote.tagged
    diagnosis = checked(Closed(MemoryRegistry("registry.example.org/new"), tags=DeniedError("401")))
    assert diagnosis.ended_by is None
    assert found(diagnosis) == []


def test_who_may_only_read_is_told_how_to_log_in_and_all_is_read(remote: MemoryRegistry) -> None:
    diagnosis = checked(Closed(remote, push=False))
    assert [(remark.subject, remark.hint) for remark in found(diagnosis)] == [
        ("push", "docker login registry.example.org")
    ]
    assert diagnosis.groups[-1].remarks[0].text.startswith("3 whole of 3")


# -- a death in every step is no problem ------------------------------------------------------------------------


def test_an_apply_that_was_cut_off_anywhere_leaves_notes_alone(count_cases: Count) -> None:
    cases = 0
    for after in (False, True):
        for step in range(200):
            registry = MemoryRegistry("registry.example.org/ml")
            World(registry).apply([wanted("alpha")])
            mortal = Mortal(registry, dies_at=step, after=after)
            desired = [wanted("alpha", ["scipy"]), wanted("beta")]
            try:
                World(mortal).apply(desired, commit="b" * 40)
            except Killed:
                assert found(checked(registry)) == []
                cases += 1
                World(registry).apply(desired, commit="b" * 40)
                diagnosis = checked(registry)
                assert (found(diagnosis), diagnosis.count(Mark.NOTE)) == ([], 0)
                continue
            break
    assert cases >= 40
    count_cases("F1", cases)


# -- a folder ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A registry in a folder; what a case damages is put back after it."""

    root: Path

    @property
    def registry(self) -> LayoutRegistry:
        return LayoutRegistry(self.root / "registry", store=ContentStore(self.root / "store"))

    def blob(self, name: str, digest: Digest) -> Path:
        return self.root / "registry" / name / "blobs" / "sha256" / digest.hex

    @contextmanager
    def kept(self, path: Path) -> Iterator[bytes]:
        """Put a file back as it was; one that is linked twice stays so."""
        aside = self.root / "aside"
        data = path.read_bytes()
        aside.hardlink_to(path)
        yield data
        remove(path)
        aside.write_bytes(data)
        aside.rename(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site"))
    fill(made.registry)
    return made


def test_a_whole_folder_has_no_problem(site: Site) -> None:
    assert found(checked(site.registry)) == []


def test_damaged_files_are_found_with_what_mends_them(site: Site, count_cases: Count) -> None:
    cases = 0
    for name in NAMES:
        for one in reached(site.registry, name):
            path = site.blob(name, one.digest)
            with site.kept(path) as data:  # of every name that the file has
                path.write_bytes(flipped(data, len(data) // 2))
                sharing = [other for other in NAMES if site.blob(other, one.digest).exists()]
                assert mentions(told(checked(site.registry), of=name, also=sharing), one)
            cases += 1
            for kind in ("gone", "flipped", "cut", "link", "folder"):
                with site.kept(path) as data:
                    path.unlink()
                    if kind == "flipped":
                        path.write_bytes(flipped(data, len(data) // 2))
                    elif kind == "cut":
                        path.write_bytes(data[: len(data) // 2])
                    elif kind == "link":
                        path.symlink_to(site.root / "aside")
                    elif kind == "folder":
                        path.mkdir()
                    text = told(checked(site.registry), of=name)
                    assert mentions(text, one), (one, text)
                    assert kind in {"gone", "flipped", "cut"} or f"remove {path}" in text, text
                cases += 1
    assert found(checked(site.registry)) == []
    count_cases("F11", cases)


def entries_of(index: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = index["manifests"]
    return found


CHANGES: tuple[Callable[[dict[str, Any]], object], ...] = (
    lambda index: entries_of(index).append(entries_of(index)[0]),
    lambda index: entries_of(index)[0].update(digest="sha256:../../../../etc/passwd"),
    lambda index: entries_of(index)[0].update(digest="sha256:" + "F" * 64),
    lambda index: entries_of(index)[0].update(digest="sha512:" + "0" * 128),
    lambda index: entries_of(index)[0].update(digest="md5:" + "0" * 32),
    lambda index: entries_of(index)[0].update(size=-1),
    lambda index: entries_of(index)[0].update(mediaType=None),
    lambda index: index.pop("manifests"),
    lambda index: index.update(schemaVersion=1),
)


def test_an_index_that_can_not_be_believed_is_named_with_its_environment(site: Site, count_cases: Count) -> None:
    for name in NAMES:
        path = site.root / "registry" / name / "index.json"
        for change in CHANGES:
            with site.kept(path) as data:
                index = json.loads(data)
                change(index)
                path.unlink()
                path.write_text(json.dumps(index))
                assert str(path) in told(checked(site.registry), of=name)
        for part in ("index.json", "oci-layout"):
            file = path.parent / part
            with site.kept(file) as data:
                file.unlink()
                for other in (None, b"", data[:-1]):
                    if other is not None:
                        file.write_bytes(other)
                    assert str(file) in told(checked(site.registry), of=name)
    count_cases("F11", len(NAMES) * len(CHANGES))
    count_cases("F12", len(NAMES) * 6)


@pytest.mark.threat("F11")
def test_what_nothing_names_is_told_apart_whole_or_not(site: Site) -> None:
    folder, data = site.blob("alpha", FOREIGN).parent, b"nothing of ours"
    before = checked(site.registry)
    files = {folder / FOREIGN.hex: data, folder / ".tmp-1": b"", folder / "README": b"", folder.parents[1] / "x": b""}
    for path, content in files.items():
        path.write_bytes(content)
    after = checked(site.registry)
    assert found(after) == []
    notes = [
        remark.part for group in after.groups for remark in group.remarks if remark.mark is Mark.NOTE and remark.part
    ]
    assert sorted(notes) == sorted(str(path) for path in files if path.name != FOREIGN.hex)
    assert after.count(Mark.NOTE) == before.count(Mark.NOTE) + 3
    (folder / FOREIGN.hex).write_bytes(b"other")
    assert f"remove {folder / FOREIGN.hex}; nothing needs it" in told(checked(site.registry), of="alpha")
    for path in files:
        path.unlink()


@pytest.mark.threat("F11")
def test_damage_in_the_store_alone_is_named_once(site: Site) -> None:
    path = site.root / "store" / "sha256" / reached(site.registry, "alpha")[0].digest.hex
    with site.kept(path):
        path.unlink()
        path.write_bytes(b"other")
        assert told(checked(site.registry), of="shared").count(str(path)) == 2
