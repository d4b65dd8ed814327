"""Layouts that someone or something damaged: never believed, never taken for empty."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import CorruptError, ReconcilerError
from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content
from reconciler.oci.image import side_entry
from reconciler.oci.manifest import Index
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore

Count = Callable[[str, int], None]
BLOBS = "blobs/sha256"


@dataclass(frozen=True)
class Site:
    """A repository with an index of one image under ``v1`` and ``current``."""

    path: Path
    registry: LayoutRegistry
    record: Content
    image: Content
    config: Content
    layer: Content

    @property
    def index(self) -> Path:
        return self.path / "index.json"

    def blob(self, content: Content) -> Path:
        return self.path / BLOBS / content.digest.hex

    def reads(self) -> list[Callable[[], object]]:
        return [
            lambda: self.registry.tags("training"),
            lambda: self.registry.fetch("training", "current"),
            lambda: self.registry.resolve("training", "current"),
        ]

    def refuses(self, *, also_writes: bool = True) -> None:
        """Check that nothing is answered and nothing written, in words that name the folder and what to do."""
        before = snapshot(self.path)
        work = self.reads()
        if also_writes:
            other = side_entry(media.LOCK, b"other")
            work += [
                lambda: self.registry.push_blob("training", other.blobs[0]),
                lambda: self.registry.push("training", self.record, tags=["current"]),
            ]
        for act in work:
            with pytest.raises(CorruptError) as caught:
                act()
            assert str(self.path) in caught.value.message
            assert caught.value.hint
            assert "\n" not in str(caught.value)
        assert self.registry.repositories() == ("training",)
        assert snapshot(self.path) == before


def snapshot(path: Path) -> dict[str, object]:
    if not path.is_dir() or path.is_symlink():
        return {"": os.lstat(path).st_ino}
    found = {str(item.relative_to(path)): item.lstat() for item in sorted(path.rglob("*"))}
    return {name: (item.st_ino, item.st_size, item.st_mtime_ns) for name, item in found.items()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    registry = LayoutRegistry(tmp_path / "registry", store=ContentStore(tmp_path / "store"))
    made = side_entry(media.LOCK, b'{"version":1}' * 5)
    for blob in made.blobs:
        registry.push_blob("training", blob)
    registry.push("training", made.manifest, tags=["v1-lock"])
    record = Index(manifests=(made.manifest.describe(platform=UNKNOWN_PLATFORM),)).to_content()
    registry.push("training", record, tags=["v1", "current"])
    path = tmp_path / "registry" / "training"
    return Site(path, registry, record, made.manifest, *made.blobs)


# -- F12: the layout's own files --------------------------------------------------------------------------------


def test_an_index_cut_at_any_byte_is_refused(site: Site, count_cases: Count) -> None:
    whole = site.index.read_bytes()
    for place in range(len(whole)):
        site.index.write_bytes(whole[:place])
        for act in site.reads():
            with pytest.raises(CorruptError, match=r"index\.json"):
                act()
    count_cases("F12", len(whole))
    assert len(whole) > 700
    site.index.write_bytes(whole)
    assert site.registry.fetch("training", "current") == site.record


def test_an_index_with_a_byte_missing_or_zeroed_is_refused_or_still_strict(site: Site, count_cases: Count) -> None:
    whole = site.index.read_bytes()
    for place in range(len(whole)):
        for damaged in (whole[:place] + whole[place + 1 :], whole[:place] + b"\0" + whole[place + 1 :]):
            site.index.write_bytes(damaged)
            try:
                tags = site.registry.tags("training")
            except CorruptError:
                continue
            # A byte of a tag or a key is another tag or key; but never nothing.
            assert tags
            for tag in set(tags) & {"v1", "current"}:
                try:
                    assert site.registry.fetch("training", tag) in (site.record, site.image)
                except CorruptError:
                    continue
    count_cases("F12", 2 * len(whole))


ENTRY: dict[str, Any] = {"mediaType": media.INDEX, "digest": "sha256:" + "0" * 64, "size": 1}
HEAD = b'{"schemaVersion":2,"manifests":'
CHANGES: list[dict[str, Any]] = [
    {"digest": None},
    {"digest": ""},
    {"digest": "sha256:"},
    {"digest": "sha256:../../../../etc/passwd"},
    {"digest": "sha256:" + "0" * 63},
    {"digest": "sha256:" + "0" * 65},
    {"digest": "sha256:" + "F" * 64},
    {"digest": "SHA256:" + "0" * 64},
    {"digest": "sha512:" + "0" * 128},
    {"digest": "md5:" + "0" * 32},
    {"digest": "sha256:" + "0" * 64 + "\n"},
    {"digest": "sha256:" + "0" * 32 + "/" + "0" * 31},
    {"digest": ["sha256:" + "0" * 64]},
    {"size": -1},
    {"size": 1.5},
    {"size": "1"},
    {"size": None},
    {"size": 1 << 70},
    {"mediaType": None},
    {"mediaType": ""},
    {"mediaType": "../x"},
    {"annotations": []},
    {"annotations": {"a": None}},
    {"platform": "linux/amd64"},
    {"Digest": "sha256:" + "1" * 64},
]


@pytest.mark.threat("F12")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\n",
        b"\0" * 512,
        b"null",
        b"true",
        b"0",
        b"[]",
        b'"x"',
        b"NaN",
        b"{}",
        b"{",
        b"<html></html>",
        b"\xef\xbb\xbf" + HEAD + b"[]}",
        (HEAD + b"[]}").decode().encode("utf-16"),
        HEAD + b"[]}{}",
        HEAD + b"[]} x",
        HEAD + b"[],}",
        HEAD + b"null}",
        HEAD + b"{}}",
        HEAD + b"[null]}",
        HEAD + b"[[]]}",
        HEAD + b"[{}]}",
        HEAD + b"NaN}",
        HEAD + b"[NaN]}",
        HEAD + b'[],"manifests":[]}',
        HEAD + b'[],"x":1e999}',
        HEAD + b"[" * 100_000,
        b'{"schemaVersion":1,"manifests":[]}',
        b'{"schemaVersion":"2","manifests":[]}',
        b'{"schemaVersion":NaN,"manifests":[]}',
        b'{"manifests":[]}',
        b'{"schemaVersion":2}',
        b'{"schemaVersion":2,"mediaType":"text/plain","manifests":[]}',
        *(json.dumps({"schemaVersion": 2, "manifests": [{**ENTRY, **change}]}).encode() for change in CHANGES),
    ],
)
def test_an_index_of_another_form_is_refused(site: Site, data: bytes) -> None:
    site.index.write_bytes(data)
    site.refuses()


@pytest.mark.threat("F12")
def test_an_index_of_a_hundred_megabytes_is_refused_unread(site: Site) -> None:
    with site.index.open("wb") as file:
        file.truncate(100 << 20)
    site.refuses()


def replace_with(kind: str, path: Path, aside: Path) -> None:
    """Put something else where a file or folder was; ``aside`` is a whole copy of it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    if kind == "file":
        path.write_bytes(b"")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(aside)
    elif kind == "dangling":
        path.symlink_to(aside / "nothing")
    elif kind == "loop":
        path.symlink_to(path.name)


