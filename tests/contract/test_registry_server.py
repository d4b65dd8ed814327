"""The registry that other tests run against keeps to the distribution specification."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import pytest

from tests.registry_auth import Basic, Bearer
from tests.registry_client import INDEX, MANIFEST, NAME, Client, connected, manifest, sha
from tests.registry_messages import Kind
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings


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


def test_it_says_what_it_is(client: Client) -> None:
    answer = client.ask("GET", "/v2/")
    assert (answer.status, answer.headers["Docker-Distribution-Api-Version"]) == (200, "registry/2.0")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_manifest_is_given_by_tag_and_digest_as_it_was_pushed(client: Client, pushed: bytes, method: str) -> None:
    for reference in ("v1", sha(pushed)):
        answer = client.ask(method, f"/v2/{NAME}/manifests/{reference}")
        assert (answer.status, answer.body) == (200, pushed if method == "GET" else b"")
        assert answer.headers["Content-Type"] == MANIFEST
        assert answer.headers["Content-Length"] == str(len(pushed))
        assert answer.headers["Docker-Content-Digest"] == sha(pushed)


def test_what_is_not_there_is_told_by_its_own_code(client: Client, pushed: bytes) -> None:
    del pushed
    absent = sha(b"absent")
    asked = {
        f"GET /v2/{NAME}/manifests/none": "MANIFEST_UNKNOWN",
        f"GET /v2/{NAME}/manifests/{absent}": "MANIFEST_UNKNOWN",
        f"DELETE /v2/{NAME}/manifests/none": "MANIFEST_UNKNOWN",
        f"GET /v2/{NAME}/blobs/{absent}": "BLOB_UNKNOWN",
        f"DELETE /v2/{NAME}/blobs/{absent}": "BLOB_UNKNOWN",
        f"GET /v2/{NAME}/blobs/uploads/none": "BLOB_UPLOAD_UNKNOWN",
        f"GET /v2/{NAME}/referrers/{absent}": "UNSUPPORTED",
        "GET /v2/other/tags/list": "NAME_UNKNOWN",
        "GET /v2/other/manifests/v1": "NAME_UNKNOWN",
        "GET /elsewhere": "UNSUPPORTED",
    }
    for line, code in asked.items():
        method, path = line.split()
        answer = client.ask(method, path)
        assert (answer.status, answer.code) == (404, code), line
    assert client.ask("HEAD", f"/v2/{NAME}/manifests/none").status == 404


def test_a_manifest_that_is_none_or_names_what_is_not_there_is_refused(client: Client, server: RegistryServer) -> None:
    config = client.push_blob(b"{}")
    good = manifest(config)
    of_absent = json.dumps({"mediaType": INDEX, "manifests": [{"digest": sha(b"")}]}).encode()
    both = json.dumps({"manifests": [], "layers": []}).encode()
    refused = [
        (client.push_manifest("v1", manifest(config, sha(b"absent"))), 404, "MANIFEST_BLOB_UNKNOWN"),
        (client.push_manifest("v1", of_absent, INDEX), 404, "MANIFEST_BLOB_UNKNOWN"),
        (client.push_manifest("v1", good, INDEX), 400, "MANIFEST_INVALID"),
        (client.push_manifest("v1", both), 400, "MANIFEST_INVALID"),
        (client.push_manifest("v1", b"["), 400, "MANIFEST_INVALID"),
        (client.push_manifest("v1", b" " * (4 << 20) + good), 413, "SIZE_INVALID"),
        (client.push_manifest(sha(b"other"), good), 400, "DIGEST_INVALID"),
        (client.push_manifest("sha256:no", good), 400, "DIGEST_INVALID"),
        (client.push_manifest("-no", good), 400, "TAG_INVALID"),
        (client.ask("PUT", "/v2/No/manifests/v1", good), 400, "NAME_INVALID"),
    ]
    assert [(answer.status, answer.code) for answer, _, _ in refused] == [(status, code) for _, status, code in refused]
    assert not server.store.repositories[NAME].manifests
    assert client.push_manifest(sha(good), good).status == 201
    assert client.push_manifest("all", json.dumps({"manifests": [{"digest": sha(good)}]}).encode(), INDEX).status == 201


def test_a_tag_is_deleted_alone_and_a_manifest_with_its_tags(client: Client, pushed: bytes) -> None:
    client.push_manifest("v2", pushed)
    assert client.ask("DELETE", f"/v2/{NAME}/manifests/v1").status == 202
    assert client.ask("HEAD", f"/v2/{NAME}/manifests/v2").status == 200
    assert client.ask("DELETE", f"/v2/{NAME}/manifests/{sha(pushed)}").status == 202
    assert client.ask("HEAD", f"/v2/{NAME}/manifests/v2").status == 404
    assert json.loads(client.ask("GET", f"/v2/{NAME}/tags/list").body)["tags"] is None


def test_deleting_may_not_be_allowed(client: Client, server: RegistryServer, pushed: bytes) -> None:
    server.settings = Settings(tag_delete_allowed=False)
    assert client.ask("DELETE", f"/v2/{NAME}/manifests/v1").code == "UNSUPPORTED"
    assert client.ask("DELETE", f"/v2/{NAME}/manifests/{sha(pushed)}").status == 202
    server.settings = Settings(delete_allowed=False)
    assert client.ask("DELETE", f"/v2/{NAME}/manifests/{sha(pushed)}").status == 405
    assert client.ask("DELETE", f"/v2/{NAME}/blobs/{sha(b'{}')}").status == 405


@pytest.mark.parametrize(
    ("asked", "said", "part"),
    [("2-4", "2-4/10", b"234"), ("7-", "7-9/10", b"789"), ("-2", "8-9/10", b"89"), ("0-99", "0-9/10", b"0123456789")],
)
def test_a_part_of_a_blob_is_given(client: Client, asked: str, said: str, part: bytes) -> None:
    path = f"/v2/{NAME}/blobs/{client.push_blob(b'0123456789')}"
    answer = client.ask("GET", path, range=f"bytes={asked}")
    assert (answer.status, answer.headers["Content-Range"], answer.body) == (206, f"bytes {said}", part)
    assert client.ask("GET", path, range="bytes=10-").status == 416


@pytest.mark.parametrize("absolute", [False, True])
def test_a_blob_is_uploaded_in_pieces(client: Client, server: RegistryServer, *, absolute: bool) -> None:
    server.settings = Settings(absolute_locations=absolute)
    where = client.ask("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    assert where.startswith(server.url) == absolute
    first = client.ask("PATCH", where, b"ab", content_range="0-1")
    assert (first.status, first.headers["Range"]) == (202, "0-1")
    stale = client.ask("PATCH", where, b"cd")
    assert (stale.status, stale.code) == (400, "BLOB_UPLOAD_INVALID")
    where = first.headers["Location"]
    assert client.ask("PATCH", where, b"cd", content_range="9-10").status == 416
    where = client.ask("PATCH", where, iter([b"c", b"d"])).headers["Location"]
    status = client.ask("GET", where)
    assert (status.status, status.headers["Range"], status.headers["Content-Length"]) == (204, "0-3", None)
    answer = client.ask("PUT", f"{where}&digest={sha(b'abcdef')}", b"ef")
    assert (answer.status, answer.headers["Docker-Content-Digest"]) == (201, sha(b"abcdef"))
    assert client.ask("GET", answer.headers["Location"]).body == b"abcdef"
    assert server.store.repositories[NAME].uploads == {}


def test_a_blob_of_another_digest_is_not_stored(client: Client, server: RegistryServer) -> None:
    for digest in (sha(b"b"), "sha256:rubbish", "md5:" + "0" * 32, ""):
        where = client.ask("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
        answer = client.ask("PUT", f"{where}&{urlencode({'digest': digest})}", b"a")
        assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert server.store.repositories[NAME].blobs == {}


def test_an_upload_can_be_given_up(client: Client) -> None:
    where = client.ask("POST", f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    assert client.ask("DELETE", where).status == 204
    assert client.ask("PUT", f"{where}&digest={sha(b'')}").code == "BLOB_UPLOAD_UNKNOWN"


def test_one_post_is_enough_where_that_is_allowed(client: Client, server: RegistryServer) -> None:
    client.push_blob(b"one")
    server.settings = Settings(single_post_allowed=False)
    assert client.ask("POST", f"/v2/{NAME}/blobs/uploads/?digest={sha(b'two')}", b"two").status == 202
    assert list(server.store.repositories[NAME].blobs) == [sha(b"one")]


def test_a_blob_is_mounted_from_where_it_is(client: Client, server: RegistryServer) -> None:
    digest = client.push_blob(b"shared")
    mounting = f"/v2/other/blobs/uploads/?mount={digest}&from="
    assert client.ask("POST", mounting + "nowhere").status == 202
    server.settings = Settings(mount_allowed=False)
    assert client.ask("POST", mounting + NAME).status == 202
    server.settings = Settings()
    assert client.ask("POST", mounting + NAME).status == 201
    assert client.ask("GET", f"/v2/other/blobs/{digest}").body == b"shared"
    assert server.kinds(Kind.MOUNT) == [Kind.MOUNT] * 3


@pytest.mark.parametrize("absolute", [False, True])
def test_lists_come_in_pages(client: Client, server: RegistryServer, pushed: bytes, *, absolute: bool) -> None:
    server.settings = Settings(page_size=2, absolute_locations=absolute)
    for tag in ("b", "a", "c"):
        client.push_manifest(tag, pushed)
        server.store.create(tag)
    for path, word, expected in (
        (f"/v2/{NAME}/tags/list", "tags", [["a", "b"], ["c", "v1"]]),
        ("/v2/_catalog", "repositories", [["a", "b"], ["c", NAME]]),
    ):
        first = client.ask("GET", path)
        link = first.headers["Link"].removesuffix('>; rel="next"').removeprefix("<")
        assert link.startswith(server.url) == absolute
        second = client.ask("GET", link)
        assert [json.loads(page.body)[word] for page in (first, second)] == expected
        assert "Link" not in second.headers
        assert json.loads(client.ask("GET", f"{path}?n=1&last=b").body)[word] == ["c"]
        assert client.ask("GET", f"{path}?n=x").status == 400


def test_the_catalog_can_be_switched_off(client: Client, server: RegistryServer) -> None:
    server.settings = Settings(catalog_allowed=False)
    assert client.ask("GET", "/v2/_catalog").status == 405


def test_what_refers_to_a_manifest_is_listed_where_that_is_allowed(
    client: Client, server: RegistryServer, pushed: bytes
) -> None:
    server.settings = Settings(referrers_allowed=True)
    referrer = json.loads(pushed) | {"subject": {"digest": sha(pushed)}}
    client.push_manifest("signed", json.dumps(referrer).encode())
    found = json.loads(client.ask("GET", f"/v2/{NAME}/referrers/{sha(pushed)}").body)["manifests"]
    assert [one["digest"] for one in found] == [server.store.repositories[NAME].tags["signed"]]


# -- others' clients --------------------------------------------------------------------------------------------


def skopeo(program: Path, *arguments: str) -> str:
    run = subprocess.run([program, *arguments], capture_output=True, check=False, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def write_layout(folder: Path) -> str:
    """Write an OCI layout with one image of two blobs, and give the manifest's digest."""
    folder.mkdir()
    (folder / "blobs" / "sha256").mkdir(parents=True)
    layer = gzip.compress(bytes(10240), mtime=0)
    fs = {"type": "layers", "diff_ids": [sha(bytes(10240))]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": {}, "rootfs": fs}).encode()

    def put(data: bytes, media_type: str) -> dict[str, object]:
        (folder / "blobs" / "sha256" / sha(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": sha(data), "size": len(data)}

    named = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": put(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [put(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    top = put(json.dumps(named).encode(), MANIFEST)
    top["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return str(top["digest"])


@pytest.mark.parametrize("auth", [lambda: None, Basic, Bearer], ids=["nobody", "basic", "bearer"])
def test_skopeo_copies_an_image_in_and_out(
    required: Required, tmp_path: Path, auth: Callable[[], Basic | Bearer | None]
) -> None:
    program = required.program("skopeo")
    digest = write_layout(tmp_path / "in")
    with serving_registry(Settings(auth=auth(), page_size=1)) as server:
        account = ["user:secret"] if server.settings.auth else []
        for tag in ("v1", "v2", "v3"):
            creds = ["--dest-creds", *account] if account else []
            skopeo(
                program, "copy", "--insecure-policy", "--dest-tls-verify=false", *creds,
                f"oci:{tmp_path}/in:v1", f"docker://{server.address}/{NAME}:{tag}",
            )  # fmt: skip
        creds = ["--creds", *account] if account else []
        listed = skopeo(program, "list-tags", "--tls-verify=false", *creds, f"docker://{server.address}/{NAME}")
        creds = ["--src-creds", *account] if account else []
        skopeo(
            program, "copy", "--insecure-policy", "--src-tls-verify=false", *creds,
            f"docker://{server.address}/{NAME}:v2", f"oci:{tmp_path}/out:v1",
        )  # fmt: skip
    assert server.store.repositories[NAME].tags == dict.fromkeys(("v1", "v2", "v3"), digest)
    assert json.loads(listed)["Tags"] == ["v1", "v2", "v3"]
    assert len(server.kinds(Kind.TAGS)) == 3
    assert json.loads((tmp_path / "out" / "index.json").read_text())["manifests"][0]["digest"] == digest
