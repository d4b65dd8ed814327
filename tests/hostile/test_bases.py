"""Bases that others made and that lie, lead out, delete or grow: refused in one line, or read as they are."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.image import ImageConfig, to_manifest
from reconciler.oci.tar import with_folders, write_tar
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from tests.base_case import AMD64, root
from tests.repository import Repository

BLOCK = 512
ROOT = b"".join(write_tar(with_folders(root())))


def archive(*members: tarfile.TarInfo, data: bytes = b"") -> bytes:
    """Write a layer as tarfile does, whatever it holds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for member in members:
            made.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member


def spoilt() -> bytes:
    """Give an archive in which a header says another checksum than it has."""
    data = bytearray(archive(entry("a")))
    data[150] ^= 1
    return bytes(data)


def write_hostile(folder: Path, layers: Sequence[tuple[bytes, bytes]]) -> None:
    """Write an image of layers, each packed and as what its diff_id says."""
    registry = LayoutRegistry(folder.parent, store=ContentStore(folder.parent / ".store"))
    blobs = [Content(media_type=media.LAYER_TAR_GZIP, data=packed) for packed, _ in layers]
    config = ImageConfig(platform=AMD64, diff_ids=tuple(Digest.of(plain) for _, plain in layers)).to_content()
    for blob in (*blobs, config):
        registry.push_blob(folder.name, blob)
    registry.push(folder.name, to_manifest(config, [blob.describe() for blob in blobs]), tags=["latest"])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "clone")
    made.release("pip", "1.0")
    made.release("thing", "1.0")
    path = made.declare("images", "thing")
    text = path.read_text().replace("enabled: false", 'base_image: "oci:bases/theirs"')
    path.write_text(text.replace("python:\n", "python:\n  bytecode: false\n"))
    return made


def on(repository: Repository, *layers: bytes | tuple[bytes, bytes]) -> None:
    """Let the environment stand on the root with these layers over it."""
    packed = [one if isinstance(one, tuple) else (gzip.compress(one, mtime=0), one) for one in (ROOT, *layers)]
    write_hostile(repository.root / "bases/theirs", packed)
    repository.commit()


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if ".git" not in path.parts}


REFUSED = {
    "leads out": (archive(entry("usr/../../../outside")), "leads out of it"),
    "leads out by a link": (archive(entry("a", tarfile.LNKTYPE, "../../outside")), "leads out of it"),
    "second name of nothing": (archive(entry("usr/bin/python3.12", tarfile.LNKTYPE, "etc/none")), "no file of it"),
    "kind that nobody knows": (archive(entry("a", b"Z")), "of a kind that is not read"),
    "checksum": (spoilt(), "a header's checksum is wrong"),
    "cut": (archive(entry("a", size=4 * BLOCK), data=b"x" * 4 * BLOCK)[: 2 * BLOCK], "ends inside a file"),
    "no archive": (b"#!/bin/sh\n" * 200, "a number in a header that is none"),
}


@pytest.mark.threat("T9")
@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_layer_that_is_wrong_is_refused_in_one_line(repository: Repository, tmp_path: Path, case: str) -> None:
    layer, said = REFUSED[case]
    on(repository, layer)
    before = files(tmp_path)
    answer = repository("apply", expect=1)
    _is_one_line(answer.out + answer.err, said)
    assert {path for path in files(tmp_path) - before if "registry/images" in path or "outside" in path} == set()


def _is_one_line(text: str, said: str) -> None:
    lines = [line for line in text.splitlines() if said in line]
    assert len(lines) == 1, text
    assert "oci:bases/theirs" in lines[0], text


@pytest.mark.threat("T9")
def test_a_layer_that_unpacks_to_very_much_is_refused(repository: Repository) -> None:
    size = 1 << 30
    member = entry("big", size=size).tobuf(tarfile.USTAR_FORMAT)
    block = gzip.compress(bytes(1 << 20), mtime=0)
    packed = gzip.compress(member, mtime=0) + block * (size >> 20) + gzip.compress(bytes(2 * BLOCK), mtime=0)
    on(repository, (packed, b""))
    answer = repository("apply", expect=1)
    _is_one_line(answer.out + answer.err, "unpack to more than")


@pytest.mark.threat("F10")
@pytest.mark.parametrize("change", ["cut", "longer", "other"])
def test_a_layer_of_other_bytes_than_its_digest_is_refused(repository: Repository, change: str) -> None:
    on(repository)
    largest = max((repository.root / "bases/theirs/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = largest.read_bytes()
    largest.unlink()
    changed = {"cut": data[:-20], "longer": data + bytes(20), "other": gzip.compress(ROOT + bytes(BLOCK))}
    largest.write_bytes(changed[change])
    repository.commit()
    answer = repository("apply", expect=1)
    assert "Traceback" not in answer.err
    assert not (repository.root / ".reconciler/registry/images").exists()


@pytest.mark.threat("T9")
def test_devices_pipes_and_loops_are_passed_over(repository: Repository) -> None:
    kinds = {"dev/null": tarfile.CHRTYPE, "dev/disk": tarfile.BLKTYPE, "run/pipe": tarfile.FIFOTYPE}
    members = [entry(name, kind) for name, kind in kinds.items()]
    loop = [entry("loop/a", tarfile.SYMTYPE, "b"), entry("loop/b", tarfile.SYMTYPE, "a")]
    outside = entry("away", tarfile.SYMTYPE, "../../../../etc")
    on(repository, archive(*members, *loop, outside))
    repository("apply")


@pytest.mark.threat("T9")
def test_an_interpreter_that_a_later_layer_deletes_is_not_found(repository: Repository) -> None:
    on(repository, archive(entry("usr/bin/.wh.python3.11"), entry("usr/bin/.wh.python3")))
    answer = repository("apply", expect=1)
    _is_one_line(answer.out + answer.err, "has no Python 3.11")


@pytest.mark.threat("T9")
def test_a_folder_that_leads_elsewhere_by_a_later_layer_is_followed(repository: Repository) -> None:
    """``/opt`` is a link of the base: nothing is laid over it, and nothing is written outside of the image."""
    on(repository, archive(entry("srv/other", tarfile.DIRTYPE), entry("opt", tarfile.SYMTYPE, "../../../srv/other")))
    repository("apply")
    names: set[str] = set()
    for path in (repository.root / ".reconciler/layers").glob("*.tar.gz"):
        with tarfile.open(path) as made:
            names |= set(made.getnames())
    assert {name for name in names if name.split("/")[0] == "opt"} == set()
    assert any(name.startswith("srv/other/venv/") for name in names)
