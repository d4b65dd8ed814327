"""What a registry is asked and answers, for ``tests/registry_server.py``.

The paths, words and codes are those of the OCI distribution specification 1.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

_REPOSITORY = re.compile(r"/v2/(?P<name>.+)/(?P<what>manifests|blobs|tags|referrers)/(?P<rest>.*)")


class Kind(StrEnum):
    """What a request is for; equal to its word."""

    PING = "ping"
    TOKEN = "token"  # noqa: S105  # a word, no secret
    CATALOG = "catalog"
    TAGS = "tags"
    REFERRERS = "referrers"
    HEAD_MANIFEST = "head manifest"
    GET_MANIFEST = "get manifest"
    PUT_MANIFEST = "put manifest"
    DELETE_MANIFEST = "delete manifest"
    HEAD_BLOB = "head blob"
    GET_BLOB = "get blob"
    DELETE_BLOB = "delete blob"
    START_UPLOAD = "start upload"
    MOUNT = "mount"
    PUT_UPLOAD = "put upload"
    PATCH_UPLOAD = "patch upload"
    GET_UPLOAD = "get upload"
    DELETE_UPLOAD = "delete upload"
    OTHER = "other"


WRITES = frozenset(
    [
        *[Kind.PUT_MANIFEST, Kind.DELETE_MANIFEST, Kind.DELETE_BLOB, Kind.START_UPLOAD, Kind.MOUNT],
        *[Kind.PUT_UPLOAD, Kind.PATCH_UPLOAD, Kind.DELETE_UPLOAD],
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request: its number on this server (from 1), and what it is for.

    ``path`` is as it was sent, with its query. ``name`` is the repository, ``reference`` a tag, a digest or the id of
    an upload; both are empty where the path has none.
    """

    number: int
    method: str
    path: str
    kind: Kind
    headers: Mapping[str, str]
    name: str = ""
    reference: str = ""
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_write(self) -> bool:
        return self.kind in WRITES

    @property
    def credential(self) -> str:
        """What its Authorization header says, empty where there is none."""
        return self.header("authorization")

    def header(self, name: str) -> str:
        """Give a header by its name, in any case; empty where it was not sent."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


def parse_request(number: int, method: str, path: str, headers: Mapping[str, str]) -> Request:
    """Tell what a request is for."""
    split = urlsplit(path)
    query = dict(reversed(parse_qsl(split.query, keep_blank_values=True)))
    kind, name, reference = _kind(method, unquote(split.path), query)
    return Request(
        number=number,
        method=method,
        path=path,
        kind=kind,
        headers=headers,
        name=name,
        reference=reference,
        query=query,
    )


def _kind(method: str, path: str, query: Mapping[str, str]) -> tuple[Kind, str, str]:
    fixed = {"/v2/": Kind.PING, "/v2": Kind.PING, "/v2/_catalog": Kind.CATALOG, "/token": Kind.TOKEN}
    if path in fixed:
        return fixed[path], "", ""
    match = _REPOSITORY.fullmatch(path)
    if match is None:
        return Kind.OTHER, "", ""
    name, what, rest = match["name"], match["what"], match["rest"]
    if what == "blobs" and (rest == "uploads" or rest.startswith("uploads/")):
        reference = rest.removeprefix("uploads").removeprefix("/")
        word = {"POST": "mount" if "mount" in query else "start upload"} if not reference else {}
        return _named(word.get(method, f"{method.lower()} upload")), name, reference
    word = {"tags": {"GET": "tags"}, "referrers": {"GET": "referrers"}}.get(what, {})
    return _named(word.get(method, f"{method.lower()} {what.removesuffix('s')}")), name, rest


def _named(word: str) -> Kind:
    return Kind(word) if word in list(Kind) else Kind.OTHER


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One answer. ``Content-Length`` is that of ``body`` unless ``headers`` hold one, or a ``Transfer-Encoding``.

    ``tail`` is sent after the body and never counted: it may be endless.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    tail: Iterable[bytes] = ()


def error(status: int, code: str, message: str = "", *, detail: object = None, **headers: str) -> Response:
    """Make an error of the specification; headers are named as ``retry_after="3"``."""
    body = {"errors": [{"code": code, "message": message or code.lower().replace("_", " "), "detail": detail}]}
    return document(body, status=status, **headers)


def document(value: object, *, status: int = 200, **headers: str) -> Response:
    """Make an answer of JSON; headers are named as ``retry_after="3"``."""
    return Response(
        status=status,
        headers={"Content-Type": "application/json", **named(headers)},
        body=json.dumps(value).encode() + b"\n",
    )


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Name headers as HTTP does: ``retry_after`` is ``Retry-After``."""
    return {name.replace("_", "-").title(): value for name, value in headers.items()}
