"""Base images in archives: what tools write is read in place, what is hostile is refused in one line."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reconciler.errors import CorruptError, ReconcilerError, ResolveError
from reconciler.oci.manifest import parse_image
from reconciler.oci.member import file_of
from reconciler.ports import BaseImage, Registry
from reconciler.registries.bases import ImageBases
from reconciler.registries.reference import Medium, parse_reference
from reconciler.store import archive as archives
from reconciler.values.digest import Digest
from tests.archive_case import (
    docker_archive,
    environment_of,
    layout_files,
    member,
    oci_archive,
    saved_files,
    tarred,
)
from tests.base_case import AMD64, root, write_base

UPPER = [file_of("etc/upper", b"upper")]
TAG = "images/base:1"


def no_registry(address: str, credential: str | None) -> Registry:
    raise AssertionError(address, credential)


class Case:
    """A repository with one image, as an archive of any form."""

    def __init__(self, path: Path) -> None:
        self.root = path / "repository"
        self.layout = path / "made/small"
        self.digest = write_base(self.layout, root(), UPPER, UPPER, environment={"MARK": "1"})
        self.bases = ImageBases(connect=no_registry, root=self.root)
        (self.root / "bases").mkdir(parents=True)

    def write(self, data: bytes) -> Path:
        path = self.root / "bases/small.tar"
        path.write_bytes(data)
        return path

    def oci(self, change: Callable[[dict[str, bytes]], object] = lambda _: None) -> None:
        files = layout_files(self.layout)
        change(files)
        self.write(oci_archive(files))

    def saved(self, *tags: str, old: bool = False, packed: bool = False) -> dict[str, bytes | str]:
        return saved_files(self.layout, self.digest, *tags, old=old, packed=packed)

    def open(self, reference: str, digest: Digest | None = None) -> BaseImage:
        return self.bases.open(reference, AMD64, digest=digest)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def read(base: BaseImage) -> list[bytes]:
    layers = parse_image(base.manifest).layers
    return [b"".join(base.registry.fetch_blob(base.repository, layer)) for layer in layers]


# -- what is right ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["", ":latest"])
def test_an_archive_of_a_layout_is_the_image_that_the_layout_is(case: Case, tag: str) -> None:
    case.oci()
    base = case.open(f"oci-archive:bases/small.tar{tag}")
    assert base.manifest.digest == case.digest
    assert case.open("oci-archive:bases/small.tar", case.digest).manifest == base.manifest
    assert environment_of(base.config) == {"MARK": "1"}
    layers = parse_image(base.manifest).layers
    assert read(base) == [(case.layout / "blobs/sha256" / layer.digest.hex).read_bytes() for layer in layers]


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("tags", "asked"),
    [((), ""), ((TAG,), f":{TAG}"), (("base:latest",), ":base"), ((f"docker.io/library/{TAG}", "b:2"), f":{TAG}")],
)
def test_what_docker_saves_is_an_image(case: Case, old: bool, packed: bool, tags: tuple[str, ...], asked: str) -> None:  # noqa: FBT001  # one case each
    case.write(docker_archive(case.saved(*tags, old=old, packed=packed)))
    base = case.open(f"docker-archive:bases/small.tar{asked}")
    plain = [data if not packed else gzip.decompress(data) for data in read(base)]
    config = json.loads(base.config.data)
    assert [str(Digest.of(data)) for data in plain] == config["rootfs"]["diff_ids"]
    assert environment_of(base.config) == {"MARK": "1"}
    assert case.open("docker-archive:bases/small.tar", base.manifest.digest).manifest == base.manifest


def test_the_manifest_of_a_saved_image_depends_on_its_content_alone(case: Case) -> None:
    found = set()
    for old in (False, True):
        files = case.saved(TAG, old=old)
        case.write(docker_archive(dict(reversed(files.items()))))
        found.add(case.open("docker-archive:bases/small.tar").manifest.data)
    assert len(found) == 1


def test_one_of_several_images_is_named_by_its_tag(case: Case) -> None:
    other = write_base(case.layout, root(), tag="other", environment={"MARK": "2"})
    case.oci()
    assert case.open("oci-archive:bases/small.tar:other").manifest.digest == other
    first, second = case.saved("a:1"), saved_files(case.layout, other, "b:1")
    listed = [json.loads(files.pop("manifest.json"))[0] for files in (first, second)]
    case.write(docker_archive({**first, **second, "manifest.json": json.dumps(listed).encode()}))
    assert environment_of(case.open("docker-archive:bases/small.tar:b:1").config) == {"MARK": "2"}
    with pytest.raises(ResolveError, match=r"several images, and no tag says which \(a:1, b:1\)"):
        case.open("docker-archive:bases/small.tar")


def test_an_archive_that_holds_nothing_else_needs_no_latest(case: Case) -> None:
    def rename(files: dict[str, bytes]) -> None:
        files["index.json"] = files["index.json"].replace(b'"latest"', b'"v7"')

    case.oci(rename)
    assert case.open("oci-archive:bases/small.tar").manifest.digest == case.digest


@pytest.mark.parametrize(
    ("text", "medium", "path", "tag"),
    [
        ("oci:a/b:1", Medium.LAYOUT, "a/b", "1"),
        ("oci:a", Medium.LAYOUT, "a", "latest"),
        ("oci-archive:a/b.tar", Medium.OCI_ARCHIVE, "a/b.tar", ""),
        ("docker-archive:b.tar:h:5000/n", Medium.DOCKER_ARCHIVE, "b.tar", "h:5000/n:latest"),
        ("h.example/a/b:1", Medium.REGISTRY, "h.example/a/b", "1"),
    ],
)
def test_a_reference_says_what_it_is_in(text: str, medium: Medium, path: str, tag: str) -> None:
    found = parse_reference(text)
    assert (found.medium, found.path, found.tag) == (medium, path, tag)


# -- what is damaged --------------------------------------------------------------------------------------------


def refused(case: Case, reference: str = "oci-archive:bases/small.tar") -> str:
    with pytest.raises(ReconcilerError) as error:
        read(case.open(reference))
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.threat("F12")
@pytest.mark.parametrize(
    ("name", "data"),
    [
        *(("index.json", data) for data in (b"", b"null", b"[]", b'{"schemaVersion": NaN}', b"{", b'{"a":1,"a":2}')),
        *(("oci-layout", data) for data in (b"", b"{}", b'{"imageLayoutVersion":"2.0.0"}')),
    ],
)
def test_a_damaged_layout_in_an_archive_is_refused(case: Case, name: str, data: bytes) -> None:
    case.oci(lambda files: files.update({name: data}))
    assert f"oci-archive:bases/small.tar: {name}: " in refused(case)


@pytest.mark.threat("F12")
@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_what_is_no_layout_is_never_an_empty_one(case: Case, name: str) -> None:
    case.oci(lambda files: files.pop(name))
    assert f"it has no {name}, and is no OCI layout" in refused(case)


@pytest.mark.threat("F11")
@pytest.mark.parametrize("which", [0, 1, 2])
def test_content_that_is_not_what_its_name_says_is_never_used(case: Case, which: int) -> None:
    def flip(files: dict[str, bytes]) -> None:
        name = sorted((name for name in files if name.startswith("blobs/")), key=lambda name: len(files[name]))[which]
        files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]

    case.oci(flip)
    assert refused(case)


@pytest.mark.threat("F10")
def test_an_archive_cut_anywhere_is_refused(case: Case, count_cases: Callable[[str, int], None]) -> None:
    case.oci()
    path = case.root / "bases/small.tar"
    data = path.read_bytes()
    end = len(data.rstrip(b"\0"))
    for size in range(0, end, 499):
        path.write_bytes(data[:size])
        assert "small.tar" in refused(case)
        count_cases("F10", 1)


@pytest.mark.threat("F11")
@pytest.mark.parametrize("change", ["layer", "config", "order", "fewer"])
def test_a_saved_image_that_is_not_what_its_configuration_says_is_refused(case: Case, change: str) -> None:
    files = case.saved()
    (listed,) = json.loads(files["manifest.json"])
    if change == "layer":
        name = listed["Layers"][0]
        found = files[name]
        assert isinstance(found, bytes)
        files[name] = b"\1" + found[1:]
    elif change == "config":
        found = files[listed["Config"]]
        assert isinstance(found, bytes)
        files[listed["Config"]] = found.replace(b"MARK", b"MASK")
    else:
        listed["Layers"] = list(reversed(listed["Layers"])) if change == "order" else listed["Layers"][:1]
        files["manifest.json"] = json.dumps([listed]).encode()
    case.write(docker_archive(files))
    assert "docker-archive:bases/small.tar: " in refused(case, "docker-archive:bases/small.tar")


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'[{"Config":1,"Layers":[]}]', b'[{"Config":"a","layers":[]}]', b'[{"Config":"a"}]']
)
def test_a_list_of_saved_images_that_is_none_is_refused(case: Case, data: bytes) -> None:
    case.write(docker_archive({**case.saved(), "manifest.json": data}))
    assert "manifest.json: " in refused(case, "docker-archive:bases/small.tar")


def test_a_layer_that_lacks_is_named(case: Case) -> None:
    files = case.saved()
    name = json.loads(files["manifest.json"])[0]["Layers"][0]
    del files[name]
    case.write(docker_archive(files))
    assert f"it has no {name}, which manifest.json names" in refused(case, "docker-archive:bases/small.tar")


# -- what is hostile --------------------------------------------------------------------------------------------


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([member("../out", b"x")], "leads out of it"),
        ([member("index.json", b"{}")], "'index.json' twice"),
        ([member("./index.json", b"{}")], "'index.json' twice"),
        ([member("a", target="/etc/passwd")], "leads out of it"),
        ([member("a/b", target="../../etc/passwd")], "leads out of it"),
        ([member("a", target="b"), member("b", target="c", kind=tarfile.LNKTYPE)], ""),
    ],
)
def test_names_and_links_of_an_archive_stay_inside(
    case: Case, more: list[tuple[tarfile.TarInfo, bytes]], said: str
) -> None:
    files = layout_files(case.layout)
    case.write(tarred([*(member(name, data) for name, data in files.items()), *more]))
    if said:
        assert said in refused(case)
    else:
        assert case.open("oci-archive:bases/small.tar").manifest.digest == case.digest


@pytest.mark.threat("T9")
def test_links_without_end_are_refused(case: Case) -> None:
    files = {name: data for name, data in layout_files(case.layout).items() if name != "index.json"}
    turning = [member("index.json", target="a"), member("a", target="index.json")]
    case.write(tarred([*(member(name, data) for name, data in files.items()), *turning]))
    assert "have no end" in refused(case)


@pytest.mark.threat("T9")
def test_a_member_larger_than_the_archive_is_refused(case: Case) -> None:
    info = tarfile.TarInfo("index.json")
    info.size = 1 << 40
    case.write(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024)
    assert "ends inside a file" in refused(case)


@pytest.mark.threat("T9")
def test_headers_without_end_are_refused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 50)
    case.write(tarred(member(f"a{number}") for number in range(60)))
    assert "more than 50 entries" in refused(case)


@pytest.mark.threat("F10")
def test_a_configuration_that_is_too_large_is_not_read(case: Case) -> None:
    files: Mapping[str, bytes | str] = {"manifest.json": b'[{"Config":"a","Layers":[]}]', "a": b" " * (5 << 20)}
    case.write(docker_archive(files))
    assert "at most" in refused(case, "docker-archive:bases/small.tar")


@pytest.mark.parametrize("magic", sorted(archives._COMPRESSED))  # noqa: SLF001  # each of them
def test_a_compressed_archive_says_how_to_unpack_it(case: Case, magic: bytes) -> None:
    case.write(magic + bytes(2000))
    name, program = archives._COMPRESSED[magic]  # noqa: SLF001  # as above
    said = refused(case)
    assert f"compressed with {name}" in said
    assert program in said


@pytest.mark.threat("T2")
@pytest.mark.parametrize("place", ["file", "folder", "outside"])
def test_no_link_leads_to_an_archive(case: Case, tmp_path: Path, place: str) -> None:
    case.oci()
    reference = "oci-archive:bases/small.tar"
    if place == "file":
        (case.root / "bases/small.tar").rename(tmp_path / "secret.tar")
        (case.root / "bases/small.tar").symlink_to(tmp_path / "secret.tar")
    elif place == "folder":
        (case.root / "bases").rename(tmp_path / "elsewhere")
        (case.root / "bases").symlink_to(tmp_path / "elsewhere")
    else:
        (case.root / "bases/small.tar").rename(tmp_path / "small.tar")
        reference = "oci-archive:../small.tar"
    said = refused(case, reference)
    assert "links are not followed" in said or "leads out of the repository" in said


def test_what_is_no_file_is_one_line(case: Case) -> None:
    os.mkfifo(case.root / "bases/pipe")
    assert "it is no file" in refused(case, "oci-archive:bases/pipe")
    assert "it is no file" in refused(case, "oci-archive:bases")
    assert "there is no such file" in refused(case, "docker-archive:bases/none.tar")
    case.oci()
    assert "oci:bases/Small: 'Small' is not a name" in refused(case, "oci:bases/Small")
    assert "it has no tag other" in refused(case, "oci-archive:bases/small.tar:other")
    assert "docker-archive:FILE" not in refused(case, "docker-archive:bases/small.tar")


def test_an_archive_that_changes_while_it_is_read_is_noticed(case: Case) -> None:
    case.oci()
    base = case.open("oci-archive:bases/small.tar")
    case.oci()
    os.utime(case.root / "bases/small.tar", ns=(1, 1))
    with pytest.raises(CorruptError, match="has changed while it was read"):
        read(base)
