"""Images in engines that know them by another id than the digest of their configuration."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from reconciler.clients.engine import Loaded
from reconciler.errors import BuildError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.runners.container import find, own_name, provide
from tests.world import LINUX


@dataclass
class Engine:
    """Keeps what it loads, under the id that its kind gives it."""

    by_manifest: bool
    lies: bool = False
    names: dict[str, Loaded] = field(default_factory=dict)
    loads: int = 0

    def find_image(self, name: str) -> Loaded | None:
        return self.names.get(name)

    def load(self, archive: Iterator[bytes]) -> None:
        self.loads += 1
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as opened:
            files = {member.name: opened.extractfile(member) for member in opened if member.isfile()}
            texts = {name: file.read() for name, file in files.items() if file is not None}
        (described,) = json.loads(texts["manifest.json"])
        config = texts[described["Config"]]
        layers = tuple(json.loads(config)["rootfs"]["diff_ids"])
        content = Content(media_type=media.CONFIG, data=config + (b"manifest" if self.by_manifest else b""))
        loaded = Loaded(id=str(content.digest), layers=("sha256:0",) if self.lies else layers)
        self.names |= dict.fromkeys([loaded.id, *described["RepoTags"]], loaded)

    def tag(self, image: str, name: str) -> None:
        self.names[name] = self.names[image]


def image(variable: str = "a") -> Image:
    layers = [Content(media_type=media.LAYER_TAR, data=b"layer")]
    config = ImageConfig(platform=LINUX, diff_ids=(layers[0].digest,), environment={"A": variable})
    return to_image(config, layers)


@pytest.mark.parametrize("by_manifest", [False, True])
@pytest.mark.parametrize("reference", ["", "training:v1"])
def test_an_image_is_loaded_once_whatever_its_id(reference: str, *, by_manifest: bool) -> None:
    engine = Engine(by_manifest=by_manifest)
    first = provide(engine, image(), reference)  # type: ignore[arg-type]  # it implements what is used
    assert (first == str(image().blobs[0].digest)) is not by_manifest
    assert provide(engine, image(), reference) == first == find(engine, image())  # type: ignore[arg-type]
    assert engine.loads == 1


def test_images_that_differ_in_their_configuration_alone_are_two() -> None:
    engine = Engine(by_manifest=True)
    ids = {provide(engine, image(variable), "training:v1") for variable in "ab"}  # type: ignore[arg-type]
    assert len(ids) == engine.loads == 2
    assert own_name(image("a")) != own_name(image("b"))


def test_an_engine_that_has_something_else_under_the_name_is_not_believed() -> None:
    with pytest.raises(BuildError, match="has another one under that name"):
        provide(Engine(by_manifest=True, lies=True), image(), "training:v1")  # type: ignore[arg-type]
