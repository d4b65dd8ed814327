"""HTTP servers on loopback for tests: a handler says what each path answers, and what was asked is kept."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Reply = tuple[int, Mapping[str, str], bytes]


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    port: int
    scheme: str = "http"
    asked: list[Asked] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> list[str]:
        """Every header that carried one."""
        names = ("authorization", "proxy-authorization", "cookie")
        return [value for one in self.asked for name, value in one.headers.items() if name.lower() in names]


@contextlib.contextmanager
def serving(reply: Callable[[Asked], Reply], *, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve until the block ends."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            one = Asked(self.command, self.path, dict(self.headers.items()))
            asked.append(one)
            status, headers, body = reply(one)
            self.send_response(status)
            if not any(name.lower() in ("content-length", "transfer-encoding") for name in headers):
                self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = handle_any  # noqa: N815  # http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield Server(port=server.server_address[1], scheme="https" if context else "http", asked=asked)
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def speaking(talk: Callable[[socket.socket], None]) -> Iterator[Server]:
    """Accept connections and let ``talk`` say whatever it likes on each."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(port=listener.getsockname()[1])
    stop = threading.Event()

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            request = connection.recv(1 << 16)
            server.asked.append(Asked(request.split(b" ", 1)[0].decode(), "", {}))
            talk(connection)

    def accept() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                threading.Thread(target=one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        stop.set()
        listener.close()


def certificate(openssl: Path, folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate of 127.0.0.1, and the context of a server that shows it."""
    import subprocess  # noqa: PLC0415  # only tests of TLS pay

    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        [
            openssl,
            *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext"],
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            cert,
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
