"""A registry over HTTP that serves something else than it says: refused while it streams, and little of it read."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from reconciler.errors import CorruptError, NotFoundError, RegistryError, UnavailableError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.manifest import references
from reconciler.registries.http import MAX_MANIFEST
from reconciler.registries.paging import MAX_BYTES, MAX_PAGE
from reconciler.values.digest import Digest
from tests import registry_faults as faults
from tests.registry_faults import Fault, Point
from tests.registry_messages import Kind, Response, document
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings
from tests.remote import opened
from tests.stocked import NAME, STORED, Stock, stock

BUFFERED = 24 << 20
"""Bytes that may be under way between two sockets of one machine when it is stopped."""
INDEX, MANIFEST = media.INDEX, media.MANIFEST


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with serving_registry() as found:
        yield found


@pytest.fixture
def held(server: RegistryServer) -> Stock:
    found = stock(server)
    server.asked.clear()
    return found


def sent(fault: Fault) -> tuple[Fault, list[int]]:
    """Count the bytes that are sent behind the body."""
    counts: list[int] = []

    def counted(made: Response) -> Response:
        def tail() -> Iterator[bytes]:
            for piece in made.tail:
                counts.append(len(piece))
                yield piece

        return replace(made, tail=tail())

    return fault | faults.changed(counted), counts


@contextmanager
def little_memory(limit: int = 12 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limit, peak


def read(server: RegistryServer, descriptor: Descriptor) -> tuple[bytes, RegistryError | None]:
    """Read a blob; give what came out, and the error that it ended with."""
    got = bytearray()
    try:
        for piece in opened(server.address).fetch_blob(NAME, descriptor):
            got += piece
    except RegistryError as error:
        return bytes(got), error
    return bytes(got), None


# -- blobs ------------------------------------------------------------------------------------------------------

LYING_BLOBS = {
    "truncated, honestly": faults.truncated(honest=True),
    "truncated to nothing": faults.truncated(0, honest=True),
    "one byte more": faults.oversized(1),
    "1 MiB more": faults.oversized(1 << 20),
    "one byte more, in chunks": faults.oversized(1) | faults.header("Transfer-Encoding", "chunked"),
    "1 MiB more, in chunks": faults.oversized(1 << 20) | faults.header("Transfer-Encoding", "chunked"),
    "truncated, in chunks": faults.truncated(honest=True) | faults.header("Transfer-Encoding", "chunked"),
    "other bytes": faults.wrong_bytes(),
    "other bytes, in pieces": faults.wrong_bytes() | faults.trickle(700, 0.001),
    "other bytes, in chunks": faults.wrong_bytes() | faults.header("Transfer-Encoding", "chunked"),
    "endless, in chunks": faults.endless(),
    "endless, with a length": faults.endless(length=1 << 62),
    "endless, with the right length": faults.endless(length=5000),
    "a length too small": faults.wrong_length(-1),
    "a length too large": faults.wrong_length(1),
    "a length far too large": faults.header("Content-Length", "9" * 18),
    "a length of 5000 digits": faults.header("Content-Length", "9" * 5000),
    "a length that is none": faults.header("Content-Length", "x"),
    "a length below nothing": faults.header("Content-Length", "-1"),
    "gzip": faults.bomb(100 << 20),
    "said to be gzip": faults.header("Content-Encoding", "gzip"),
    "in an encoding that nobody knows": faults.header("Content-Encoding", "x-nothing"),
    "a page of HTML": faults.answer(200, b"<html>please log in</html>", content_type="text/html"),
    "a part that was not asked for": faults.answer(206, b"a" * 2500, Content_Range="bytes 0-2499/5000"),
    "nothing": faults.answer(204),
}


@pytest.mark.threat("F10")
@pytest.mark.parametrize("what", LYING_BLOBS)
def test_a_blob_that_is_not_what_it_was_said_to_be_is_never_given_whole(
    server: RegistryServer, held: Stock, what: str
) -> None:
    fault, counts = sent(LYING_BLOBS[what])
    server.fault = faults.every(fault, Kind.GET_BLOB)
    with little_memory():
        got, error = read(server, held.blob.describe())
    if error is None:  # more was sent than was said, and what was said is right
        assert what in {
            "endless, with the right length",
            "a length that is none",
            "a length below nothing",
            "a length of 5000 digits",
        }
        assert got == held.blob.data
    else:
        assert isinstance(error, (CorruptError, UnavailableError, RegistryError)), error
        assert len(got) < len(held.blob.data)
        assert held.blob.data.startswith(got) or "other bytes" in what
    assert sum(counts) < BUFFERED
    assert len(server.asked) <= 5


@pytest.mark.threat("F10")
@pytest.mark.parametrize("size", [1, 4999, 5001, 1 << 30])
def test_a_descriptor_with_another_size_is_refused(server: RegistryServer, held: Stock, size: int) -> None:
    got, error = read(server, replace(held.blob.describe(), size=size))
    assert isinstance(error, CorruptError)
    assert got == b""
    assert not opened(server.address).has_blob(NAME, replace(held.blob.describe(), size=size))


@pytest.mark.threat("F10")
@pytest.mark.parametrize("point", [Point.MIDDLE, Point.AFTER_HEADERS])
@pytest.mark.parametrize("lie", [None, faults.wrong_bytes(), faults.oversized(3)])
def test_what_is_taken_up_after_a_break_is_verified_as_a_whole(
    server: RegistryServer, held: Stock, point: Point, lie: Fault | None
) -> None:
    broken = faults.first(faults.reset(point), Kind.GET_BLOB, times=2)
    server.fault = broken if lie is None else faults.either(broken, faults.every(lie, Kind.GET_BLOB))
    got, error = read(server, held.blob.describe())
    if lie is None:
        assert (got, error) == (held.blob.data, None)
        assert [one.header("range") for one in server.asked][1:] != [""] * 2 or point is Point.AFTER_HEADERS
    else:
        assert isinstance(error, CorruptError)
        assert len(got) < len(held.blob.data)


@pytest.mark.threat("F10")
def test_a_registry_that_ignores_ranges_is_read_again_from_the_start(server: RegistryServer, held: Stock) -> None:
    whole = Response(status=200, headers={"Content-Type": "application/octet-stream"}, body=held.blob.data)
    server.fault = faults.either(
        faults.first(faults.reset(Point.MIDDLE), Kind.GET_BLOB), faults.every(Fault(instead=whole), Kind.GET_BLOB)
    )
    assert read(server, held.blob.describe()) == (held.blob.data, None)
    assert server.asked[1].header("range") == "bytes=2500-4999"


@pytest.mark.threat("F10")
def test_a_reader_that_stops_half_way_leaves_no_connection_that_others_would_use(
    server: RegistryServer, held: Stock
) -> None:
    registry = opened(server.address)
    for _ in range(3):
        pieces = registry.fetch_blob(NAME, held.blob.describe())
        server.fault = faults.first(faults.trickle(100, 0.001), Kind.GET_BLOB)
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]  # a generator
        assert registry.fetch(NAME, "v1") == held.first


@pytest.mark.threat("F10")
@pytest.mark.parametrize("length", ["9" * 5000, "-1", "x", "5e3", "\xb2", "4999", "5001", "0"])
def test_a_wrong_length_of_a_blob_that_is_asked_about_is_no_crash(
    server: RegistryServer, held: Stock, length: str
) -> None:
    server.fault = faults.every(faults.header("Content-Length", length), Kind.HEAD_BLOB)
    assert opened(server.address).has_blob(NAME, held.blob.describe()) == (
        not length.isascii() or not length.isdecimal() or len(length) > 18
    )


# -- manifests --------------------------------------------------------------------------------------------------


def padded(size: int) -> bytes:
    """Make a manifest of so many bytes."""
    value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": {"a": ""}}
    short = len(json.dumps(value))
    value["annotations"] = {"a": "x" * (size - short)}
    return json.dumps(value).encode()


LYING_MANIFESTS = {
    "other bytes": faults.wrong_bytes(),
    "truncated": faults.truncated(honest=True),
    "one byte more": faults.oversized(1),
    "another digest": faults.wrong_digest(),
    "a digest that is none": faults.wrong_digest("sha256:x\x1b[31m"),
    "a digest of nothing": faults.wrong_digest(""),
    "a digest of MD5": faults.wrong_digest("md5:" + "0" * 32),
    "an index by its type": faults.wrong_type(INDEX),
    "text by its type": faults.wrong_type("text/html"),
    "an artifact by its type": faults.wrong_type("application/vnd.oci.artifact.manifest.v1+json"),
    "an empty type": faults.wrong_type(""),
    "4 MiB and more": faults.replaced(padded(MAX_MANIFEST + 1)),
    "endless": faults.endless(),
    "endless, with a length": faults.endless(length=1 << 62),
    "gzip": faults.bomb(100 << 20),
    "said to be gzip, and no JSON": faults.replaced(b"\x1f\x8b") | faults.header("Content-Encoding", "gzip"),
    "no JSON": faults.replaced(b"{"),
    "a list": faults.replaced(b"[]"),
    "deep": faults.replaced(b"[" * 100_000),
    "a huge number": faults.replaced(b'{"schemaVersion": ' + b"9" * 10_000 + b"}"),
    "nothing": faults.replaced(b""),
    "no content": faults.answer(204),
    "a page of HTML": faults.answer(200, b"<html>please log in</html>", content_type="text/html"),
}


@pytest.mark.threat("F10")
@pytest.mark.parametrize("by", ["tag", "digest"])
@pytest.mark.parametrize("what", LYING_MANIFESTS)
def test_a_manifest_that_is_not_what_it_was_said_to_be_is_refused(
    server: RegistryServer, held: Stock, what: str, by: str
) -> None:
    fault, counts = sent(LYING_MANIFESTS[what])
    server.fault = faults.every(fault, Kind.GET_MANIFEST)
    reference = "v1" if by == "tag" else held.first.digest
    with little_memory(24 << 20), pytest.raises(RegistryError) as caught:
        opened(server.address).fetch(NAME, reference)
    assert not isinstance(caught.value, NotFoundError), "what lies is not absent"
    assert isinstance(caught.value, CorruptError) or what == "no content"
    assert str(caught.value).isprintable()
    assert sum(counts) < BUFFERED
    assert len(server.asked) == 1


CONFUSED: dict[str, dict[str, object] | str] = {
    "both an image and an index": {"manifests": [], "layers": [], "config": {}},
    "an index that is said to be an image": {"mediaType": MANIFEST, "manifests": []},
    "an image that is said to be an index": {"mediaType": INDEX, "layers": [], "config": {}},
    "nothing of both": {"mediaType": INDEX},
    "two media types": f'{{"schemaVersion": 2, "mediaType": "{INDEX}", "mediaType": "{MANIFEST}", "manifests": []}}',
    "schema 1": {"schemaVersion": 1, "name": "x", "fsLayers": []},
}


@pytest.mark.threat("F10")
@pytest.mark.parametrize("served_as", [INDEX, MANIFEST])
@pytest.mark.parametrize("what", CONFUSED)
def test_an_index_and_an_image_are_not_taken_for_each_other(server: RegistryServer, what: str, served_as: str) -> None:
    value = CONFUSED[what]
    data = value.encode() if isinstance(value, str) else json.dumps({"schemaVersion": 2, **value}).encode()
    digest = server.store.create(STORED).put_manifest(served_as, data, ["v1"])
    for reference in ("v1", Digest.parse(digest)):
        with pytest.raises(CorruptError):
            list(references(opened(server.address).fetch(NAME, reference)))


@pytest.mark.threat("F10")
def test_a_manifest_of_exactly_4_mib_is_read(server: RegistryServer) -> None:
    data = padded(MAX_MANIFEST)
    server.store.create(STORED).put_manifest(INDEX, data, ["v1"])
    assert opened(server.address).fetch(NAME, "v1").data == data


@pytest.mark.threat("F10")
@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:x", "", "md5:" + "0" * 32, "sha256:" + "A" * 64])
def test_what_head_and_put_say_of_a_digest_is_checked(server: RegistryServer, held: Stock, digest: str) -> None:
    server.fault = faults.every(faults.wrong_digest(digest), Kind.HEAD_MANIFEST, Kind.PUT_MANIFEST)
    registry = opened(server.address)
    with pytest.raises(CorruptError):
        registry.resolve(NAME, held.first.digest)
    with pytest.raises(CorruptError):
        registry.push(NAME, held.second, tags=["v2"])
    if digest != "sha256:" + "0" * 64:  # which digest a tag names, only the content shows
        with pytest.raises(CorruptError):
            registry.resolve(NAME, "v1")


@pytest.mark.threat("F10")
def test_head_without_a_digest_is_found_out_by_reading(server: RegistryServer, held: Stock) -> None:
    server.fault = faults.every(faults.header("Docker-Content-Digest", None))
    registry = opened(server.address)
    assert registry.resolve(NAME, "v1") == held.first.digest
    assert registry.fetch(NAME, "v1") == held.first


# -- lists ------------------------------------------------------------------------------------------------------

SHAPES = [b"", b"null", b"[]", b'"x"', b"{", b"{}", b'{"tags": {}}', b'{"tags": [1]}', b'{"tags": [null]}',
          b'{"tags": "v1"}', b"[" * 100_000, b'{"tags": ' + b"[" * 100_000, b"\xff\xfe", b"9" * 10_000,
          b"<html>log in</html>"]  # fmt: skip


@pytest.mark.threat("F10")
@pytest.mark.parametrize("body", SHAPES)
def test_a_list_of_another_shape_is_no_empty_one(server: RegistryServer, held: Stock, body: bytes) -> None:
    del held
    server.fault = faults.every(faults.replaced(body), Kind.TAGS, Kind.CATALOG)
    with pytest.raises(CorruptError) as caught:
        opened(server.address).tags(NAME)
    assert len(str(caught.value)) < 300
    with pytest.raises(CorruptError):
        opened(server.address).repositories()


@pytest.mark.threat("F10")
def test_tags_that_are_none_are_left_out(server: RegistryServer, held: Stock) -> None:
    del held
    wrong = ["", "v1\n", "../v1", "a b", "\x1b[31m", "\ud800", "x" * 129, "-v1", "a/b", "v1@sha256", "ünï", "a\u202eb"]
    server.fault = faults.every(Fault(instead=document({"name": NAME, "tags": [*wrong, "v2", "v1", "v2"]})), Kind.TAGS)
    assert opened(server.address).tags(NAME) == ("v1", "v2")
    names = ["team/" + one for one in ["beta", "../x", "a b", "", "Upper", "a\n", "-x"]] + ["other/gamma", "team", ""]
    server.fault = faults.every(Fault(instead=document({"repositories": names})), Kind.CATALOG)
    assert opened(server.address).repositories() == ("beta",)


def following(
    link: Callable[[int], str], page: Callable[[int], bytes] = lambda _: b'{"tags": ["v1"]}'
) -> faults.Asking:
    numbers = iter(range(1_000_000))

    def change(_made: Response) -> Response:
        number = next(numbers)
        headers = {"Content-Type": "application/json", "Link": link(number)}
        return Response(status=200, headers=headers, body=page(number))

    return faults.every(faults.changed(change), Kind.TAGS)


TAGS = f"/v2/{STORED}/tags/list"
LEADS = {
    "itself": lambda _: f'<{TAGS}?n=1000>; rel="next"',
    "a circle": lambda number: f'<{TAGS}?last={number % 3}>; rel="next"',
    "no end": lambda number: f'<{TAGS}?last={number}>; rel="next"',
    "another host": lambda _: '<http://example.org/v2/x>; rel="next"',
    "another port": lambda _: f'<http://127.0.0.1:1{TAGS}>; rel="next"',
    "another scheme": lambda _: f'<https://127.0.0.1{TAGS}>; rel="next"',
    "a host without a scheme": lambda _: '<//example.org/x>; rel="next"',
    "a user": lambda _: f'<http://u:p@127.0.0.1{TAGS}>; rel="next"',
    "no address": lambda _: '<http://[::1/x>; rel="next"',
    "a file": lambda _: '<file:///etc/passwd>; rel="next"',
    "a pattern's nightmare": lambda _: "<>;" * 20_000,
}


@pytest.mark.threat("F10")
@pytest.mark.parametrize("to", LEADS)
def test_a_list_that_leads_in_circles_or_away_is_refused(server: RegistryServer, held: Stock, to: str) -> None:
    del held
    server.fault = following(LEADS[to])
    with pytest.raises(CorruptError) as caught:
        opened(server.address).tags(NAME)
    assert len(server.asked) <= 1000
    assert "u:p" not in str(caught.value)


@pytest.mark.threat("F10")
def test_a_list_is_bounded_page_by_page_and_as_a_whole(server: RegistryServer, held: Stock) -> None:
    del held
    server.fault = faults.every(faults.replaced(b'{"tags": ["' + b"x" * MAX_PAGE + b'"]}'), Kind.TAGS)
    with pytest.raises(CorruptError, match="sends more than"):
        opened(server.address).tags(NAME)
    server.asked.clear()
    page = b'{"tags": ["' + b"x" * (MAX_PAGE - 100) + b'"]}'
    server.fault = following(LEADS["no end"], lambda _: page)
    with pytest.raises(CorruptError, match="has no end"):
        opened(server.address).tags(NAME)
    assert len(server.asked) <= MAX_BYTES // MAX_PAGE + 1


# -- errors -----------------------------------------------------------------------------------------------------

ERRORS = {
    "endless": faults.endless(),
    "1 MiB": faults.replaced(b'{"errors": [{"code": "X", "message": "' + b"x" * (1 << 20) + b'"}]}'),
    "many": faults.replaced(json.dumps({"errors": [{"code": "X", "message": "y"}] * 1000}).encode()),
    "no list": faults.replaced(b'{"errors": {"code": 1}}'),
    "no texts": faults.replaced(b'{"errors": [1, {"code": 1}, {"code": "X", "message": []}, null]}'),
    "deep": faults.replaced(b"{" * 60_000),
    "lines": faults.replaced(b'{"errors": [{"code": "A\\nB", "message": "\\r\\n::error::x\\u2028"}]}'),
    "no UTF-8": faults.replaced(b'{"errors": "\xff"}'),
}


@pytest.mark.threat("F10")
@pytest.mark.parametrize("status", [400, 403, 404, 418, 503])
@pytest.mark.parametrize("what", ERRORS)
def test_an_error_is_one_short_line_however_much_is_said(
    server: RegistryServer, held: Stock, what: str, status: int
) -> None:
    fault, counts = sent(faults.status(status) | ERRORS[what])
    server.fault = faults.every(fault)
    for ask in (
        lambda registry: registry.fetch(NAME, "v1"),
        lambda registry: b"".join(registry.fetch_blob(NAME, held.blob.describe())),
        lambda registry: registry.push(NAME, held.second, tags=["v2"]),
    ):
        with pytest.raises(RegistryError) as caught:
            ask(opened(server.address))
        assert not isinstance(caught.value, NotFoundError)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 700
    assert sum(counts) < 20 * BUFFERED


@pytest.mark.threat("F10")
@pytest.mark.parametrize("fault", [
    faults.answer(404, b"<html>no such site</html>", content_type="text/html"),
    faults.answer(404, b'{"message": "no Route matched with those values"}', content_type="application/json"),
    faults.answer(404, b""),
    faults.status(404, code="UNSUPPORTED"),
    faults.answer(410, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', content_type="application/json"),
    faults.answer(200, b"", content_type="text/html"),
])  # fmt: skip
def test_what_a_proxy_says_is_never_absent(server: RegistryServer, held: Stock, fault: Fault) -> None:
    server.fault = faults.every(fault)
    registry = opened(server.address)
    nothing = Content(media_type=media.LOCK, data=b"nothing").describe()
    for ask in (
        lambda: registry.fetch(NAME, "current"),
        lambda: registry.fetch(NAME, held.first.digest),
        lambda: registry.resolve(NAME, "current"),
        lambda: registry.tags(NAME),
        lambda: b"".join(registry.fetch_blob(NAME, nothing)),
    ):
        with pytest.raises(RegistryError) as caught:
            ask()
        assert not isinstance(caught.value, NotFoundError)


@pytest.mark.threat("F10")
def test_absent_is_what_the_registry_itself_says(server: RegistryServer, held: Stock) -> None:
    del held
    server.settings = Settings()
    for name in (NAME, "nothing"):
        with pytest.raises(NotFoundError):
            opened(server.address).fetch(name, "v9")
        assert opened(server.address).resolve(name, "v9") is None
