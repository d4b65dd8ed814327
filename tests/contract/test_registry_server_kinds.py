"""The registry that other tests run against behaves like this or that kind of registry, and asks who it is."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import pytest

from tests import registry_faults as faults
from tests.registry_auth import Basic, Bearer
from tests.registry_client import MANIFEST, NAME, Client, connected, manifest, sha
from tests.registry_faults import Point
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings, Stale
from tests.servers import certificate

BASIC = {"Authorization": "Basic " + base64.b64encode(b"user:secret").decode()}


class Required(Protocol):
    def program(self, name: str) -> Path: ...


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


# -- kinds of registries ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("same", [False, True])
def test_an_immutable_tag_is_written_once(client: Client, server: RegistryServer, pushed: bytes, *, same: bool) -> None:
    server.settings = Settings(
        immutable=lambda tag: tag.startswith("v"),
        immutable_same=same,
        immutable_status=409,
        immutable_code="CONFLICT",
    )
    other = manifest(sha(b"{}"), note="other")
    assert client.push_manifest("v1", pushed).status == (409 if same else 201)
    assert client.push_manifest("v1", other).code == "CONFLICT"
    assert client.push_manifest("current", pushed).status == 201
    assert client.push_manifest("current", other).status == 201
    assert server.store.repositories[NAME].tags["v1"] == sha(pushed)


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "DENIED")])
def test_a_registry_may_deny_what_is_absent_until_it_is_pushed(
    client: Client, server: RegistryServer, status: int, code: str
) -> None:
    server.settings = Settings(unauthorized_when_absent=status, auth=Basic())
    for path in ("manifests/v1", "tags/list", f"blobs/{sha(b'')}"):
        answer = client.ask("GET", f"/v2/{NAME}/{path}", **BASIC)
        assert (answer.status, answer.code) == (status, code)
    assert client.ask("POST", f"/v2/{NAME}/blobs/uploads/", **BASIC).status == 202
    assert client.ask("HEAD", f"/v2/{NAME}/manifests/v1", **BASIC).status == status
    client.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={sha(b'{}')}", b"{}", **BASIC)
    assert client.ask("HEAD", f"/v2/{NAME}/manifests/v1", **BASIC).status == 404


def test_a_repository_may_have_to_exist_first(client: Client, server: RegistryServer) -> None:
    server.settings = Settings(must_exist_first=True)
    refused = client.ask("POST", f"/v2/{NAME}/blobs/uploads/")
    assert (refused.status, refused.code) == (404, "NAME_UNKNOWN")
    server.store.create(NAME)
    assert client.ask("POST", f"/v2/{NAME}/blobs/uploads/").status == 202


def test_a_store_can_be_filled_before(client: Client, server: RegistryServer) -> None:
    repository = server.store.create(NAME)
    data = manifest(repository.put_blob(b"{}"))
    assert repository.put_manifest(MANIFEST, data, ["v1"]) == sha(data)
    assert client.ask("GET", f"/v2/{NAME}/manifests/v1").body == data


@pytest.mark.parametrize(
    ("stale", "expected"),
    [
        (Stale(reads=2), "HEAD old, GET old, GET new"),
        (Stale(reads=2, missing=True), "HEAD none, GET none, HEAD new"),
        (Stale(reads=1, head=False, missing=True), "HEAD new, HEAD new, GET none, GET new"),
        (Stale(seconds=600, get=False), "HEAD old, GET new, HEAD old"),
    ],
)
def test_reads_may_be_behind_after_a_push(
    client: Client, server: RegistryServer, pushed: bytes, stale: Stale, expected: str
) -> None:
    server.settings = Settings(stale=stale)
    other = manifest(sha(b"{}"), note="other")
    client.push_manifest("v1", other)
    seen = {None: "none", sha(pushed): "old", sha(other): "new"}
    methods = [word.split()[0] for word in expected.split(", ")]
    answers = [client.ask(method, f"/v2/{NAME}/manifests/v1") for method in methods]
    digests = [answer.headers.get("Docker-Content-Digest") for answer in answers]
    assert ", ".join(f"{how} {seen[digest]}" for how, digest in zip(methods, digests, strict=True)) == expected


def test_lists_and_digests_may_be_behind_too(client: Client, server: RegistryServer, pushed: bytes) -> None:
    server.settings = Settings(stale=Stale(reads=1, digests=True, lists=True))
    other = manifest(sha(b"{}"), note="other")
    client.push_manifest("v2", other)
    assert client.ask("GET", f"/v2/{NAME}/manifests/{sha(pushed)}").status == 200
    assert [client.ask("GET", f"/v2/{NAME}/manifests/{sha(other)}").status for _ in range(2)] == [404, 200]
    assert json.loads(client.ask("GET", f"/v2/{NAME}/tags/list").body)["tags"] == ["v1"]
    assert [client.ask("GET", f"/v2/{NAME}/manifests/v2").status for _ in range(2)] == [404, 200]
    assert json.loads(client.ask("GET", f"/v2/{NAME}/tags/list").body)["tags"] == ["v1", "v2"]


# -- who may ask ------------------------------------------------------------------------------------------------


def test_a_password_is_asked_for(client: Client, server: RegistryServer) -> None:
    server.settings = Settings(auth=Basic())
    refused = client.ask("GET", "/v2/")
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="registry"')
    wrong = {"Authorization": "Basic " + base64.b64encode(b"user:wrong").decode()}
    assert client.ask("GET", "/v2/", **wrong).status == 401
    assert client.ask("GET", "/v2/", Authorization="Basic !").status == 401
    assert client.ask("GET", "/v2/", **BASIC).status == 200
    assert server.credentials == [wrong["Authorization"], "Basic !", BASIC["Authorization"]]


def token(client: Client, scope: str, **headers: str) -> dict[str, str]:
    answer = client.ask("GET", f"/token?{urlencode({'service': 'registry.test', 'scope': scope})}", **headers)
    assert answer.status == 200
    return {"Authorization": "Bearer " + json.loads(answer.body)["token"]}


def test_a_token_is_good_for_its_scope_alone_and_until_it_expires(client: Client, server: RegistryServer) -> None:
    bearer = Bearer(granted=lambda name, action: name == NAME and action != "delete")
    server.settings = Settings(auth=bearer)
    path = f"/v2/{NAME}/manifests/v1"
    challenge = client.ask("GET", path).headers["WWW-Authenticate"]
    scope = f"repository:{NAME}:pull"
    assert challenge == f'Bearer realm="{server.url}/token",service="registry.test",scope="{scope}"'
    pull = token(client, scope, **BASIC)
    assert client.ask("GET", "/v2/", **pull).status == 200
    assert client.ask("GET", path, **pull).code == "NAME_UNKNOWN"
    start = client.ask("POST", f"/v2/{NAME}/blobs/uploads/", **pull)
    assert start.headers["WWW-Authenticate"].endswith(f'scope="repository:{NAME}:pull,push",error="insufficient_scope"')
    assert client.ask("GET", "/v2/other/manifests/v1", **token(client, "repository:other:pull", **BASIC)).status == 401
    deleting = token(client, f"repository:{NAME}:delete", **BASIC)
    assert client.ask("DELETE", path, **deleting).status == 401
    bearer.expire_all()
    expired = client.ask("GET", path, **pull)
    assert (expired.status, expired.headers["WWW-Authenticate"].endswith(',error="invalid_token"')) == (401, True)


def test_a_mount_needs_both_repositories(client: Client, server: RegistryServer) -> None:
    server.settings = Settings(auth=Bearer())
    path = f"/v2/{NAME}/blobs/uploads/?mount={sha(b'')}&from=other"
    both = f"repository:other:pull repository:{NAME}:pull,push"
    assert f'scope="{both}"' in client.ask("POST", path).headers["WWW-Authenticate"]
    assert client.ask("POST", path, **token(client, f"repository:{NAME}:pull,push", **BASIC)).status == 401
    assert client.ask("POST", path, **token(client, both, **BASIC)).status == 202


def test_a_token_is_given_to_who_may_have_it(client: Client, server: RegistryServer) -> None:
    server.settings = Settings(auth=Bearer(identity_token="identity", anonymous=frozenset(["pull"])))  # noqa: S106
    pull = f"repository:{NAME}:pull"
    path = f"/v2/{NAME}/tags/list"
    assert client.ask("GET", path, **token(client, pull)).status == 404
    assert client.ask("POST", f"/v2/{NAME}/blobs/uploads/", **token(client, f"{pull},push")).status == 401
    form = {"service": "registry.test", "scope": pull}
    for more, status in (
        ({"grant_type": "refresh_token", "refresh_token": "identity"}, 200),
        ({"grant_type": "refresh_token", "refresh_token": "other"}, 401),
        ({"grant_type": "password", "username": "user", "password": "secret"}, 200),
        ({"grant_type": "password", "username": "user", "password": "other"}, 401),
    ):
        assert client.ask("POST", "/token", urlencode(form | more).encode()).status == status
    wrong = "Basic " + base64.b64encode(b"user:wrong").decode()
    assert client.ask("GET", f"/token?{urlencode(form)}", Authorization=wrong).status == 401


def test_tokens_may_come_from_another_server(client: Client, server: RegistryServer) -> None:
    bearer = Bearer()
    server.settings = Settings(auth=bearer)
    with serving_registry(Settings(auth=bearer)) as tokens:
        bearer.realm = f"{tokens.url}/token"
        assert f'realm="{tokens.url}/token"' in client.ask("GET", "/v2/").headers["WWW-Authenticate"]
        with connected(tokens) as other:
            assert client.ask("GET", "/v2/", **token(other, "", **BASIC)).status == 200


def test_it_speaks_tls(required: Required, tmp_path: Path) -> None:
    trusted, context = certificate(required.program("openssl"), tmp_path)
    with serving_registry(context=context) as server:
        trusting = ssl.create_default_context(cafile=trusted)
        with connected(server, trusting) as client:
            path = f"/v2/{NAME}/blobs/{client.push_blob(b'0' * 3_000_000)}"
            assert len(client.ask("GET", path).body) == 3_000_000
            server.fault = faults.every(faults.reset(Point.MIDDLE))
            with pytest.raises((ConnectionError, ssl.SSLError, http.client.IncompleteRead)):
                client.ask("GET", path)
        server.fault = faults.never
        with connected(server, ssl.create_default_context()) as client, pytest.raises(ssl.SSLCertVerificationError):
            client.ask("GET", "/v2/")
        with connected(server, trusting) as client:
            assert client.ask("GET", "/v2/").status == 200
