"""An engine runs what was built over a base with packages of its own: kept, replaced or not seen."""

from __future__ import annotations

import gzip
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

from reconciler.oci import media
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Content
from reconciler.oci.image import ImageConfig, to_manifest
from reconciler.oci.manifest import parse_image
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.conftest import Required
from tests.container_case import Containers, Machine, skopeo
from tests.debian import Debian
from tests.services import EngineService

SITE = "usr/local/lib/python3.11/dist-packages"
LOOK = """
import importlib.metadata, json, pydantic
found = sorted(one.version for one in importlib.metadata.distributions() if one.metadata["Name"] == "pydantic")
print(json.dumps([pydantic.VERSION, found, pydantic.__file__]))
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A clone whose base brings pydantic 1, and an engine."""

    machine: Machine
    engine: EngineService
    program: Path
    folder: Path

    def declare(self, name: str, packages: str, *pip: str) -> None:
        path = self.machine.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        python = f"{{version: '3.11', bytecode: false, base_packages: {packages}, pip: {json.dumps(pip)}}}"
        path.write_text(f"name: {name}\ndocker: {{base_image: 'oci:debian:own'}}\npython: {python}\n")
        self.machine.commit()

    def load(self, name: str) -> Containers:
        """Give an environment to the engine."""
        config = self.folder / name
        config.mkdir()
        archive, image = config / "image.tar", f"bench/{name}:v1"
        source = f"oci:{self.machine.root}/.reconciler/registry/{name}:v1-linux-amd64"
        skopeo(self.program, "copy", "--quiet", source, f"docker-archive:{archive}:{image}")
        loaded = self.engine.docker("load", "--input", str(archive), config=config)
        assert loaded.returncode == 0, loaded.stderr
        return Containers(engine=self.engine, image=image, config=config)

    def look(self, name: str) -> tuple[str, list[str], str]:
        self.machine("apply", name)
        containers = self.load(name)
        assert "No broken requirements" in containers.run("pip", "check")
        version, found, place = json.loads(containers.python(LOOK))
        return version, found, place


def lay(folder: Path, layout: Path) -> None:
    """Put what is in a folder over Debian's image, as the tag ``own``."""
    command = ["tar", "--owner=0", "--group=0", "-C", str(folder), "-c", "."]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    registry = LayoutRegistry(layout.parent, store=ContentStore(layout.parent / ".store"))
    below = registry.fetch(layout.name, "amd64")
    image = parse_image(below)
    config = b"".join(registry.fetch_blob(layout.name, image.config))
    own = parse_config(Content(media_type=media.CONFIG, data=config))
    layer = Content(media_type=media.LAYER_TAR_GZIP, data=gzip.compress(data, 1, mtime=0))
    written = ImageConfig(
        platform=Platform("linux", "amd64"),
        diff_ids=(*own.diff_ids, Digest.of(data)),
        environment=dict(own.environment),
    ).to_content()
    for blob in (layer, written):
        registry.push_blob(layout.name, blob)
    registry.push(layout.name, to_manifest(written, [*image.layers, layer.describe()]), tags=["own"])


@pytest.fixture(scope="module")
def bench(
    required: Required, debian: Debian, docker_engine: EngineService, tmp_path_factory: pytest.TempPathFactory
) -> Bench:
    required.index()
    folder = tmp_path_factory.mktemp("bench")
    machine = Machine(folder / "clone", debian)
    (machine.root / ".gitignore").write_text(".reconciler/\ndebian/\n.store/\n.locks/\n")
    command = [uv.find_uv_bin(), "pip", "install", "--no-config", "--quiet", "--target", str(folder / "layer" / SITE)]
    target = ["--python", str(required.python("3.11")), "--python-platform=x86_64-manylinux_2_36"]
    subprocess.run([*command, *target, "pydantic<2"], check=True, cwd="/")
    lay(folder / "layer", machine.root / "debian")
    return Bench(machine=machine, engine=docker_engine, program=required.program("skopeo"), folder=folder)


def test_ours_take_the_place_of_the_bases(bench: Bench) -> None:
    bench.declare("replacing", "replace", "pydantic>=2")
    version, found, place = bench.look("replacing")
    assert version.startswith("2.")
    assert found == [version]
    assert place.startswith("/opt/venv/")


def test_the_bases_are_kept_and_hold_the_solution(bench: Bench) -> None:
    bench.declare("keeping", "keep", "pydantic")
    version, found, place = bench.look("keeping")
    assert version.startswith("1.")
    assert found == [version]
    assert place.startswith(f"/{SITE}/")


def test_the_bases_are_not_seen(bench: Bench) -> None:
    bench.declare("ignoring", "ignore", "pydantic>=2")
    version, found, _ = bench.look("ignoring")
    assert version.startswith("2.")
    assert found == [version]


def test_what_contradicts_what_is_kept_names_the_base_and_what_to_write(bench: Bench) -> None:
    bench.declare("contradicting", "keep", "pydantic>=2")
    answer = bench.machine("lock", "contradicting", expect=1)
    assert "oci:debian:own brings pydantic 1." in answer.err
    assert "replace" in answer.err
    assert "ignore" in answer.err
