"""Uploads whose session the registry loses: begun again once, then an error, and never other content."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from reconciler.errors import CorruptError, DeniedError, RegistryError, UnavailableError
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor, Stream
from reconciler.values.digest import Digest
from tests import registry_faults as faults
from tests.registry_faults import Fault, Point
from tests.registry_messages import Kind, Response
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings
from tests.remote import opened

SIZE = 3 << 20
DATA = bytes(range(256)) * (SIZE // 256)
BLOB = Content(media_type=media.LOCK, data=DATA)
TO = "team/alpha"


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with serving_registry() as found:
        yield found


def stored(server: RegistryServer) -> bool:
    return server.store.repositories[TO].blobs.get(str(BLOB.digest)) == DATA


def forgotten(server: RegistryServer) -> Fault:
    """Forget every session before the request is looked at."""

    def forget() -> None:
        with server.store.lock:
            server.store.repositories[TO].uploads.clear()

    return faults.calling(forget)


def kept_in_part(server: RegistryServer) -> Fault:
    """Keep a part of what is sent, and break off, as a registry does that is ended meanwhile."""

    def keep() -> None:
        with server.store.lock:
            for upload in server.store.repositories[TO].uploads.values():
                upload.append(b"x" * 1000)

    return faults.calling(keep) | faults.reset(Point.AFTER_BODY)


def dead_location(server: RegistryServer) -> Fault:
    """Say that the upload goes to a session that never was."""

    def change(made: Response) -> Response:
        return Response(
            status=made.status, headers={**made.headers, "Location": f"/v2/{TO}/blobs/uploads/dead?_state=x"}
        )

    del server
    return faults.changed(change)


LOSSES: dict[str, tuple[Callable[[RegistryServer], Fault], Kind]] = {
    "unknown": (lambda _: faults.lost_session(), Kind.PUT_UPLOAD),
    "unknown, and really gone": (forgotten, Kind.PUT_UPLOAD),
    "unknown before a byte is read": (
        lambda _: faults.status(404, code="BLOB_UPLOAD_UNKNOWN", early=True),
        Kind.PUT_UPLOAD,
    ),
    "invalid": (lambda _: faults.status(404, code="BLOB_UPLOAD_INVALID"), Kind.PUT_UPLOAD),
    "invalid, as a bad request": (lambda _: faults.status(400, code="BLOB_UPLOAD_INVALID"), Kind.PUT_UPLOAD),
    "at another offset": (lambda _: faults.status(416, code="RANGE_INVALID"), Kind.PUT_UPLOAD),
    "at another offset, without a word": (lambda _: faults.answer(416), Kind.PUT_UPLOAD),
    "of other content": (lambda _: faults.status(400, code="DIGEST_INVALID"), Kind.PUT_UPLOAD),
    "a plain 404": (lambda _: faults.answer(404, b"gone", content_type="text/plain"), Kind.PUT_UPLOAD),
    "kept in part": (kept_in_part, Kind.PUT_UPLOAD),
    "at a dead address": (dead_location, Kind.START_UPLOAD),
}
BREAKS_OFF = {"kept in part", "unknown before a byte is read"}
"""Where no answer may come, so that tries are those of any request."""


@pytest.mark.threat("F9")
@pytest.mark.parametrize("what", LOSSES)
def test_an_upload_that_is_lost_once_is_begun_again(server: RegistryServer, what: str) -> None:
    loss, kind = LOSSES[what]
    server.fault = faults.first(loss(server), kind)
    opened(server.address).push_blob("alpha", BLOB)
    assert stored(server)
    assert server.kinds().count(Kind.START_UPLOAD) == 2
    assert server.kinds().count(Kind.PUT_UPLOAD) == 2


@pytest.mark.threat("F9")
@pytest.mark.parametrize("what", LOSSES)
def test_an_upload_that_is_lost_each_time_is_an_error(server: RegistryServer, what: str) -> None:
    loss, kind = LOSSES[what]
    server.fault = faults.every(loss(server), kind)
    with pytest.raises(RegistryError, match=r"loses the upload each time|does not answer") as caught:
        opened(server.address).push_blob("alpha", BLOB)
    assert isinstance(caught.value, UnavailableError) <= (what in BREAKS_OFF)
    assert not isinstance(caught.value, DeniedError)
    assert caught.value.hint
    assert server.kinds().count(Kind.PUT_UPLOAD) <= (5 if what in BREAKS_OFF else 2)
    assert str(BLOB.digest) not in server.store.repositories[TO].blobs


@pytest.mark.threat("F9")
@pytest.mark.parametrize("fault", [faults.unanswered(), faults.unanswered() | faults.stall(0.05)])
def test_an_upload_that_was_stored_and_not_answered_is_not_sent_again(server: RegistryServer, fault: Fault) -> None:
    server.fault = faults.every(fault, Kind.PUT_UPLOAD)
    opened(server.address).push_blob("alpha", BLOB)
    assert stored(server)
    assert server.kinds().count(Kind.PUT_UPLOAD) == 1


@pytest.mark.threat("F9")
@pytest.mark.parametrize("is_mounted", [True, False])
def test_a_mount_that_is_lost_is_asked_again_or_sent(server: RegistryServer, *, is_mounted: bool) -> None:
    server.settings = Settings(mount_allowed=is_mounted)
    opened(server.address).push_blob("beta", BLOB)
    server.asked.clear()
    lost = faults.first(faults.unanswered(), Kind.MOUNT)
    server.fault = faults.either(lost, faults.first(faults.lost_session(), Kind.PUT_UPLOAD))
    opened(server.address).push_blob("alpha", BLOB, mount_from="beta")
    assert stored(server)
    assert server.kinds().count(Kind.PUT_UPLOAD) == (0 if is_mounted else 2)


@pytest.mark.threat("F8")
@pytest.mark.parametrize("number", [401, 403])
def test_a_mount_from_where_we_may_not_read_becomes_an_upload(server: RegistryServer, number: int) -> None:
    server.fault = faults.every(faults.status(number, code="DENIED"), Kind.MOUNT)
    opened(server.address).push_blob("alpha", BLOB, mount_from="/private/base")
    assert stored(server)


@pytest.mark.threat("F9")
def test_a_mount_from_where_nothing_is_becomes_an_upload(server: RegistryServer) -> None:
    opened(server.address).push_blob("alpha", BLOB, mount_from="gamma")
    assert stored(server)


@pytest.mark.threat("F9")
@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"", DATA[:-1] + b"?", b"?" + DATA[1:]])
def test_other_bytes_than_were_said_are_never_stored(server: RegistryServer, data: bytes) -> None:
    """A source that turns out to be wrong is found before the registry has all of it."""
    pieces = [data[start : start + 100_000] for start in range(0, len(data), 100_000)]
    blob = Stream(descriptor=BLOB.describe(), read=lambda: iter(pieces))
    registry = opened(server.address)
    with pytest.raises(CorruptError, match="is not what its digest says"):
        registry.push_blob("alpha", blob)
    assert server.store.repositories[TO].blobs == {}
    registry.push_blob("alpha", BLOB)
    assert stored(server), "the connection that was broken off is not used again"


@pytest.mark.threat("F9")
def test_a_source_is_read_from_its_beginning_for_each_try(server: RegistryServer) -> None:
    reads: list[int] = []

    def read() -> Iterator[bytes]:
        reads.append(1)
        yield from (DATA[start : start + 65536] for start in range(0, SIZE, 65536))

    server.fault = faults.first(faults.reset(Point.AFTER_BODY), Kind.PUT_UPLOAD, times=2)
    opened(server.address).push_blob("alpha", Stream(descriptor=BLOB.describe(), read=read))
    assert stored(server)
    assert len(reads) == 3


@pytest.mark.threat("F9")
def test_another_digest_in_the_answer_to_an_upload_is_refused(server: RegistryServer) -> None:
    server.fault = faults.every(faults.wrong_digest(), Kind.PUT_UPLOAD)
    with pytest.raises(CorruptError, match="stored 'sha256:000"):
        opened(server.address).push_blob("alpha", BLOB)


@pytest.mark.threat("F9")
@pytest.mark.parametrize(
    "location", [None, "", "http://[::1/x", "ftp://127.0.0.1/x", "http://:0/", "http://u:p@127.0.0.1/", "//"]
)
def test_an_upload_that_goes_nowhere_is_one_line(server: RegistryServer, location: str | None) -> None:
    server.fault = faults.every(faults.header("Location", location), Kind.START_UPLOAD)
    with pytest.raises(RegistryError) as caught:
        opened(server.address).push_blob("alpha", BLOB)
    assert "\n" not in str(caught.value)
    assert "u:p" not in str(caught.value)
    assert server.kinds().count(Kind.PUT_UPLOAD) == 0


def test_what_is_empty_is_uploaded_too(server: RegistryServer) -> None:
    empty = Stream(descriptor=Descriptor(media_type=media.LOCK, digest=Digest.of(b""), size=0), read=lambda: iter(()))
    opened(server.address).push_blob("alpha", empty)
    assert server.store.repositories[TO].blobs == {str(Digest.of(b"")): b""}
    assert b"".join(opened(server.address).fetch_blob("alpha", empty.descriptor)) == b""
