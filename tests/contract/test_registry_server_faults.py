"""The registry that other tests run against fails as it is told to."""

from __future__ import annotations

import gzip
import http.client
import threading
from collections.abc import Iterator

import pytest

from tests import registry_faults as faults
from tests.registry_client import INDEX, NAME, Client, connected, manifest, sha
from tests.registry_faults import Fault, Point
from tests.registry_messages import Kind
from tests.registry_server import RegistryServer, serving_registry


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with serving_registry() as made:
        yield made


@pytest.fixture
def client(server: RegistryServer) -> Iterator[Client]:
    with connected(server) as made:
        yield made


@pytest.fixture
def pushed(client: Client) -> bytes:
    """A manifest of one blob, tagged ``v1``."""
    data = manifest(client.push_blob(b"{}"))
    assert client.push_manifest("v1", data).status == 201
    return data


@pytest.fixture
def blob(client: Client) -> str:
    return f"/v2/{NAME}/blobs/{client.push_blob(b'0123456789')}"


@pytest.mark.parametrize("point", [Point.BEFORE_BODY, Point.AFTER_BODY, Point.AFTER_WORK])
def test_a_connection_is_reset_before_the_answer(client: Client, server: RegistryServer, point: Point) -> None:
    client.push_blob(b"before")
    server.fault = faults.first(faults.reset(point), Kind.START_UPLOAD)
    with pytest.raises(ConnectionError):
        client.push_blob(b"data")
    assert (sha(b"data") in server.store.repositories[NAME].blobs) == (point is Point.AFTER_WORK)
    client.made.close()
    client.push_blob(b"data")


@pytest.mark.parametrize("point", [Point.AFTER_HEADERS, Point.MIDDLE])
def test_a_connection_is_reset_in_the_answer(client: Client, server: RegistryServer, blob: str, point: Point) -> None:
    server.fault = faults.every(faults.reset(point) | faults.stall(0.05, Point.AFTER_WORK))
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        client.ask("GET", blob)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.wrong_bytes(), b"0123446789"),
        (faults.truncated(honest=True), b"01234"),
        (faults.oversized(3), b"0123456789\0\0\0"),
        (faults.replaced(b"other"), b"other"),
        (faults.trickle(3, 0.001), b"0123456789"),
        (faults.stall(0.01), b"0123456789"),
        (faults.stall(0.01, Point.MIDDLE), b"0123456789"),
        (faults.wrong_length(-4), b"012345"),
        (faults.answer(200, b"<html>", content_type="text/html"), b"<html>"),
    ],
)
def test_other_bytes_are_sent_than_there_are(
    client: Client, server: RegistryServer, blob: str, fault: Fault, expected: bytes
) -> None:
    server.fault = faults.first(fault, Kind.GET_BLOB)
    answer = client.ask("GET", blob)
    assert (answer.status, answer.body) == (200, expected)
    assert client.ask("GET", blob).body == b"0123456789"


@pytest.mark.parametrize("fault", [faults.truncated(), faults.wrong_length(4), faults.truncated(0)])
def test_less_is_sent_than_was_said(client: Client, server: RegistryServer, blob: str, fault: Fault) -> None:
    server.fault = faults.first(fault, Kind.GET_BLOB)
    with pytest.raises(http.client.IncompleteRead):
        client.ask("GET", blob)


@pytest.mark.parametrize("length", [None, 1 << 40])
def test_a_body_never_ends(server: RegistryServer, blob: str, length: int | None) -> None:
    server.fault = faults.every(faults.endless(length=length))
    made = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    made.request("GET", blob)
    response = made.getresponse()
    assert response.read(8 << 20).startswith(b"0123456789\0")
    response.close()
    made.close()


