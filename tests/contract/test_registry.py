"""One suite for every registry: what the port promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.clients.registry.session import Settings as Access
from reconciler.errors import CorruptError, NotFoundError, RegistryError
from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor, Image, Stream
from reconciler.oci.image import side_entry
from reconciler.oci.manifest import Index
from reconciler.ports import Registry
from reconciler.registries.cached import CachedRegistry
from reconciler.registries.layout import LayoutRegistry
from reconciler.registries.memory import MemoryRegistry
from reconciler.store.cache import Cache
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from tests.registry_auth import Basic, Bearer
from tests.registry_server import serving_registry
from tests.registry_store import Settings
from tests.remote import logged_in, opened
from tests.services import RegistryService

IN_PROCESS = {
    "http": Settings(),
    "http, in pages": Settings(page_size=1),
    "http, no mounting": Settings(mount_allowed=False),
    "http, basic": Settings(auth=Basic()),
    "http, bearer": Settings(auth=Bearer()),
}

REFERENCE = {
    "reference": "reference_registry",
    "reference, TLS": "reference_registry_tls",
    "reference, htpasswd": "reference_registry_login",
}


@pytest.fixture(params=["memory", "layout", "cached", "cached, fresh", *IN_PROCESS, "http, cached", *REFERENCE])
def registry(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    kind = str(request.param)
    if kind == "memory":
        yield MemoryRegistry()
    elif kind == "layout":
        yield LayoutRegistry(tmp_path / "registry", store=ContentStore(tmp_path / "store"))
    elif kind in REFERENCE:
        yield reference(request.getfixturevalue(REFERENCE[kind]), tmp_path_factory.mktemp("docker"))
    elif kind.startswith("http"):
        with serving_registry(IN_PROCESS.get(kind)) as server:
            account = (
                logged_in(tmp_path_factory.mktemp("docker"), server.address, "user", "secret") if "b" in kind else None
            )
            found = opened(server.address, config=account)
            yield CachedRegistry(found, Cache(tmp_path / "cache")) if kind.endswith("cached") else found
    else:
        cached = CachedRegistry(MemoryRegistry(remote=True), Cache(tmp_path / "cache"))
        yield cached.fresh if kind.endswith("fresh") else cached


def reference(service: RegistryService, folder: Path) -> Registry:
    account = logged_in(folder, service.address, service.username, service.password) if service.username else None
    access = Access(authorities=(str(service.ca),) if service.ca else ())
    return opened(service.address, service.prefix().partition("/")[2], config=account, settings=access)


def image(text: str) -> Image:
    return side_entry(media.LOCK, text.encode())


def push(registry: Registry, repository: str, made: Image, *tags: str) -> Content:
    for blob in made.blobs:
        registry.push_blob(repository, blob)
    registry.push(repository, made.manifest, tags=tags)
    return made.manifest


def index_of(made: Image) -> Content:
    return Index(manifests=(made.manifest.describe(platform=UNKNOWN_PLATFORM),)).to_content()


def streamed(content: Content, *pieces: bytes) -> Stream:
    return Stream(descriptor=content.describe(), read=lambda: iter(pieces))


def test_what_is_pushed_is_fetched_by_tag_and_by_digest(registry: Registry) -> None:
    made = image("a")
    manifest = push(registry, "training", made, "v1", "current")
    for reference in ("v1", "current", manifest.digest):
        assert registry.fetch("training", reference) == manifest
        assert registry.resolve("training", reference) == manifest.digest
    for blob in made.blobs:
        assert b"".join(registry.fetch_blob("training", blob.describe())) == blob.data
        assert registry.has_blob("training", blob.describe())


def test_an_index_keeps_its_media_type(registry: Registry) -> None:
    made = image("a")
    push(registry, "training", made)
    registry.push("training", index_of(made), tags=["v1"])
    assert registry.fetch("training", "v1") == index_of(made)
    assert registry.fetch("training", index_of(made).digest) == index_of(made)


def test_a_tag_moves_and_the_rest_stays(registry: Registry) -> None:
    first = push(registry, "training", image("a"), "v1", "current")
    second = push(registry, "training", image("b"), "v2", "current")
    assert registry.fetch("training", "current") == second
    assert registry.fetch("training", "v1") == first
    assert registry.tags("training") == ("current", "v1", "v2")


def test_what_is_not_there_is_not_found(registry: Registry) -> None:
    nothing = Descriptor(media_type=media.LOCK, digest=Digest.of(b"?"), size=1)
    for _ in range(2):
        for reference in ("current", nothing.digest):
            with pytest.raises(NotFoundError):
                registry.fetch("training", reference)
            assert registry.resolve("training", reference) is None
        with pytest.raises(NotFoundError):
            list(registry.fetch_blob("training", nothing))
        assert not registry.has_blob("training", nothing)
        push(registry, "training", image("a"), "v1")


def test_a_repository_that_nobody_wrote_has_no_tags_and_is_not_listed(registry: Registry) -> None:
    assert registry.tags("training") == ()
    assert registry.repositories() == ()
    assert registry.resolve("training", "v1") is None
    assert registry.repositories() == ()


def test_repositories_are_listed_sorted_and_apart(registry: Registry) -> None:
    for name in ("b", "a", "reconciler-state"):
        push(registry, name, image(name), "v1")
    assert registry.repositories() == ("a", "b", "reconciler-state")
    assert registry.fetch("a", "v1") != registry.fetch("b", "v1")
    with pytest.raises(NotFoundError):
        registry.fetch("a", image("b").manifest.digest)


def test_a_manifest_that_names_what_is_not_there_is_refused(registry: Registry) -> None:
    made = image("a")
    with pytest.raises(RegistryError, match="not there"):
        registry.push("training", made.manifest, tags=["v1"])
    registry.push_blob("training", made.blobs[0])
    with pytest.raises(RegistryError, match="not there"):
        registry.push("training", made.manifest, tags=["v1"])
    with pytest.raises(RegistryError, match="not there"):
        registry.push("training", index_of(made), tags=["v1"])
    assert registry.tags("training") == ()


@pytest.mark.parametrize(
    "content",
    [
        Content(media_type=media.INDEX, data=b"{}"),
        Content(media_type=media.INDEX, data=image("a").manifest.data),
        Content(media_type=media.MANIFEST, data=b"not JSON"),
        Content(media_type="text/plain", data=b"x"),
    ],
)
def test_what_is_no_manifest_is_never_tagged(registry: Registry, content: Content) -> None:
    with pytest.raises(CorruptError):
        registry.push("training", content, tags=["v1"])
    assert registry.tags("training") == ()


def test_a_blob_is_fetched_only_at_the_size_that_was_asked_for(registry: Registry) -> None:
    registry.push_blob("training", Content(media_type=media.LOCK, data=b"12345"))
    for size in (4, 6):
        wrong = Descriptor(media_type=media.LOCK, digest=Digest.of(b"12345"), size=size)
        with pytest.raises(CorruptError):
            list(registry.fetch_blob("training", wrong))
        assert not registry.has_blob("training", wrong)


def test_a_blob_may_be_taken_from_another_repository(registry: Registry) -> None:
    blob = Content(media_type=media.LOCK, data=b"12345")
    registry.push_blob("old", blob)
    registry.push_blob("new", blob, mount_from="old")
    assert b"".join(registry.fetch_blob("new", blob.describe())) == b"12345"


@pytest.mark.parametrize("kind", ["http", "http, no mounting", "http, bearer"])
def test_a_blob_may_be_taken_from_a_repository_beyond_the_prefix(kind: str, tmp_path: Path) -> None:
    blob = Content(media_type=media.LOCK, data=b"12345")
    read: list[str] = []

    def chunks() -> Iterator[bytes]:
        read.append("read")
        return iter([blob.data])

    with serving_registry(IN_PROCESS[kind]) as server:
        account = logged_in(tmp_path, server.address, "user", "secret") if "bearer" in kind else None
        opened(server.address, "elsewhere/bases", config=account).push_blob("small", blob)
        registry = opened(server.address, "team", config=account)
        stream = Stream(descriptor=blob.describe(), read=chunks)
        registry.push_blob("new", stream, mount_from="/elsewhere/bases/small")
        assert b"".join(registry.fetch_blob("new", blob.describe())) == blob.data
    assert read == (["read"] if kind == "http, no mounting" else [])


def test_a_blob_is_read_when_it_is_pushed_and_what_differs_is_not_stored(registry: Registry) -> None:
    good = Content(media_type=media.LOCK, data=b"x" * 100_000)
    registry.push_blob(
        "training", Stream(descriptor=good.describe(), read=lambda: iter([good.data[:7], good.data[7:]]))
    )
    assert b"".join(registry.fetch_blob("training", good.describe())) == good.data
    other = Content(media_type=media.LOCK, data=b"y" * 100_000)
    for pieces in ([b"y" * 99_999], [b"y" * 99_999, b"z"], [b"y" * 100_001]):
        with pytest.raises(CorruptError):
            registry.push_blob("training", streamed(other, *pieces))
        assert not registry.has_blob("training", other.describe())


def test_a_deleted_tag_is_gone_and_what_it_named_stays(registry: Registry) -> None:
    manifest = push(registry, "training", image("a"), "v1", "current")
    try:
        registry.delete("training", "current")
    except RegistryError as error:
        assert registry.remote  # a folder deletes
        assert "does not delete tags alone" in error.message  # noqa: PT017  # as the reference registry 2.8
        return
    assert registry.tags("training") == ("v1",)
    assert registry.resolve("training", "current") is None
    assert registry.fetch("training", manifest.digest) == manifest
    with pytest.raises(NotFoundError):
        registry.delete("training", "current")


def test_a_deleted_manifest_takes_its_tags_along(registry: Registry) -> None:
    manifest = push(registry, "training", image("a"), "v1", "current")
    kept = push(registry, "training", image("b"), "v2")
    registry.delete("training", manifest.digest)
    assert registry.tags("training") == ("v2",)
    assert registry.resolve("training", manifest.digest) is None
    assert registry.fetch("training", "v2") == kept
    with pytest.raises(NotFoundError):
        registry.delete("training", manifest.digest)
    with pytest.raises(NotFoundError):
        registry.delete("nothing", manifest.digest)


def test_a_claimed_repository_holds_nothing(registry: Registry) -> None:
    registry.claim("training")
    assert registry.tags("training") == ()
    with pytest.raises(NotFoundError):
        registry.fetch("training", "current")


def test_what_a_registry_can_do_is_found_out_without_leaving_anything(registry: Registry) -> None:
    found = {feature.name: feature.supported for feature in registry.features("training")}
    assert found["push"] is True
    assert found["list tags"] is True
    assert registry.tags("training") == ()


def test_a_blob_is_no_manifest(registry: Registry) -> None:
    made = image("a")
    push(registry, "training", made)
    for blob in made.blobs:
        # A registry of the network may say that it is none, or nothing at all (the reference registry: 500).
        with pytest.raises(RegistryError if registry.remote else CorruptError):
            registry.fetch("training", blob.digest)


def test_pushing_again_changes_nothing(registry: Registry) -> None:
    made = image("a")
    assert push(registry, "training", made, "v1") == push(registry, "training", made, "v1")
    assert registry.tags("training") == ("v1",)


NAMES = [
    "",
    ".",
    "..",
    "a/b",
    "../a",
    "/a",
    "a\0",
    "a\n",
    "A",
    "-a",
    "a..b",
    "é",
    "con",
    "a" * 101,
    "reconciler-x",
    ".tmp",
]


@pytest.mark.threat("T1")
@pytest.mark.parametrize("name", NAMES)
def test_a_name_outside_the_grammar_touches_nothing(registry: Registry, name: str, tmp_path: Path) -> None:
    blob = Content(media_type=media.LOCK, data=b"x")
    for work in (
        lambda: registry.fetch(name, "v1"),
        lambda: registry.fetch(name, blob.digest),
        lambda: registry.resolve(name, "v1"),
        lambda: list(registry.fetch_blob(name, blob.describe())),
        lambda: registry.has_blob(name, blob.describe()),
        lambda: registry.push_blob(name, blob),
        lambda: registry.push_blob("a", blob, mount_from=f"/{name}" if name.startswith("/") else name),
        lambda: registry.push(name, image("a").manifest, tags=["v1"]),
        lambda: registry.tags(name),
        lambda: registry.writing(name).__enter__(),
    ):
        with pytest.raises(RegistryError, match="no repository"):
            work()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.threat("T1")
@pytest.mark.parametrize("tag", ["", ".", "-v1", "a/b", "a:b", "a\n", "é", "a" * 129, "../x"])
def test_a_tag_outside_the_grammar_is_refused(registry: Registry, tag: str) -> None:
    made = image("a")
    push(registry, "training", made)
    with pytest.raises(RegistryError, match="not a tag"):
        registry.push("training", made.manifest, tags=["v1", tag])
    assert registry.tags("training") == ()


@pytest.mark.threat("F3")
def test_one_writer_at_a_time(registry: Registry) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            with registry.writing("training"):
                inside.append(number)
                time.sleep(0.002)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20


def test_writers_of_different_repositories_do_not_wait_for_each_other(registry: Registry) -> None:
    with registry.writing("a"), registry.writing("b"):
        push(registry, "a", image("a"), "v1")
        push(registry, "b", image("b"), "v1")