@pytest.mark.threat("F12")
@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (part, kind)
        for part in ("index.json", "oci-layout", "blobs", BLOBS)
        for kind in ("gone", "file", "folder", "pipe", "link", "dangling", "loop")
        # A folder without blobs is a layout whose content is missing: another fault. An empty index.json is above.
        if (part, kind) != (BLOBS, "folder")
    ],
)
def test_a_part_that_is_gone_or_something_else_is_refused(site: Site, tmp_path: Path, part: str, kind: str) -> None:
    aside = tmp_path / "aside"
    shutil.copytree(site.path, aside)
    replace_with(kind, site.path / part, aside / part)
    site.refuses()


@pytest.mark.threat("F12")
@pytest.mark.parametrize("kind", ["file", "folder", "pipe", "link", "dangling", "loop"])
def test_a_repository_that_is_something_else_is_refused(site: Site, tmp_path: Path, kind: str) -> None:
    aside = tmp_path / "aside"
    shutil.copytree(site.path, aside)
    replace_with(kind, site.path, aside)
    site.refuses()


@pytest.mark.threat("F12")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b'{"imageLayoutVersion":"1.0.1"}',
        b'{"imageLayoutVersion":"2.0.0"}',
        b'{"imageLayoutVersion":1}',
        b'{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}',
        b'{"imageLayoutVersion":"1.0.0"',
        b"\0" * 30,
        b"x" * (5 << 20),
    ],
)
def test_a_layout_of_another_version_is_refused(site: Site, data: bytes) -> None:
    (site.path / "oci-layout").write_bytes(data)
    site.refuses()


