"""Archives that other tools wrote are bases: skopeo's, and those of a Docker Engine, whose image then runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Protocol

import pytest

from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.image import ImageConfig, to_image
from reconciler.oci.manifest import parse_image
from reconciler.oci.tar import to_tar
from reconciler.ports import BaseImage, Registry
from reconciler.registries.bases import ImageBases
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.services import EngineService

AMD64 = Platform("linux", "amd64")


class Required(Protocol):
    def program(self, name: str) -> Path: ...


def no_registry(address: str, credential: str | None) -> Registry:
    raise AssertionError(address, credential)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with an OCI layout in it: two layers, of which the upper deletes a file."""
    registry = LayoutRegistry(tmp_path, store=ContentStore(tmp_path / ".store"))
    lower = Content(media_type=media.LAYER_TAR, data=to_tar({"data/a": (0o644, b"a"), "data/b": (0o644, b"b")}))
    upper = Content(media_type=media.LAYER_TAR, data=to_tar({"data/c": (0o644, b"c")}))
    config = ImageConfig(platform=AMD64, diff_ids=(lower.digest, upper.digest), environment={"MARK": "1"})
    made = to_image(config, (lower, upper))
    for blob in made.blobs:
        registry.push_blob("image", blob)
    registry.push("image", made.manifest, tags=["v1"])
    return tmp_path


def look(repository: Path, reference: str) -> BaseImage:
    """Open a base, and read every byte of it."""
    base = ImageBases(connect=no_registry, root=repository).open(reference, AMD64)
    for layer in parse_image(base.manifest).layers:
        assert sum(map(len, base.registry.fetch_blob(base.repository, layer))) == layer.size
    return base


def diff_ids(base: BaseImage) -> list[str]:
    return list(json.loads(base.config.data)["rootfs"]["diff_ids"])


def copy(required: Required, source: str, target: str) -> None:
    command = [str(required.program("skopeo")), "--insecure-policy", "copy", "--quiet", source, target]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("form", ["oci-archive:{}:v1", "docker-archive:{}:image:v1"])
def test_what_skopeo_writes_is_a_base(required: Required, repository: Path, form: str) -> None:
    copy(required, f"oci:{repository}/image:v1", form.format(repository / "image.tar"))
    wanted = look(repository, "oci:image:v1")
    for reference in (form.format("image.tar"), f"{form.partition(':')[0]}:image.tar"):
        assert diff_ids(look(repository, reference)) == diff_ids(wanted)


def test_what_an_engine_saves_is_a_base(
    required: Required, docker_engine: EngineService, repository: Path, tmp_path: Path
) -> None:
    copy(required, f"oci:{repository}/image:v1", f"docker-archive:{repository}/image.tar:image:v1")
    config = tmp_path / "docker"
    config.mkdir()
    assert docker_engine.docker("load", "-i", str(repository / "image.tar"), config=config).returncode == 0
    saved = docker_engine.docker("save", "-o", str(repository / "saved.tar"), "image:v1", config=config)
    assert saved.returncode == 0, saved.stderr
    wanted = look(repository, "oci:image:v1")
    found = [look(repository, f"docker-archive:saved.tar{tag}") for tag in (":image:v1", "")]
    assert [diff_ids(base) for base in found] == [diff_ids(wanted)] * 2
    assert found[0].manifest.digest == found[1].manifest.digest
    (image,) = json.loads(docker_engine.docker("image", "inspect", "image:v1", config=config).stdout)
    assert Digest.parse(image["Id"]) == parse_image(found[0].manifest).config.digest
