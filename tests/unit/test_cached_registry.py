"""The cache in front of a remote registry: what it spares, and what it must never answer."""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Image
from reconciler.oci.image import side_entry
from reconciler.registries.cached import MAX_BLOB, CachedRegistry
from reconciler.store.cache import Cache
from reconciler.values.canonical import Json
from tests.asked import Asked


def image(text: str) -> Image:
    return side_entry(media.LOCK, text.encode())


@pytest.fixture
def inner() -> Asked:
    return Asked()


def opened(inner: Asked, path: Path) -> CachedRegistry:
    return CachedRegistry(inner, Cache(path / "manifests"), blobs=Cache(path / "blobs"))


def push(inner: Asked, made: Image, *tags: str) -> Content:
    for blob in made.blobs:
        inner.push_blob("training", blob)
    inner.push("training", made.manifest, tags=tags)
    inner.since()
    return made.manifest


def test_a_tag_that_names_what_is_known_costs_one_question_and_another_run_knows_it(
    inner: Asked, tmp_path: Path
) -> None:
    manifest = push(inner, image("a"), "current")
    first = opened(inner, tmp_path)
    assert first.fetch("training", "current") == manifest
    assert inner.since() == {"fetch": 1}
    first.flush()
    for registry in (first, opened(inner, tmp_path)):
        assert registry.fetch("training", "current") == manifest
        assert inner.since() == {"resolve": 1}
        assert registry.fetch("training", manifest.digest) == manifest
        assert inner.since() == Counter()


def test_what_waits_is_written_when_the_registry_is_let_go(inner: Asked, tmp_path: Path) -> None:
    manifest = push(inner, image("a"), "current")
    opened(inner, tmp_path).fetch("training", "current")
    inner.since()
    assert opened(inner, tmp_path).fetch("training", manifest.digest) == manifest
    assert inner.since() == Counter()


def test_a_tag_that_moved_names_what_it_names_now(inner: Asked, tmp_path: Path) -> None:
    registry = opened(inner, tmp_path)
    before = push(inner, image("a"), "current")
    assert registry.fetch("training", "current") == before
    after = push(inner, image("b"), "current")
    assert registry.fetch("training", "current") == after
    assert inner.since() == {"resolve": 1, "fetch": 1}
    push(inner, image("a"), "current")
    assert registry.fetch("training", "current") == before


def test_whether_something_is_there_is_never_answered_from_the_cache(inner: Asked, tmp_path: Path) -> None:
    made = image("a")
    manifest = push(inner, made, "current", "v1")
    registry = opened(inner, tmp_path)
    registry.fetch("training", "current")
    blob = made.blobs[1].describe()
    list(registry.fetch_blob("training", blob))
    inner.blobs["training"].clear()
    inner.tagged["training"].clear()
    assert registry.resolve("training", "current") is None
    assert registry.resolve("training", manifest.digest) is None
    assert not registry.has_blob("training", blob)
    with pytest.raises(NotFoundError):
        registry.fetch("training", "current")


def test_the_fresh_registry_sees_what_is_gone_and_what_is_damaged(inner: Asked, tmp_path: Path) -> None:
    made = image("a")
    manifest, blob = push(inner, made, "current"), made.blobs[1].describe()
    registry = opened(inner, tmp_path)
    registry.fetch("training", "current")
    list(registry.fetch_blob("training", blob))
    stored = inner.blobs["training"]
    stored[manifest.digest] = b"x" + stored[manifest.digest][1:]
    stored[blob.digest] = b"x" + stored[blob.digest][1:]
    assert registry.fetch("training", manifest.digest) == manifest
    for work in (
        lambda: registry.fresh.fetch("training", "current"),
        lambda: registry.fresh.fetch("training", manifest.digest),
        lambda: list(registry.fresh.fetch_blob("training", blob)),
    ):
        with pytest.raises(CorruptError):
            work()
    del stored[manifest.digest], stored[blob.digest]
    with pytest.raises(NotFoundError):
        registry.fresh.fetch("training", manifest.digest)
    with pytest.raises(NotFoundError):
        list(registry.fresh.fetch_blob("training", blob))