@pytest.mark.threat("F12")
def test_a_layout_that_another_tool_wrote_is_read(site: Site) -> None:
    (site.path / "oci-layout").write_text('{\n  "imageLayoutVersion": "1.0.0"\n}\n')
    site.index.write_text(json.dumps(json.loads(site.index.read_bytes()), indent=4))
    assert site.registry.fetch("training", "current") == site.record


@pytest.mark.threat("F12")
@pytest.mark.parametrize("kind", ["file", "pipe", "dangling", "loop"])
def test_a_registry_that_is_no_folder_is_not_empty(site: Site, tmp_path: Path, kind: str) -> None:
    shutil.move(site.path.parent, tmp_path / "aside")
    site.path.parent.mkdir()
    replace_with(kind, site.path.parent, tmp_path / "aside")
    for act in (*site.reads(), site.registry.repositories):
        with pytest.raises(ReconcilerError):
            act()


def test_a_registry_behind_a_link_is_read(site: Site, tmp_path: Path) -> None:
    shutil.move(site.path.parent, tmp_path / "elsewhere")
    site.path.parent.symlink_to(tmp_path / "elsewhere")
    assert site.registry.fetch("training", "current") == site.record


# -- F11: content -----------------------------------------------------------------------------------------------


def fetches(site: Site, content: Content) -> Callable[[], object]:
    if content in (site.record, site.image):
        return lambda: site.registry.fetch("training", content.digest)
    return lambda: list(site.registry.fetch_blob("training", content.describe()))


def overwrite(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def test_a_flipped_bit_or_a_cut_is_found_on_every_read(site: Site, count_cases: Count) -> None:
    cases = 0
    for content in (site.record, site.image, site.config, site.layer):
        path, read = site.blob(content), fetches(site, content)
        for place in range(0, len(content.data), 2):
            flipped = bytes([content.data[place] ^ 1 << (place % 8)])
            for data in (content.data[:place] + flipped + content.data[place + 1 :], content.data[:place]):
                overwrite(path, data)
                with pytest.raises(CorruptError, match=content.digest.hex):
                    read()
                cases += 1
        overwrite(path, content.data)
        read()
    assert cases >= 600
    count_cases("F11", cases)


@pytest.mark.threat("F11")
@pytest.mark.parametrize("first", ["record", "image", "config", "layer"])
@pytest.mark.parametrize("second", ["record", "image", "config", "layer"])
def test_swapped_blobs_are_found(site: Site, first: str, second: str) -> None:
    if first == second:
        return
    one, two = getattr(site, first), getattr(site, second)
    overwrite(site.blob(one), two.data)
    with pytest.raises(CorruptError):
        fetches(site, one)()


@pytest.mark.threat("F11")
@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "dangling", "loop"])
@pytest.mark.parametrize("part", ["record", "image", "layer"])
def test_a_blob_that_is_no_plain_file_is_never_read(site: Site, tmp_path: Path, part: str, kind: str) -> None:
    content = getattr(site, part)
    aside = tmp_path / "aside"
    aside.write_bytes(content.data)
    replace_with(kind, site.blob(content), aside)
    with pytest.raises(ReconcilerError):
        fetches(site, content)()
    with suppress(ReconcilerError):  # it may be healed, as a file of its own
        for blob in (site.config, site.layer):
            site.registry.push_blob("training", blob)
        site.registry.push("training", site.image)
        site.registry.push("training", site.record)
        assert site.blob(content).is_file()
        assert not site.blob(content).is_symlink()
        fetches(site, content)()
    assert aside.read_bytes() == content.data


