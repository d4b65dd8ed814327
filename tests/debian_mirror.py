"""A Debian mirror on loopback that has files of packages alone: no release, no index, and of packages only some."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


@dataclass(kw_only=True)
class LateMirror:
    """``files`` by path below the archive; ``asked`` are the paths that were asked for."""

    files: Mapping[str, Path]
    address: str = ""
    asked: list[str] = field(default_factory=list)

    @property
    def config(self) -> str:
        """What reconciler.yaml says of it."""
        lines = (f"  {alias}: {{mirror: {self.address}/{alias}}}\n" for alias in ("debian", "debian-security"))
        return f"archives:\n{''.join(lines)}"


@contextlib.contextmanager
def serving_mirror(files: Mapping[str, Path]) -> Iterator[LateMirror]:
    """Serve the files, whichever archive is asked, until the block ends."""
    mirror = LateMirror(files=files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # http.server's name
            _, _, path = unquote(self.path).lstrip("/").partition("/")
            mirror.asked.append(path)
            found = mirror.files.get(path)
            data = found.read_bytes() if found else b"gone\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    mirror.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
