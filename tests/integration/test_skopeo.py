"""A tool that is not ours reads what was written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.oci.tar import to_tar
from reconciler.record import Facts, Record, components_content, parse_record, to_index
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LINUX = Platform("linux", "amd64")
ZERO = Digest.of(b"")


class Required(Protocol):
    def program(self, name: str) -> Path: ...


def skopeo(program: Path, *arguments: str) -> bytes:
    run = subprocess.run([program, *arguments], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A repository with one record: an artifact of one platform, and the side entries."""
    registry = LayoutRegistry(tmp_path / "registry", store=ContentStore(tmp_path / "store"))
    layer = Content(media_type=media.LAYER_TAR, data=to_tar({"opt/app/run": (0o755, b"#!/bin/sh\n")}))
    artifact = to_image(ImageConfig(platform=LINUX, diff_ids=(layer.digest,), environment={"A": "1"}), (layer,))
    request, lock = components_content({"python": "3.11"}), components_content({"packages": []})

    def push(made: Image, *tags: str) -> None:
        for blob in made.blobs:
            registry.push_blob("training", blob)
        registry.push("training", made.manifest, tags=tags)

    push(artifact, "build-" + "0" * 64, "v1-linux-amd64")
    push(request, "v1-request")
    push(lock, "v1-lock")
    facts = Facts(
        name="training",
        version=1,
        request=ZERO,
        lock=ZERO,
        components={"python": ZERO},
        builder="host",
        recipe=1,
        manager="test",
        manifest="environments/training.yaml",
    )
    record = Record(
        facts=facts,
        artifacts={LINUX: artifact.manifest.describe(platform=LINUX)},
        build_keys={LINUX: ZERO},
        request_entry=request.manifest.describe(platform=UNKNOWN_PLATFORM),
        lock_entry=lock.manifest.describe(platform=UNKNOWN_PLATFORM),
    )
    registry.push("training", to_index(record), tags=["v1", "current"])
    return tmp_path / "registry" / "training"


@pytest.mark.parametrize("tag", ["v1", "current"])
def test_a_record_is_read_as_it_was_written(required: Required, layout: Path, tag: str) -> None:
    raw = skopeo(required.program("skopeo"), "inspect", "--raw", f"oci:{layout}:{tag}")
    assert parse_record(Content(media_type=media.INDEX, data=raw)).facts.name == "training"


@pytest.mark.parametrize("tag", ["v1-linux-amd64", "build-" + "0" * 64])
def test_an_artifact_is_a_plain_image(required: Required, layout: Path, tag: str) -> None:
    read = json.loads(skopeo(required.program("skopeo"), "inspect", f"oci:{layout}:{tag}"))
    assert (read["Os"], read["Architecture"], read["Env"]) == ("linux", "amd64", ["A=1"])
    assert read["Created"] == "1970-01-01T00:00:00Z"


def test_a_record_stands_for_its_image_on_that_platform(required: Required, layout: Path) -> None:
    program = required.program("skopeo")
    read = json.loads(
        skopeo(program, "--override-os", "linux", "--override-arch", "amd64", "inspect", f"oci:{layout}:current")
    )
    assert read["Architecture"] == "amd64"


@pytest.mark.parametrize("tag", ["v1-lock", "v1-request"])
def test_a_side_entry_is_read(required: Required, layout: Path, tag: str) -> None:
    read = json.loads(skopeo(required.program("skopeo"), "inspect", f"oci:{layout}:{tag}"))
    assert read["Os"] == "unknown"


@pytest.mark.parametrize("tag", ["v1", "v1-linux-amd64", "v1-lock"])
def test_a_copy_of_everything_under_a_tag_is_read_back_by_us(
    required: Required, layout: Path, tmp_path: Path, tag: str
) -> None:
    copies = tmp_path / "copies" / "training"
    copies.parent.mkdir()
    skopeo(
        required.program("skopeo"), "copy", "--all", "--preserve-digests", f"oci:{layout}:{tag}", f"oci:{copies}:{tag}"
    )
    ours = LayoutRegistry(layout.parent, store=ContentStore(tmp_path / "store"))
    theirs = LayoutRegistry(copies.parent, store=ContentStore(tmp_path / "other"))
    assert theirs.fetch("training", tag) == ours.fetch("training", tag)
