from __future__ import annotations

import json

import pytest

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor
from reconciler.oci.image import ImageConfig, side_entry, to_image
from reconciler.oci.manifest import ImageManifest, Index, parse_image, parse_index, parse_manifest
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

ZERO = "sha256:" + "0" * 64
LINUX = Platform("linux", "amd64")


def entry(**changes: Json) -> dict[str, Json]:
    value: dict[str, Json] = {"mediaType": media.MANIFEST, "digest": ZERO, "size": 7}
    value.update(changes)
    return {name: item for name, item in value.items() if item != "ABSENT"}


def index(**changes: Json) -> Content:
    value: dict[str, Json] = {"schemaVersion": 2, "mediaType": media.INDEX, "manifests": [entry()]}
    value.update(changes)
    kept = {name: item for name, item in value.items() if item != "ABSENT"}
    return Content(media_type=media.INDEX, data=json.dumps(kept).encode())


def image(**changes: Json) -> Content:
    value: dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": media.MANIFEST,
        "config": entry(mediaType=media.CONFIG),
        "layers": [entry(mediaType=media.LAYER_TAR)],
    }
    value.update(changes)
    kept = {name: item for name, item in value.items() if item != "ABSENT"}
    return Content(media_type=media.MANIFEST, data=json.dumps(kept).encode())


def descriptor(text: str, platform: Platform | None = None) -> Descriptor:
    return Descriptor(
        media_type=media.MANIFEST,
        digest=Digest.of(text.encode()),
        size=len(text),
        platform=platform,
        annotations={"a": text} if text else {},
    )


def test_an_index_reads_back_as_it_was_written() -> None:
    written = Index(manifests=(descriptor("b", LINUX), descriptor("", UNKNOWN_PLATFORM)), annotations={"k": "é"})
    assert parse_index(written.to_content()) == written


def test_an_image_manifest_reads_back_as_it_was_written() -> None:
    written = ImageManifest(config=descriptor("c"), layers=(descriptor("x"), descriptor("y")), annotations={"k": "v"})
    assert parse_image(written.to_content()) == written


def test_a_document_without_media_type_is_what_it_was_given_as() -> None:
    assert parse_index(index(mediaType="ABSENT")).manifests[0].size == 7
    assert parse_image(image(mediaType="ABSENT")).config.size == 7


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (index(schemaVersion=1), "schemaVersion"),
        (index(schemaVersion="2"), "schemaVersion"),
        (index(schemaVersion=True), "schemaVersion"),
        (index(mediaType=media.MANIFEST), "mediaType"),
        (index(mediaType=None), "mediaType"),
        (index(manifests="ABSENT"), "manifests: missing"),
        (index(manifests={}), "manifests"),
        (index(manifests=[entry(), []]), "manifests[1]"),
        (index(manifests=[entry(), entry(), entry(digest="sha256:" + "A" * 64)]), "manifests[2].digest"),
        (index(manifests=[entry(digest="sha512:" + "0" * 128)]), "manifests[0].digest"),
        (index(manifests=[entry(digest="sha256:../../../etc/passwd")]), "manifests[0].digest"),
        (index(manifests=[entry(digest=ZERO + "\n")]), "manifests[0].digest"),
        (index(manifests=[entry(digest=7)]), "manifests[0].digest"),
        (index(manifests=[entry(size=-1)]), "manifests[0].size"),
        (index(manifests=[entry(size=True)]), "manifests[0].size"),
        (index(manifests=[entry(size="7")]), "manifests[0].size"),
        (index(manifests=[entry(size=1 << 64)]), "manifests[0].size"),
        (index(manifests=[entry(mediaType="text")]), "manifests[0].mediaType"),
        (index(manifests=[entry(mediaType="a/b\n")]), "manifests[0].mediaType"),
        (index(manifests=[entry(Digest=ZERO)]), "manifests[0]: 'Digest'"),
        (index(manifests=[entry(platform=[])]), "manifests[0].platform"),
        (index(manifests=[entry(platform={"os": "linux"})]), "manifests[0].platform.architecture"),
        (index(manifests=[entry(platform={"os": "../x", "architecture": "y"})]), "manifests[0].platform.os"),
        (index(manifests=[entry(annotations={"a": 1})]), "manifests[0].annotations.a"),
        (index(annotations={"a": None}), "annotations.a"),
        (index(annotations=None), "annotations"),
        (index(layers=[]), "layers"),
        (index(config=entry()), "config"),
        (index(Manifests=[]), "Manifests"),
        (image(manifests=[]), "manifests"),
        (image(config="ABSENT"), "config: missing"),
        (image(layers="ABSENT"), "layers: missing"),
        (image(layers=[entry(size=1 << 63)]), "layers[0].size"),
        (image(mediaType=media.INDEX), "mediaType"),
    ],
)
def test_what_is_not_strictly_a_manifest_is_refused_with_its_path(content: Content, path: str) -> None:
    read = parse_index if content.media_type == media.INDEX else parse_image
    with pytest.raises(CorruptError) as caught:
        read(content)
    assert path in caught.value.message
    assert str(content.digest) in caught.value.message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"NaN",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'{"schemaVersion":2,"schemaVersion":2}',
        b'{"schemaVersion":2,"x":NaN}',
        b'{"schemaVersion":2,"x":1e3}',
        b'{"schemaVersion":2,"x":-Infinity}',
        b'{"schemaVersion":2,"x":' + b"9" * 5000 + b"}",
        b'{"schemaVersion":2,"x":"\\ud800"}',
        b'{"x":' + b"[" * 200_000,
        "{}".encode("utf-16"),
        b"{}" + b" " * (4 << 20),
    ],
)
def test_a_document_with_more_than_one_meaning_is_refused(data: bytes) -> None:
    for media_type, read in ((media.INDEX, parse_index), (media.MANIFEST, parse_image)):
        with pytest.raises(CorruptError):
            read(Content(media_type=media_type, data=data))


