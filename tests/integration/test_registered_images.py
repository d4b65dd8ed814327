"""What an apply leaves in a registry, as tools that are not ours see it; a second one writes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.container_case import Registered, inspected, skopeo

MACHINES = {"amd64": 62, "arm64": 183}
FOREIGN = "/pydevd_attach_to_process/"
"""Where debugpy's wheel for every platform has libraries for some."""
both = pytest.mark.parametrize("architecture", ["amd64", "arm64"])


def _plain(data: bytes) -> bytes:
    """Decompress gzip, member by member."""
    parts = []
    while data:
        one = zlib.decompressobj(wbits=31)
        parts.append(one.decompress(data) + one.flush())
        data = one.unused_data
    return b"".join(parts)


@both
@pytest.mark.parametrize("tag", ["v1", "current", "v1-linux-{}"])
def test_skopeo_reads_every_image(required: Required, notebook: Registered, architecture: str, tag: str) -> None:
    reference = f"docker://{notebook.reference}:{tag.format(architecture)}"
    found = inspected(required.program("skopeo"), reference, architecture)
    assert (found["Os"], found["Architecture"]) == ("linux", architecture)
    assert isinstance(found["Layers"], list)
    assert len(found["Layers"]) > 10


@both
def test_every_layer_is_whole_and_holds_the_machine_code_of_its_platform(
    required: Required, notebook: Registered, architecture: str, tmp_path: Path
) -> None:
    source = f"docker://{notebook.reference}:v1-linux-{architecture}"
    copy = ("copy", "--preserve-digests", "--src-tls-verify=false", source, f"dir:{tmp_path}/copy")
    skopeo(required.program("skopeo"), f"--override-arch={architecture}", *copy)

    def file(digest: str) -> bytes:
        return (tmp_path / "copy" / digest.partition(":")[2]).read_bytes()

    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_bytes())
    diff_ids = json.loads(file(manifest["config"]["digest"]))["rootfs"]["diff_ids"]
    found: dict[str, int] = {}
    # The first layer is the base's.
    for layer, diff_id in [*zip(manifest["layers"], diff_ids, strict=True)][1:]:
        data = file(layer["digest"])
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer["digest"]
        plain = _plain(data)
        assert f"sha256:{hashlib.sha256(plain).hexdigest()}" == diff_id
        found |= dict(_programs(plain))
    assert len(found) > 100
    others = {path for path, machine in found.items() if machine != MACHINES[architecture]}
    assert {path for path in others if FOREIGN not in path} == set()


def _programs(data: bytes) -> Iterator[tuple[str, int]]:
    """Give every ELF file of a layer, with the machine that it is for."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None
            head = file.read(20) if file is not None else b""
            if head.startswith(b"\x7fELF"):
                yield member.name, int.from_bytes(head[18:20], "little")


def test_both_platforms_stand_in_one_record(required: Required, notebook: Registered) -> None:
    reference = f"docker://{notebook.reference}:current"
    index = json.loads(skopeo(required.program("skopeo"), "inspect", "--raw", "--tls-verify=false", reference))
    platforms = [entry["platform"] for entry in index["manifests"]]
    images = sorted((one["os"], one["architecture"]) for one in platforms if one["os"] != "unknown")
    assert images == [("linux", "amd64"), ("linux", "arm64")]


def test_a_registry_that_has_it_is_copied_by_skopeo_as_a_whole(
    required: Required, notebook: Registered, tmp_path: Path
) -> None:
    program, source = required.program("skopeo"), f"docker://{notebook.reference}:current"
    target = f"oci:{tmp_path}/copy:current"
    skopeo(program, "copy", "--all", "--preserve-digests", "--src-tls-verify=false", source, target)
    raw = [
        skopeo(program, "inspect", "--raw", *trust, place)
        for place, trust in ((source, ["--tls-verify=false"]), (target, []))
    ]
    assert raw[0] == raw[1]


@pytest.mark.threat("F19")
def test_a_second_apply_of_images_writes_nothing(notebook: Registered) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in notebook.service.storage.rglob("*")}

    before = files()
    assert "Nothing to do: 1 environment unchanged." in notebook.machine("apply").out
    assert files() == before
