"""A package index that wants our credentials, our memory or our time."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from reconciler.clients.http import index as http
from reconciler.clients.http.index import Http
from reconciler.errors import DeniedError, NotFoundError, ReconcilerError, UnavailableError
from tests.conftest import Required
from tests.servers import Asked, Reply, Server, certificate, serving, speaking

PASSWORD = "hush-hush-4711"  # noqa: S105  # a canary
USER = f"user:{PASSWORD}@"
OK: Reply = (200, {"Content-Type": "text/html"}, b"fine")
REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(http, "_BACKOFF_S", 0.0)
    monkeypatch.setattr(http, "_MAX_WAIT_S", 0.0)


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    """Give another origin, which answers everything."""
    with serving(lambda _: OK) as server:
        yield server


def client(**more: str) -> Http:
    return Http(environ={"HOME": "/nonexistent", **more}, timeout_s=5, limit_s=10)


def with_password(server: Server, path: str = "/") -> str:
    return server.address.replace("://", f"://{USER}") + path


def ask(method: str, url: str, by: Http | None = None) -> object:
    by = by or client()
    return by.size(url) if method == "HEAD" else by.get(url, accept="text/html")


# -- credentials ------------------------------------------------------------------------------------------------


@pytest.mark.threat("T12")
@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_redirect_to_another_origin_carries_no_credential(method: str, status: int, elsewhere: Server) -> None:
    with serving(lambda _: (status, {"Location": f"{elsewhere.address}/x"}, b"")) as index:
        ask(method, with_password(index))
    assert len(index.credentials) == 1
    assert [one.method for one in elsewhere.asked] == [method]
    assert elsewhere.credentials == []


@pytest.mark.threat("T12")
def test_a_redirect_to_another_origin_carries_nothing_of_the_netrc(tmp_path: Path, elsewhere: Server) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login user password {PASSWORD}\ndefault login a password b\n")
    with serving(lambda _: (302, {"Location": elsewhere.address.replace("127.0.0.1", "localhost")}, b"")) as index:
        client(HOME=str(tmp_path)).get(index.address, accept="text/html")
    assert len(index.credentials) == 1
    assert elsewhere.credentials == []


@pytest.mark.threat("T12")
@pytest.mark.parametrize("location", ["//{user}127.0.0.1:{port}/x", "http://{user}127.0.0.1:{port}/x"])
def test_a_credential_that_a_redirect_brings_is_not_used(location: str, elsewhere: Server) -> None:
    target = location.format(user="a:b@", port=elsewhere.port)
    with serving(lambda _: (302, {"Location": target}, b"")) as index:
        client().get(index.address, accept="text/html")
    assert elsewhere.asked
    assert elsewhere.credentials == []


@pytest.mark.threat("T12")
def test_a_credential_goes_no_further_along_a_chain(elsewhere: Server) -> None:
    def away(_: Asked) -> Reply:
        return 302, {"Location": f"{elsewhere.address}/x"}, b""

    with serving(away) as second, serving(lambda _: (302, {"Location": second.address}, b"")) as first:
        assert client().get(with_password(first), accept="text/html").body == b"fine"
    assert len(first.credentials) == 1
    assert [second.credentials, elsewhere.credentials] == [[], []]


def test_a_redirect_inside_an_origin_keeps_the_credential() -> None:
    with serving(lambda one: OK if one.path == "/b" else (302, {"Location": "/b"}, b"")) as index:
        answer = client().get(with_password(index, "/a"), accept="text/html")
    assert answer.url == f"{index.address}/b"
    assert len(index.credentials) == 2


@pytest.mark.threat("T12")
@pytest.mark.parametrize("status", REDIRECTS)
def test_nothing_is_redirected_from_https_to_http(
    status: int, elsewhere: Server, required: Required, tmp_path: Path
) -> None:
    cert, context = certificate(required.program("openssl"), tmp_path)
    headers = {"Location": f"{elsewhere.address}/x"}
    with (
        serving(lambda _: (status, headers, b""), context=context) as index,
        pytest.raises(UnavailableError, match="from https to http"),
    ):
        client(SSL_CERT_FILE=str(cert)).get(with_password(index), accept="text/html")
    assert elsewhere.asked == []


@pytest.mark.threat("T12")
def test_a_certificate_that_nobody_vouches_for_gets_no_credential(required: Required, tmp_path: Path) -> None:
    _, context = certificate(required.program("openssl"), tmp_path)
    with serving(lambda _: OK, context=context) as index, pytest.raises(UnavailableError):
        client().get(with_password(index), accept="text/html")
    assert index.asked == []


@pytest.mark.threat("T12")
@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1",
        "http://",
        "http://[::1",
        "http://h:x/",
        "data:,x",
    ],
)
def test_a_redirect_out_of_the_web_is_refused(location: str) -> None:
    with serving(lambda _: (302, {"Location": location}, b"")) as index, pytest.raises(UnavailableError) as refused:
        client().get(with_password(index), accept="text/html")
    assert PASSWORD not in str(refused.value)


LINK_LOCAL = (
    "169.254.169.254", "169.254.170.2", "[fe80::1]", "[fe80::1%25eth0]", "[::ffff:169.254.169.254]", "user@169.254.0.1",
)  # fmt: skip


@pytest.mark.threat("T12")
@pytest.mark.parametrize("host", LINK_LOCAL)
@pytest.mark.parametrize("redirected", [False, True], ids=["named", "redirected"])
def test_a_link_local_address_is_not_asked(host: str, *, redirected: bool) -> None:
    target = f"http://{host}/latest/meta-data/"
    with (
        serving(lambda _: (302, {"Location": target}, b"")) as index,
        pytest.raises(UnavailableError, match="link-local"),
    ):
        client().get(with_password(index) if redirected else target, accept="text/html")


@pytest.mark.threat("T12")
def test_a_name_that_leads_to_a_link_local_address_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lying(socket.socket):
        """A real connection, whose other side calls itself something else."""

        def getpeername(self) -> tuple[str, int]:
            return ("169.254.169.254", 80)

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        made = Lying(socket.AF_INET)
        made.connect(address)
        return made

    with serving(lambda _: OK) as index:
        monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
        with pytest.raises(UnavailableError, match="link-local"):
            client().get(with_password(index), accept="text/html")
    assert index.asked == []


@pytest.mark.threat("T12")
def test_a_proxys_credential_goes_to_the_proxy_alone(elsewhere: Server) -> None:
    with serving(lambda _: (302, {"Location": f"{elsewhere.address}/x"}, b"")) as proxy:
        by = client(HTTP_PROXY=with_password(proxy), NO_PROXY="127.0.0.1")
        by.get("http://index.invalid/x", accept="text/html")
    assert len(proxy.credentials) == 1
    assert elsewhere.credentials == []


# -- size and time ----------------------------------------------------------------------------------------------


def endless(head: bytes, piece: bytes, pause_s: float = 0.0) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        connection.sendall(head)
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(piece)
                time.sleep(pause_s)

    return talk


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
BOMB = gzip.compress(bytes(128 << 20))


@pytest.mark.parametrize(
    "talk",
    [
        endless(HEAD + b"\r\n", bytes(1 << 20)),
        endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + bytes(1 << 20) + b"\r\n"),
        endless(HEAD + b"Content-Encoding: gzip\r\n\r\n" + BOMB, b""),
        endless(HEAD + b"Content-Length: 999999999999\r\n\r\n", bytes(1 << 20)),
    ],
    ids=["without a length", "chunked", "a gzip bomb", "with a length"],
)
def test_a_page_without_end_is_given_up(talk: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_PAGE", 4 << 20)
    with speaking(talk) as index, pytest.raises(UnavailableError, match="more than a page may hold"):
        client().get(index.address, accept="text/html")


@pytest.mark.parametrize(
    "talk",
    [
        endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", 0.2),
        endless(b"HTTP/1.1 200 OK\r\nX: ", b"y", 0.2),
        endless(HEAD + b"\r\n", b"y", 0.2),
        endless(HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0", b"n", 0.2),
        endless(b"", b"", 1),
    ],
    ids=["headers", "one header", "a body", "a gzip header", "nothing at all"],
)
def test_a_server_that_dawdles_is_given_up(talk: Callable[[socket.socket], None]) -> None:
    begun = time.monotonic()
    with speaking(talk) as index, pytest.raises(UnavailableError):
        Http(environ={}, timeout_s=0.6, limit_s=1.0).get(index.address, accept="text/html")
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "deflate", "gzip"])
def test_a_page_in_another_encoding_is_refused(encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    with serving(lambda _: (200, headers, b"no such thing")) as index, pytest.raises(UnavailableError):
        client().get(index.address, accept="text/html")


@pytest.mark.parametrize("members", [1, 3])
def test_a_packed_page_is_unpacked(members: int) -> None:
    text = b"<a href=x>x</a>" * 20_000
    with serving(lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(text) * members)) as index:
        assert client().get(index.address, accept="text/html").body == text * members


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_page_that_ends_early_is_no_page(cut: int) -> None:
    whole = gzip.compress(bytes(range(256)))
    for headers, body in (({"Content-Encoding": "gzip"}, whole[:cut]), ({"Content-Length": "400"}, bytes(cut))):

        def talk(connection: socket.socket, headers: dict[str, str] = headers, body: bytes = body) -> None:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            connection.sendall(HEAD + lines.encode() + b"Connection: close\r\n\r\n" + body)

        with speaking(talk) as index, pytest.raises(UnavailableError):
            client().get(index.address, accept="text/html")


@pytest.mark.parametrize("length", ["-1", "1e9", "9" * 5000, "0x10", "٣", "5, 6", ""])
def test_a_length_that_is_none_is_not_believed(length: str) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode() + b"\r\n\r\n")

    # An answer that is no HTTP is as good.
    with speaking(talk) as index, contextlib.suppress(UnavailableError):
        assert client().size(index.address) is None


# -- tries ------------------------------------------------------------------------------------------------------


AFTER = ["", "0", "3600", "99999999999999999999", "-5", "Wed, 21 Oct 2099 07:28:00 GMT", "rubbish", "nan", "1e9"]


@pytest.mark.threat("F8")
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_never_can_is_asked_a_few_times(status: int, after: str) -> None:
    headers = {"Retry-After": after}
    with serving(lambda _: (status, headers, b"")) as index, pytest.raises(UnavailableError, match=str(status)):
        client().size(index.address)
    assert len(index.asked) == http.MAX_TRIES


@pytest.mark.threat("F8")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_can_in_the_end_is_heard(status: int) -> None:
    answers = iter([(status, {"Retry-After": "1"}, b""), OK])
    guard = threading.Lock()

    def reply(_: Asked) -> Reply:
        with guard:
            return next(answers)

    with serving(reply) as index:
        assert client().get(index.address, accept="text/html").body == b"fine"


@pytest.mark.threat("F8")
@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"\0\0\0", b"HTTP/1.1 abc"]
)
def test_a_connection_that_breaks_is_tried_again(said: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        whole = HEAD + b"Content-Length: 4\r\n\r\nfine"
        connection.sendall(said if len(index.asked) == 1 else whole)

    with speaking(talk) as index:
        assert client().get(index.address, accept="text/html").body == b"fine"
    assert len(index.asked) == 2


@pytest.mark.parametrize("location", ["/again", "", "/{count}"])
def test_redirects_have_an_end(location: str) -> None:
    counted = itertools.count()

    def reply(_: Asked) -> Reply:
        return 302, {"Location": location.format(count=next(counted))}, b""

    with serving(reply) as index, pytest.raises(UnavailableError, match="redirects without end"):
        client().get(index.address, accept="text/html")
    assert len(index.asked) == http.MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, DeniedError), (403, DeniedError), (404, NotFoundError), (410, NotFoundError), (418, UnavailableError)],
)
def test_a_clear_answer_is_asked_for_once(status: int, kind: type[ReconcilerError]) -> None:
    with serving(lambda _: (status, {}, b"")) as index, pytest.raises(kind):
        client().size(index.address)
    assert len(index.asked) == 1


@pytest.mark.parametrize("url", ["http://", "http://[::1", "http://h:99999/", "x", "", f"http://{'a' * 70}.invalid/"])
def test_an_address_that_is_none_is_an_error_of_ours(url: str) -> None:
    with pytest.raises(UnavailableError):
        client().get(url, accept="text/html")


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_certificates_that_can_not_be_read_are_said(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "cert.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnavailableError, match="SSL_CERT_FILE"):
        client(SSL_CERT_FILE=str(file)).size("https://127.0.0.1:9/x")


def test_a_certificate_that_the_machine_vouches_for_is_enough(required: Required, tmp_path: Path) -> None:
    cert, context = certificate(required.program("openssl"), tmp_path)
    assert isinstance(context, ssl.SSLContext)
    with serving(lambda _: OK, context=context) as index:
        assert client(SSL_CERT_FILE=str(cert)).get(with_password(index), accept="text/html").body == b"fine"
    assert len(index.credentials) == 1