@pytest.mark.parametrize(
    "more",
    [
        b'"x":1,"x":1',
        b'"manifests":[]',
        b'"x":{"a":1,"a":2}',
        b'"x":NaN',
        b'"x":Infinity',
        b'"x":1.0',
        b'"x":"\\udc00"',
        b'"\\ud800":1',
        b'"x":' + b"9" * 5000,
        b'"x":"' + b" " * (4 << 20) + b'"',
    ],
)
def test_one_ambiguous_field_spoils_a_good_document(more: bytes) -> None:
    good = index().data
    assert parse_index(Content(media_type=media.INDEX, data=good[:-1] + b',"x":1}'))
    with pytest.raises(CorruptError):
        parse_index(Content(media_type=media.INDEX, data=good[:-1] + b"," + more + b"}"))


def test_an_index_is_never_read_as_an_image_nor_an_image_as_an_index() -> None:
    with pytest.raises(CorruptError):
        parse_image(index())
    with pytest.raises(CorruptError):
        parse_index(image())
    with pytest.raises(CorruptError):
        parse_image(Content(media_type=media.MANIFEST, data=index(mediaType="ABSENT").data))


def test_bytes_are_the_manifest_that_they_say_to_be() -> None:
    assert parse_manifest(index().data).media_type == media.INDEX
    assert parse_manifest(image(mediaType="ABSENT").data).media_type == media.MANIFEST
    for data in (b"{}", b'{"mediaType":"text/plain"}', b'{"mediaType":{}}'):
        with pytest.raises(ValueError, match="mediaType"):
            parse_manifest(data)


def test_a_side_entry_is_an_image_that_nothing_runs() -> None:
    entry = side_entry(media.LOCK, b"{}")
    manifest = parse_image(entry.manifest)
    config, layer = entry.blobs
    assert [blob.digest for blob in entry.blobs] == [manifest.config.digest, manifest.layers[0].digest]
    assert manifest.config.media_type == media.CONFIG
    assert (manifest.layers[0].media_type, layer.data) == (media.LOCK, b"{}")
    assert json.loads(config.data)["rootfs"]["diff_ids"] == [str(Digest.of(b"{}"))]
    assert json.loads(config.data)["os"] == "unknown"


def test_the_form_of_images_stays_as_released() -> None:
    config = ImageConfig(
        platform=LINUX, environment={"B": "2", "A": "1"}, user="app", entrypoint=("python",), labels={"l": "v"}
    )
    made = to_image(config, (Content(media_type=media.LAYER_TAR, data=b"layer"),))
    assert made.blobs[0].data == (
        b'{"architecture":"amd64","config":{"Entrypoint":["python"],"Env":["A=1","B=2"],"Labels":{"l":"v"},'
        b'"User":"app"},"created":"1970-01-01T00:00:00Z","os":"linux","rootfs":{"diff_ids":[],"type":"layers"}}'
    )
    assert side_entry(media.LOCK, b"{}").manifest.digest.short == "79de1bdf39b5"