def change_entry(site: Site, tag: str, **changes: Any) -> None:  # noqa: ANN401  # any JSON may stand there
    index = json.loads(site.index.read_bytes())
    for entry in index["manifests"]:
        if entry["annotations"]["org.opencontainers.image.ref.name"] == tag:
            entry.update(changes)
    site.index.write_text(json.dumps(index))


@pytest.mark.threat("F11")
@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": 1},
        {"size": 10**9},
        {"mediaType": media.MANIFEST},
        {"mediaType": media.DOCKER_INDEX},
        {"mediaType": "text/plain"},
        {"digest": "sha256:" + "0" * 64},
    ],
)
def test_a_tag_whose_entry_does_not_agree_with_its_content_is_refused(site: Site, changes: dict[str, Any]) -> None:
    change_entry(site, "current", **changes)
    with pytest.raises(CorruptError):
        site.registry.fetch("training", "current")
    assert site.registry.fetch("training", "v1") == site.record


@pytest.mark.threat("F11")
@pytest.mark.parametrize("same", [True, False])
def test_a_tag_that_stands_twice_is_refused(site: Site, same: bool) -> None:  # noqa: FBT001  # a case
    index = json.loads(site.index.read_bytes())
    by_tag = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in index["manifests"]}
    other = by_tag["current" if same else "v1-lock"]
    index["manifests"].append({**other, "annotations": by_tag["current"]["annotations"]})
    site.index.write_text(json.dumps(index))
    site.refuses()


@pytest.mark.threat("F11")
def test_a_tag_whose_manifest_is_gone_is_corrupt_and_not_absent(site: Site) -> None:
    site.blob(site.record).unlink()
    with pytest.raises(CorruptError, match="not there"):
        site.registry.fetch("training", "current")
    assert site.registry.resolve("training", "current") == site.record.digest
    assert site.registry.resolve("training", site.record.digest) is None


@pytest.mark.threat("F11")
@pytest.mark.parametrize("part", ["record", "image", "config", "layer"])
@pytest.mark.parametrize("also_store", [True, False])
def test_pushing_again_heals_damaged_content(site: Site, part: str, also_store: bool) -> None:  # noqa: FBT001  # a case
    content = getattr(site, part)
    damaged = bytes(len(content.data))
    if also_store:
        # Both names are one file.
        site.blob(content).write_bytes(damaged)
    else:
        overwrite(site.blob(content), damaged)
    for blob in (site.config, site.layer):
        site.registry.push_blob("training", blob)
    for manifest in (site.image, site.record):
        site.registry.push("training", manifest)
    fetches(site, content)()
    assert list((site.path / BLOBS).glob(".*")) == []


@pytest.mark.threat("F11")
def test_an_entry_of_another_tool_survives_a_push(site: Site) -> None:
    index = json.loads(site.index.read_bytes())
    foreign = {**ENTRY, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}, "urls": ["x"]}
    index["manifests"].insert(0, foreign)
    site.index.write_text(json.dumps(index))
    site.registry.push("training", site.record, tags=["v2"])
    assert foreign in json.loads(site.index.read_bytes())["manifests"]
