"""Where benchmarks take packages from: an index on loopback that counts what it gives, and large wheels made for it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_PAGE = "application/vnd.pypi.simple.v1+json"
_BLOCK = 1 << 22
_TIME = (2020, 1, 1, 0, 0, 0)


@dataclass(kw_only=True)
class PackageIndex:
    """An index (PEP 691) of the wheels of a folder, by project; ``sent`` are the bytes of files that it gave."""

    folder: Path
    projects: Mapping[str, list[Mapping[str, object]]] = field(default_factory=dict)
    address: str = ""
    sent: int = 0

    def page(self, project: str) -> bytes:
        """Give a project's page."""
        return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": self.projects[project]}).encode()

    def taken(self) -> int:
        """Give what was sent since it was asked last."""
        sent, self.sent = self.sent, 0
        return sent


def _projects(folder: Path) -> Mapping[str, list[Mapping[str, object]]]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for path in sorted(folder.glob("*.whl")):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = path.name.split("-")[0].replace("_", "-").replace(".", "-").lower()
        about = {"filename": path.name, "url": f"/files/{path.name}", "hashes": {"sha256": digest}}
        found.setdefault(name, []).append({**about, "size": path.stat().st_size})
    return found


@contextlib.contextmanager
def serving_index(folder: Path) -> Iterator[PackageIndex]:
    """Serve the wheels of a folder on loopback until the block ends."""
    index = PackageIndex(folder=folder, projects=_projects(folder))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # http.server's name
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "files":
                self._file(folder / Path(name).name)
            elif name in index.projects:
                self._answer(200, index.page(name))
            else:
                self._answer(404, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", _PAGE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _file(self, path: Path) -> None:
            size = path.stat().st_size
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            with path.open("rb") as file:
                self.connection.sendfile(file)
            index.sent += size

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    index.address = f"http://127.0.0.1:{server.server_address[1]}/simple/"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()


# -- large wheels -----------------------------------------------------------------------------------------------


def write_large_wheel(folder: Path, name: str, megabytes: int) -> Path:
    """Write a wheel with one module and one file that can't be compressed."""
    stem = f"{name}-1.0"
    path = folder / f"{stem}-py3-none-any.whl"
    texts = {
        f"{name}/__init__.py": b"",
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [_entry(entry, sha256(text), len(text)) for entry, text in texts.items()]
    block, size = Random(name).randbytes(_BLOCK), megabytes << 20  # noqa: S311  # the same each time
    info, hashed = zipfile.ZipInfo(f"{name}/data.bin", _TIME), sha256()
    info.file_size = size
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(info, "w") as file:
            for number in range(size // _BLOCK):
                numbered = number.to_bytes(8, "little") + block[8:]
                hashed.update(numbered)
                file.write(numbered)
        for entry, text in texts.items():
            archive.writestr(zipfile.ZipInfo(entry, _TIME), text)
        lines = [*record, _entry(info.filename, hashed, size), f"{stem}.dist-info/RECORD,,", ""]
        archive.writestr(zipfile.ZipInfo(f"{stem}.dist-info/RECORD", _TIME), "\n".join(lines))
    return path


def _entry(name: str, hashed: Hash, size: int) -> str:
    return f"{name},sha256={urlsafe_b64encode(hashed.digest()).rstrip(b'=').decode()},{size}"