def test_what_the_fresh_registry_reads_is_known_afterwards(inner: Asked, tmp_path: Path) -> None:
    made = image("a")
    manifest, blob = push(inner, made, "current"), made.blobs[1]
    registry = opened(inner, tmp_path)
    registry.fresh.fetch("training", "current")
    list(registry.fresh.fetch_blob("training", blob.describe()))
    inner.since()
    assert registry.fetch("training", manifest.digest) == manifest
    assert b"".join(registry.fetch_blob("training", blob.describe())) == blob.data
    assert inner.since() == Counter()


def test_what_is_deleted_is_forgotten(inner: Asked, tmp_path: Path) -> None:
    manifest = push(inner, image("a"), "current")
    registry = opened(inner, tmp_path)
    registry.fetch("training", "current")
    registry.delete("training", manifest.digest)
    with pytest.raises(NotFoundError):
        registry.fetch("training", manifest.digest)
    with pytest.raises(NotFoundError):
        registry.fetch("training", "current")


def test_what_is_large_is_not_kept(inner: Asked, tmp_path: Path) -> None:
    blob = Content(media_type=media.LOCK, data=b"x" * (MAX_BLOB + 1))
    inner.push_blob("training", blob)
    inner.since()
    registry = opened(inner, tmp_path)
    for _ in range(2):
        assert b"".join(registry.fetch_blob("training", blob.describe())) == blob.data
        assert inner.since() == {"fetch_blob": 1}


def test_repositories_and_registries_are_kept_apart(inner: Asked, tmp_path: Path) -> None:
    manifest = push(inner, image("a"), "current")
    registry = opened(inner, tmp_path)
    registry.fetch("training", "current")
    registry.flush()
    with pytest.raises(NotFoundError):
        registry.fetch("another", manifest.digest)
    other = Asked()
    other.address = "registry.example.com/other"
    with pytest.raises(NotFoundError):
        opened(other, tmp_path).fetch("training", manifest.digest)


@pytest.mark.threat("F11")
def test_a_damaged_cache_costs_a_request_and_nothing_else(
    inner: Asked, tmp_path: Path, count_cases: Callable[[str, int], None]
) -> None:
    made = image("a" * 200)
    manifest, blob = push(inner, made, "current"), made.blobs[1]
    first = opened(inner, tmp_path)
    first.fetch("training", "current")
    list(first.fetch_blob("training", blob.describe()))
    first.flush()
    inner.since()
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    asked: Counter[str] = Counter()
    randomness = random.Random(7)  # noqa: S311  # damage, not a secret
    for _ in range(100):  # of both files each time
        for path, whole in files.items():
            place = randomness.randrange(len(whole))
            damaged = (
                whole[:place],
                whole[:place] + bytes([whole[place] ^ 1 << randomness.randrange(8)]) + whole[place + 1 :],
            )
            path.write_bytes(randomness.choice(damaged))
        registry = opened(inner, tmp_path)
        assert registry.fetch("training", "current") == manifest
        assert b"".join(registry.fetch_blob("training", blob.describe())) == blob.data
        registry.flush()
        asked += inner.since()
    # A last newline that is cut off is no damage.
    assert asked["fetch"] > 90
    assert asked["fetch_blob"] > 90
    assert asked.keys() <= {"fetch", "fetch_blob", "resolve"}
    count_cases("F11", 99)


def test_a_cache_that_lies_with_a_good_checksum_is_not_believed(inner: Asked, tmp_path: Path) -> None:
    """Whoever can write the cache can give a line a checksum; the digest decides."""
    made, other = image("a"), image("b")
    manifest = push(inner, made, "current")
    cache = Cache(tmp_path)
    registry = CachedRegistry(inner, cache)
    registry.fetch("training", "current")
    registry.flush()
    key = f"manifest {inner.address} training {manifest.digest}"
    assert cache.get(key) is not None
    lies: list[Json] = ["", "!", 7, ["x"], base64.b64encode(other.manifest.data).decode()]
    for lie in lies:
        cache.put_many({key: lie})
        assert CachedRegistry(inner, Cache(tmp_path)).fetch("training", "current") == manifest
    cache.put_many({f"tag {inner.address} training current": "sha256:"})
    assert CachedRegistry(inner, Cache(tmp_path)).fetch("training", "current") == manifest