def test_headers_lie(client: Client, server: RegistryServer, pushed: bytes) -> None:
    path = f"/v2/{NAME}/manifests/v1"
    server.fault = faults.every(faults.wrong_digest() | faults.wrong_type())
    answer = client.ask("GET", path)
    assert answer.headers["Docker-Content-Digest"] == "sha256:" + "0" * 64
    assert (answer.headers["Content-Type"], answer.body) == (INDEX, pushed)
    server.fault = faults.every(faults.header("docker-content-digest", None))
    assert "Docker-Content-Digest" not in client.ask("GET", path).headers


def test_a_bomb_is_sent_small(client: Client, server: RegistryServer, blob: str) -> None:
    server.fault = faults.every(faults.bomb(1 << 20))
    answer = client.ask("GET", blob)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 2000
    assert gzip.decompress(answer.body) == bytes(1 << 20)


def test_another_answer_is_given_in_place_of_the_work(client: Client, server: RegistryServer) -> None:
    server.fault = faults.first(faults.status(503, retry_after="7"), Kind.START_UPLOAD)
    answer = client.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={sha(b'')}")
    assert (answer.status, answer.headers["Retry-After"], answer.code) == (503, "7", "UNKNOWN")
    server.fault = faults.first(faults.redirect("http://elsewhere.invalid/x"))
    answer = client.ask("GET", "/v2/")
    assert (answer.status, answer.headers["Location"]) == (307, "http://elsewhere.invalid/x")
    assert server.store.repositories == {}


def test_an_early_answer_leaves_the_body_unread(client: Client, server: RegistryServer) -> None:
    server.fault = faults.first(faults.status(413, code="SIZE_INVALID", early=True))
    answer = client.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={sha(b'abc')}", b"abc")
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    client.push_blob(b"abc")


def test_a_session_is_lost(client: Client, server: RegistryServer) -> None:
    server.fault = faults.first(faults.lost_session(), Kind.PUT_UPLOAD)
    where = client.ask("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    put = f"{where}&digest={sha(b'')}"
    assert [client.ask("PUT", put).status for _ in range(2)] == [404, 201]


def test_work_is_done_and_not_answered(client: Client, server: RegistryServer, pushed: bytes) -> None:
    server.fault = faults.first(faults.unanswered(), Kind.PUT_MANIFEST)
    with pytest.raises(ConnectionError):
        client.push_manifest("v2", pushed)
    assert server.store.repositories[NAME].tags["v2"] == sha(pushed)


def test_a_request_calls_before_or_after_its_work(client: Client, server: RegistryServer, pushed: bytes) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append("v2" in server.store.repositories[NAME].tags)

    server.fault = faults.every(faults.calling(look) | faults.calling(look, Point.AFTER_WORK), Kind.PUT_MANIFEST)
    client.push_manifest("v2", pushed)
    assert seen == [False, True]


def test_faults_are_counted_by_kind(client: Client, server: RegistryServer) -> None:
    server.fault = faults.either(
        faults.first(faults.status(500), Kind.PING, times=2, after=1), faults.every(faults.status(502), Kind.CATALOG)
    )
    asked = ["/v2/", "/v2/_catalog", "/v2/", "/v2/", "/v2/"]
    assert [client.ask("GET", path).status for path in asked] == [200, 502, 500, 500, 200]
    assert [request.number for request in server.asked] == [1, 2, 3, 4, 5]


def test_a_stalled_answer_ends_with_the_server() -> None:
    with serving_registry(fault=faults.every(faults.stall(600))) as server:
        ended: list[type[BaseException]] = []

        def ask() -> None:
            with connected(server) as client:
                try:
                    client.ask("GET", "/v2/")
                except OSError as problem:
                    ended.append(type(problem))

        asking = threading.Thread(target=ask)
        asking.start()
        while not server.asked:
            asking.join(0.01)
    asking.join(9)
    assert ended == [ConnectionResetError]


def test_connections_end_with_the_server() -> None:
    with serving_registry() as server:
        made = Client(server)
        made.ask("GET", "/v2/")
    assert made.made.sock.recv(1) == b""
    made.made.close()
