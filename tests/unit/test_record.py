from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.errors import CorruptError
from reconciler.lock.model import Interpreter, Lock, Package, PlatformLock
from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content
from reconciler.oci.image import side_entry
from reconciler.oci.manifest import parse_index
from reconciler.record import (
    Facts,
    Metadata,
    Record,
    blob_of,
    components_content,
    lock_content,
    parse_components,
    parse_lock_body,
    parse_record,
    to_index,
)
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LINUX = Platform("linux", "amd64")
MAC = Platform("darwin", "arm64")


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def lock() -> Lock:
    package = Package(name="numpy", version="2.0.0", file="numpy-2.0.0-cp311.whl", size=7, sha256="0" * 64)
    interpreter = Interpreter(implementation="cpython", version="3.11", abi="cp311", provider="host")
    platform = PlatformLock(interpreter=interpreter, libc="glibc 2.28", packages=(package,))
    return Lock(inputs=digest("inputs"), platforms={LINUX: platform})


def record() -> Record:
    request = components_content({"python": {"version": "3.11"}}).manifest
    facts = Facts(
        name="training",
        version=3,
        request=digest("request"),
        lock=digest("lock"),
        components={"packages": digest("b"), "base": digest("a")},
        builder="host",
        recipe=1,
        manager="example.invalid/team//environments",
        manifest="environments/training.yaml",
        commit="1" * 40,
        dirty=True,
        base="environment:training-base",
        parent=digest("parent"),
        archived=True,
        taken_over=True,
        metadata=Metadata(
            description="Tabular é",
            tags={"team": "risk"},
            owner="me",
            protected=True,
            renamed_from="old",
            run={"checks": {"imports": ["sklearn"]}},
        ),
    )
    return Record(
        facts=facts,
        artifacts={
            MAC: Content(media_type=media.MANIFEST, data=b"mac").describe(platform=MAC),
            LINUX: Content(media_type=media.MANIFEST, data=b"linux").describe(platform=LINUX),
        },
        build_keys={LINUX: digest("k1"), MAC: digest("k2")},
        below={LINUX: digest("k0")},
        request_entry=request.describe(platform=UNKNOWN_PLATFORM),
        lock_entry=lock_content(lock()).manifest.describe(platform=UNKNOWN_PLATFORM),
    )


def test_a_record_reads_back_as_it_was_written() -> None:
    assert parse_record(to_index(record())) == record()


def test_a_record_of_the_least_reads_back_as_it_was_written() -> None:
    least = replace(
        record(),
        facts=replace(
            record().facts,
            commit=None,
            dirty=False,
            base=None,
            parent=None,
            archived=False,
            taken_over=False,
            metadata=Metadata(),
            components={},
        ),
        artifacts={},
        build_keys={},
        below={},
    )
    assert parse_record(to_index(least)) == least
    assert parse_index(to_index(least)).manifests


def test_the_order_of_platforms_and_components_does_not_change_a_record() -> None:
    other = replace(
        record(),
        artifacts=dict(sorted(record().artifacts.items())),
        facts=replace(record().facts, components=dict(sorted(record().facts.components.items()))),
    )
    assert to_index(other).data == to_index(record()).data


def test_the_form_of_a_record_stays_as_released() -> None:
    index = json.loads(to_index(record()).data)
    assert set(index) == {"schemaVersion", "mediaType", "manifests", "annotations"}
    facts = record().facts
    assert index["annotations"] == {
        "dev.reconciler.format": "1",
        "org.opencontainers.image.title": "training",
        "org.opencontainers.image.version": "3",
        "org.opencontainers.image.revision": "1" * 40,
        "org.opencontainers.image.description": "Tabular é",
        "org.opencontainers.image.base.name": "environment:training-base",
        "dev.reconciler.request": str(facts.request),
        "dev.reconciler.lock": str(facts.lock),
        "dev.reconciler.components": f'{{"base":"{digest("a")}","packages":"{digest("b")}"}}',
        "dev.reconciler.builder": "host",
        "dev.reconciler.recipe": "1",
        "dev.reconciler.manager": "example.invalid/team//environments",
        "dev.reconciler.manifest": "environments/training.yaml",
        "dev.reconciler.dirty": "true",
        "dev.reconciler.parent": str(facts.parent),
        "dev.reconciler.archived": "true",
        "dev.reconciler.taken-over": "true",
        "dev.reconciler.tags": '{"team":"risk"}',
        "dev.reconciler.owner": "me",
        "dev.reconciler.protected": "true",
        "dev.reconciler.renamed-from": "old",
        "dev.reconciler.run": '{"checks":{"imports":["sklearn"]}}',
    }
    assert [(entry["platform"]["os"], entry["annotations"]) for entry in index["manifests"]] == [
        ("darwin", {"dev.reconciler.build-key": str(digest("k2"))}),
        ("linux", {"dev.reconciler.build-key": str(digest("k1")), "dev.reconciler.below": str(digest("k0"))}),
        ("unknown", {"dev.reconciler.entry": "request"}),
        ("unknown", {"dev.reconciler.entry": "lock"}),
    ]
    assert to_index(record()).digest.short == "bbc402813b84"


