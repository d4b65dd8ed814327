"""Media types of the other family: what changes, what stays, what can't be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.errors import CorruptError, RegistryError
from reconciler.oci import media
from reconciler.oci.conversion import Family, convert_image, convert_index
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor
from reconciler.oci.image import ImageConfig, side_entry, to_image
from reconciler.oci.manifest import ImageManifest, Index, parse_image, parse_index
from reconciler.record import blob_of
from reconciler.values.canonical import to_canonical
from reconciler.values.digest import Digest
from tests.world import LINUX

DOCKER, OCI = Family.DOCKER, Family.OCI


def blob(media_type: str, text: str = "x") -> Content:
    return Content(media_type=media_type, data=text.encode())


def image(*layers: str, **annotations: str) -> Content:
    contents = [blob(layer, str(place)) for place, layer in enumerate(layers)]
    return to_image(ImageConfig(platform=LINUX), contents, annotations).manifest


def test_an_image_becomes_a_manifest_of_schema_2_with_the_same_blobs() -> None:
    before = image(media.LAYER_TAR, media.LAYER_TAR_GZIP, fact="kept")
    after = convert_image(before, DOCKER)
    assert after.media_type == json.loads(after.data)["mediaType"] == media.DOCKER_MANIFEST
    read, was = parse_image(after), parse_image(before)
    assert [item.digest for item in (read.config, *read.layers)] == [item.digest for item in (was.config, *was.layers)]
    assert [item.size for item in (read.config, *read.layers)] == [item.size for item in (was.config, *was.layers)]
    assert read.config.media_type == "application/vnd.docker.container.image.v1+json"
    assert [layer.media_type for layer in read.layers] == [
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ]
    assert read.annotations == {"fact": "kept"}


@pytest.mark.parametrize("kind", [media.REQUEST, media.LOCK])
def test_a_side_entry_has_a_layer_that_any_reader_takes_and_ours_knows(kind: str) -> None:
    before = side_entry(kind, b"{}").manifest
    after = convert_image(before, DOCKER)
    (layer,) = parse_image(after).layers
    assert layer.media_type == "application/vnd.docker.image.rootfs.diff.tar"
    assert layer.digest == Digest.of(b"{}")
    assert blob_of(after) == replace(blob_of(before), annotations=layer.annotations)
    assert convert_image(after, OCI) == before


@pytest.mark.parametrize("meant", ["text/plain", media.CONFIG, ""])
def test_what_a_layer_is_meant_to_be_is_one_of_ours_or_not_believed(meant: str) -> None:
    config = Descriptor(media_type=media.DOCKER_CONFIG, digest=Digest.of(b"c"), size=1)
    layer = Descriptor(
        media_type=media.DOCKER_LAYER_TAR, digest=Digest.of(b"x"), size=1, annotations={media.MEANT: meant}
    )
    written = ImageManifest(config=config, layers=(layer,)).to_content()
    docker = Content(
        media_type=media.DOCKER_MANIFEST,
        data=to_canonical(json.loads(written.data) | {"mediaType": media.DOCKER_MANIFEST}),
    )
    (read,) = parse_image(convert_image(docker, OCI)).layers
    assert read.media_type == media.LAYER_TAR
    with pytest.raises(CorruptError):
        blob_of(docker)


def test_an_index_becomes_a_list_whose_entries_keep_platform_and_annotations() -> None:
    made, side = image(media.LAYER_TAR), side_entry(media.LOCK, b"{}").manifest
    before = Index(
        manifests=(
            made.describe(platform=LINUX, annotations={"key": "1"}),
            side.describe(platform=UNKNOWN_PLATFORM, annotations={"entry": "lock"}),
        ),
        annotations={"fact": "kept"},
    ).to_content()
    entries = {item.digest: convert_image(item, DOCKER) for item in (made, side)}
    after = convert_index(before, DOCKER, entries)
    read = parse_index(after)
    assert after.media_type == media.DOCKER_INDEX
    assert read.annotations == {"fact": "kept"}
    assert read.manifests == (
        entries[made.digest].describe(platform=LINUX, annotations={"key": "1"}),
        entries[side.digest].describe(platform=UNKNOWN_PLATFORM, annotations={"entry": "lock"}),
    )
    back = {item.digest: convert_image(item, OCI) for item in entries.values()}
    assert convert_index(after, OCI, back) == before
    same = {item.digest: item for item in entries.values()}
    assert convert_index(after, DOCKER, same) is after


@pytest.mark.parametrize("kinds", [(), (media.LAYER_TAR,), (media.LAYER_TAR_GZIP, media.LAYER_TAR)])
def test_there_and_back_is_what_it_was_and_once_more_changes_nothing(kinds: tuple[str, ...]) -> None:
    before = image(*kinds, fact="kept")
    docker = convert_image(before, DOCKER)
    assert convert_image(docker, DOCKER) is docker
    assert convert_image(before, OCI) is before
    assert convert_image(docker, OCI) == before


def test_fields_that_we_do_not_read_stay() -> None:
    made = image(media.LAYER_TAR)
    platform = {"os": "linux", "architecture": "arm", "variant": "v7"}
    value = json.loads(Index(manifests=(made.describe(),)).to_content().data)
    value["manifests"][0]["platform"] = platform
    index = Content(media_type=media.INDEX, data=to_canonical(value))
    after = convert_index(index, DOCKER, {made.digest: convert_image(made, DOCKER)})
    assert json.loads(after.data)["manifests"][0]["platform"] == platform


FOREIGN = (
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "text/plain",
)


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_layer_without_a_counterpart_is_refused_by_its_place(kind: str) -> None:
    with pytest.raises(RegistryError, match=r"layers\[1\] is ") as caught:
        convert_image(image(media.LAYER_TAR, kind), DOCKER)
    assert kind in caught.value.message
    assert caught.value.hint
    assert convert_image(image(kind), OCI) == image(kind)


@pytest.mark.parametrize("field", ["artifactType", "subject"])
def test_a_field_whose_loss_would_mean_something_is_refused(field: str) -> None:
    value = json.loads(image(media.LAYER_TAR).data) | {field: {}}
    with pytest.raises(RegistryError, match=f"the field {field}"):
        convert_image(Content(media_type=media.MANIFEST, data=to_canonical(value)), DOCKER)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", image(media.LAYER_TAR).data[:-1]])
def test_what_is_no_manifest_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptError):
        convert_image(Content(media_type=media.MANIFEST, data=data), DOCKER)
    with pytest.raises(CorruptError):
        convert_index(Content(media_type=media.INDEX, data=data), DOCKER, {})


def test_an_image_of_ours_with_layers_of_theirs_converts() -> None:
    layer = Descriptor(media_type=media.DOCKER_LAYER_TAR_GZIP, digest=Digest.of(b"x"), size=1)
    config = Descriptor(media_type=media.CONFIG, digest=Digest.of(b"c"), size=1)
    after = convert_image(ImageManifest(config=config, layers=(layer,)).to_content(), DOCKER)
    assert parse_image(after).layers == (layer,)
