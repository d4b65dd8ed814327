"""A whole registry in process, on loopback: what it holds can be looked at, and whatever can go wrong with one does.

::

    with serving_registry(Settings(page_size=2, auth=Bearer())) as server:
        server.fault = faults.first(faults.status(503), Kind.PUT_MANIFEST)
        ...  # talk to server.address
        assert server.store.repositories["team/training"].tags["current"] == digest
        assert server.kinds().count(Kind.START_UPLOAD) == 1

``registry_messages`` has what is asked and answered, ``registry_faults`` what goes wrong, ``registry_auth`` who may
ask, ``registry_store`` what is held and how it behaves, ``registry_protocol`` the specification.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.registry_faults import NONE, Asking, Fault, Point, ResetConnectionError, never
from tests.registry_messages import Kind, Request, Response, parse_request
from tests.registry_protocol import Service
from tests.registry_store import Settings, Store

_PIECE = 1 << 20


@dataclass
class RegistryServer:
    """Where it listens, what it holds, what it was asked; ``settings`` and ``fault`` may be set at any time."""

    port: int
    scheme: str
    store: Store
    settings: Settings
    fault: Asking = never
    asked: list[Request] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def address(self) -> str:
        """What stands before a repository's name: ``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.address}"

    @property
    def credentials(self) -> list[str]:
        """Every header that carried one."""
        names = ("authorization", "proxy-authorization", "cookie")
        return [value for one in self.asked for name, value in one.headers.items() if name.lower() in names]

    @property
    def writes(self) -> list[Request]:
        """Every request that was to change something."""
        return [one for one in self.asked if one.is_write]

    def kinds(self, *only: str) -> list[Kind]:
        """Tell what was asked, in order; of these kinds alone where some are given."""
        return [one.kind for one in self.asked if not only or one.kind in only]

    def note(self, method: str, path: str, headers: dict[str, str]) -> Request:
        """Number a request and keep it."""
        with self.lock:
            request = parse_request(len(self.asked) + 1, method, path, headers)
            self.asked.append(request)
        return request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    registry: RegistryServer

    def handle_any(self) -> None:
        try:
            self._handle()
        except ResetConnectionError:
            self._reset()
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815  # http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
        """Say nothing."""

    def _handle(self) -> None:
        registry = self.registry
        request = registry.note(self.command, self.path, dict(self.headers.items()))
        fault = registry.fault(request) or NONE
        self._reach(Point.BEFORE_BODY, fault)
        body = b""
        if fault.early:
            self.close_connection = True
        else:
            body = self._read_body()
            self._reach(Point.AFTER_BODY, fault)
        service = Service(store=registry.store, settings=registry.settings, base=registry.url)
        response = fault.change(fault.instead or service.answer(request, body))
        self._reach(Point.AFTER_WORK, fault)
        self._send(response, fault)
        self._reach(Point.END, fault)

    def _reach(self, point: Point, fault: Fault) -> None:
        if action := fault.actions.get(point):
            action(self.registry.stopped)

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._read_chunks())
        return self._read_exactly(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(100).partition(b";")[0] or b"0", 16):
            yield self._read_exactly(size)
            self.rfile.readline(100)
        while self.rfile.readline(1000).strip():
            """A trailer."""

    def _read_exactly(self, size: int) -> bytes:
        data = self.rfile.read(size) if size else b""
        if len(data) < size:
            raise ConnectionResetError("the client stopped in the middle of a body")
        return data

    def _send(self, response: Response, fault: Fault) -> None:
        headers = {"Content-Length": str(len(response.body)), **response.headers}
        is_chunked = "Transfer-Encoding" in headers
        if is_chunked or response.status == 204:
            del headers["Content-Length"]
        elif headers["Content-Length"] != str(len(response.body)):
            self.close_connection = True
        if self.close_connection:
            headers["Connection"] = "close"
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._reach(Point.AFTER_HEADERS, fault)
        if self.command != "HEAD" and response.status != 204:
            self._send_body(response, fault, is_chunked=is_chunked)

    def _send_body(self, response: Response, fault: Fault, *, is_chunked: bool) -> None:
        body, half = memoryview(response.body), len(response.body) // 2
        for piece in _pieces(body[:half], fault):
            self._write(piece, fault, is_chunked=is_chunked)
        self._reach(Point.MIDDLE, fault)
        for piece in _pieces(body[half:], fault):
            self._write(piece, fault, is_chunked=is_chunked)
        for more in response.tail:
            if self.registry.stopped.is_set():
                raise ResetConnectionError
            self._write(more, fault, is_chunked=is_chunked)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, piece: bytes | memoryview, fault: Fault, *, is_chunked: bool) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
        if fault.pause_s and self.registry.stopped.wait(fault.pause_s):
            raise ResetConnectionError

    def _reset(self) -> None:
        """Close at once, whatever else holds the socket, so that the other side is told so."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())


def _pieces(body: memoryview, fault: Fault) -> Iterable[bytes | memoryview]:
    size = fault.piece_bytes or _PIECE
    return (body[start : start + size] for start in range(0, len(body), size))


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), handler)

    def process_request_thread(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Keep what is open in sight, so that it ends with the server."""
        self.open.add(request)
        super().process_request_thread(request, client_address)
        self.open.discard(request)

    def end_connections(self) -> None:
        for connection in tuple(self.open):
            # Detached by a reset, or closed just now.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that went away, or that does not trust the certificate."""
        del request, client_address


@contextlib.contextmanager
def serving_registry(
    settings: Settings | None = None,
    *,
    store: Store | None = None,
    fault: Asking = never,
    context: ssl.SSLContext | None = None,
) -> Iterator[RegistryServer]:
    """Serve until the block ends; two servers may share a store. ``context`` makes it one of TLS."""

    class Handler(_Handler):
        """Belongs to this server."""

    listener = _Listener(Handler)
    if context is not None:
        # The thread of a connection shakes hands, so that a client that does not can't stop the others.
        listener.socket = context.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    Handler.registry = server = RegistryServer(
        port=listener.server_address[1],
        scheme="https" if context else "http",
        store=store or Store(),
        settings=settings or Settings(),
        fault=fault,
    )
    threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        server.stopped.set()
        listener.shutdown()
        listener.server_close()
        listener.end_connections()