def damaged(change: Callable[[dict[str, Any]], object]) -> Content:
    index = json.loads(to_index(record()).data)
    change(index)
    return Content(media_type=media.INDEX, data=json.dumps(index).encode())


def annotation(key: str, value: str | None) -> Content:
    def change(index: dict[str, Any]) -> None:
        index["annotations"].pop(key)
        if value is not None:
            index["annotations"][key] = value

    return damaged(change)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, None) for key in json.loads(to_index(record()).data)["annotations"] if key.endswith(("title", "lock"))),
        ("org.opencontainers.image.title", "../x"),
        ("org.opencontainers.image.title", "Training"),
        ("org.opencontainers.image.version", "0"),
        ("org.opencontainers.image.version", "03"),
        ("org.opencontainers.image.version", "3\n"),
        ("org.opencontainers.image.version", "-3"),
        ("org.opencontainers.image.version", "٣"),
        ("org.opencontainers.image.version", "9" * 5000),
        ("org.opencontainers.image.revision", "main"),
        ("dev.reconciler.request", "SHA256:" + "0" * 64),
        ("dev.reconciler.recipe", "1.0"),
        ("dev.reconciler.recipe", None),
        ("dev.reconciler.manager", None),
        ("dev.reconciler.dirty", "false"),
        ("dev.reconciler.archived", "yes"),
        ("dev.reconciler.tags", "[]"),
        ("dev.reconciler.tags", '{"a":1}'),
        ("dev.reconciler.tags", '{"a":"1","a":"2"}'),
        ("dev.reconciler.run", '{"a":1.5}'),
        ("dev.reconciler.run", "{"),
        ("dev.reconciler.components", '{"base":"x"}'),
        ("dev.reconciler.format", None),
        ("dev.reconciler.format", "0"),
        ("dev.reconciler.format", "one"),
    ],
)
def test_a_fact_that_does_not_hold_is_refused_with_its_path(key: str, value: str | None) -> None:
    with pytest.raises(CorruptError) as caught:
        parse_record(annotation(key, value))
    assert f"annotations.{key}" in caught.value.message


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda index: index["manifests"].pop(), "no entry for the lock"),
        (lambda index: index["manifests"].pop(2), "no entry for the request"),
        (lambda index: index["manifests"].append(index["manifests"][3]), "manifests[4]"),
        (lambda index: index["manifests"].append(index["manifests"][0]), "manifests[4].platform"),
        (lambda index: index["manifests"][0].pop("platform"), "manifests[0].platform"),
        (lambda index: index["manifests"][1].pop("annotations"), "manifests[1].annotations.dev.reconciler.build-key"),
        (lambda index: index["manifests"][3].pop("annotations"), "manifests[3].platform"),
    ],
)
def test_entries_that_are_not_those_of_a_record_are_refused(
    change: Callable[[dict[str, Any]], object], path: str
) -> None:
    with pytest.raises(CorruptError) as caught:
        parse_record(damaged(change))
    assert path in caught.value.message


def test_a_record_of_a_newer_form_asks_for_an_upgrade() -> None:
    with pytest.raises(CorruptError, match="form 2") as caught:
        parse_record(annotation("dev.reconciler.format", "2"))
    assert "upgrade" in str(caught.value)


def test_keys_and_side_entries_of_a_later_release_are_left_alone() -> None:
    def add(index: dict[str, Any]) -> None:
        index["annotations"]["dev.reconciler.later"] = "x"
        index["manifests"].append({**index["manifests"][3], "annotations": {"dev.reconciler.entry": "sbom"}})

    assert parse_record(damaged(add)) == record()


def test_bodies_read_back_as_they_were_written() -> None:
    components: dict[str, Json] = {"packages": [{"name": "numpy"}], "base": None}
    wrapped = components_content(components)
    assert blob_of(wrapped.manifest).digest == wrapped.blobs[1].digest
    assert blob_of(wrapped.manifest).media_type == media.REQUEST
    assert parse_components(wrapped.blobs[1].data) == components
    wrapped = lock_content(lock())
    assert blob_of(wrapped.manifest).media_type == media.LOCK
    assert parse_lock_body(wrapped.blobs[1].data) == lock()


@pytest.mark.parametrize("read", [parse_components, parse_lock_body])
@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version":1}', b'{"version":true}', b'{"version":1,"x":NaN}'])
def test_a_body_that_is_malformed_is_refused(read: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(CorruptError):
        read(data)


@pytest.mark.parametrize("read", [parse_components, parse_lock_body])
def test_a_body_of_a_newer_form_asks_for_an_upgrade(read: Callable[[bytes], object]) -> None:
    with pytest.raises(CorruptError, match="form 2") as caught:
        read(b'{"version":2}')
    assert "upgrade" in str(caught.value)


def test_what_is_no_side_entry_of_ours_is_refused() -> None:
    with pytest.raises(CorruptError, match="newer"):
        blob_of(side_entry("application/vnd.reconciler.lock.v2+json", b"{}").manifest)
    with pytest.raises(CorruptError, match="none of ours"):
        blob_of(side_entry(media.LAYER_TAR, b"").manifest)
    with pytest.raises(CorruptError):
        blob_of(to_index(record()))
