"""Plain HTTP for tests that look at a registry's answers themselves, and a manifest that is just enough of one."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from tests.registry_messages import named
from tests.registry_server import RegistryServer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "team/training"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def code(self) -> str:
        value = json.loads(self.body)["errors"][0]
        assert set(value) == {"code", "message", "detail"}
        return str(value["code"])


class Client:
    """Plain HTTP, on one connection."""

    def __init__(self, server: RegistryServer, context: ssl.SSLContext | None = None) -> None:
        self.made = (
            http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        )

    def ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, /, **headers: str) -> Answer:
        chunked = not isinstance(body, (bytes, type(None)))
        self.made.request(method, path, body=body, headers=named(headers), encode_chunked=chunked)
        response = self.made.getresponse()
        return Answer(response.status, response.headers, response.read())

    def push_blob(self, data: bytes, name: str = NAME) -> str:
        assert self.ask("POST", f"/v2/{name}/blobs/uploads/?digest={sha(data)}", data).status == 201
        return sha(data)

    def push_manifest(self, reference: str, data: bytes, media_type: str = MANIFEST) -> Answer:
        return self.ask("PUT", f"/v2/{NAME}/manifests/{reference}", data, content_type=media_type)


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def manifest(*layers: str, note: str = "") -> bytes:
    described = [{"digest": layer, "size": 1, "mediaType": "x"} for layer in layers]
    return json.dumps(
        {"mediaType": MANIFEST, "config": described[0], "layers": described[1:], "annotations": {"note": note}}
    ).encode()


@contextlib.contextmanager
def connected(server: RegistryServer, context: ssl.SSLContext | None = None) -> Iterator[Client]:
    """Ask over one connection until the block ends."""
    made = Client(server, context)
    try:
        yield made
    finally:
        made.made.close()
