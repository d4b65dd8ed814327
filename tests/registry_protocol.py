"""What the registry of ``tests/registry_server.py`` answers: the distribution specification 1.1, without sockets."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from tests.registry_messages import WRITES, Kind, Request, Response, document, error
from tests.registry_store import (
    Manifest,
    Repository,
    Settings,
    Store,
    Upload,
    digest_of,
    is_digest,
    missing_references,
    read_manifest,
)

_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PUSHES = WRITES - {Kind.DELETE_MANIFEST, Kind.DELETE_BLOB}
_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Answers one request after another from a store; ``base`` is its own URL."""

    store: Store
    settings: Settings
    base: str

    def answer(self, request: Request, body: bytes) -> Response:
        """Do what is asked, and answer."""
        with self.store.lock:
            made = self._refusal(request) or self._answer(request, body)
        return replace(made, headers={**_VERSION, **made.headers})

    def _refusal(self, request: Request) -> Response | None:
        auth = self.settings.auth
        if request.kind is Kind.TOKEN:
            return None
        if auth and (refused := auth.refusal(request, self.base)):
            return refused
        if not request.name:
            return None
        if not _NAME.fullmatch(request.name):
            return error(400, "NAME_INVALID")
        if self.store.find(request.name) is not None:
            return None
        return self._of_absent(request)

    def _of_absent(self, request: Request) -> Response | None:
        settings = self.settings
        if settings.must_exist_first and request.kind in _PUSHES:
            return error(404, "NAME_UNKNOWN", "the repository does not exist", detail={"name": request.name})
        if settings.unauthorized_when_absent is None or request.kind in _PUSHES:
            return None
        if settings.unauthorized_when_absent != 401:
            return error(settings.unauthorized_when_absent, "DENIED", "requested access to the resource is denied")
        challenge = settings.auth.challenge(request, self.base) if settings.auth else 'Basic realm="registry"'
        return error(401, "UNAUTHORIZED", www_authenticate=challenge)

    def _answer(self, request: Request, body: bytes) -> Response:
        auth = self.settings.auth
        anywhere: dict[Kind, Callable[[], Response]] = {
            Kind.PING: lambda: document({}),
            Kind.TOKEN: lambda: auth.token(request, body) if auth else error(404, "UNSUPPORTED"),
            Kind.CATALOG: lambda: self._catalog(request),
            Kind.START_UPLOAD: lambda: self._start(request, body),
            Kind.MOUNT: lambda: self._start(request, body),
            Kind.PUT_MANIFEST: lambda: self._put_manifest(request, body),
            Kind.OTHER: lambda: error(404, "UNSUPPORTED"),
        }
        if request.kind in anywhere:
            return anywhere[request.kind]()
        repository = self.store.repositories.get(request.name)
        if repository is None:
            return error(404, "NAME_UNKNOWN", detail={"name": request.name})
        there: dict[Kind, Callable[[Request, Repository], Response]] = {
            Kind.TAGS: self._tags,
            Kind.REFERRERS: self._referrers,
            Kind.HEAD_MANIFEST: self._get_manifest,
            Kind.GET_MANIFEST: self._get_manifest,
            Kind.DELETE_MANIFEST: self._delete_manifest,
            Kind.HEAD_BLOB: self._get_blob,
            Kind.GET_BLOB: self._get_blob,
            Kind.DELETE_BLOB: self._delete_blob,
        }
        if request.kind in there:
            return there[request.kind](request, repository)
        return self._upload(request, repository, body)

    # -- lists --------------------------------------------------------------------------------------------------

    def _catalog(self, request: Request) -> Response:
        if not self.settings.catalog_allowed:
            return error(405, "UNSUPPORTED")
        names = sorted(name for name in self.store.repositories if self.store.find(name))
        return self._page(request, "/v2/_catalog", {}, "repositories", names)

    def _tags(self, request: Request, repository: Repository) -> Response:
        if not repository.manifests and not repository.history:
            return error(404, "NAME_UNKNOWN", detail={"name": request.name})
        tags = repository.listed(self.settings.stale)
        return self._page(request, f"/v2/{request.name}/tags/list", {"name": request.name}, "tags", tags)

    def _page(self, request: Request, path: str, head: Mapping[str, str], word: str, values: Sequence[str]) -> Response:
        asked = request.query.get("n", str(self.settings.page_size))
        if not asked.isdigit():
            return error(400, "PAGINATION_NUMBER_INVALID")
        size = min(int(asked), self.settings.page_size)
        rest = [value for value in values if value > request.query.get("last", "")]
        page = rest[:size]
        # The reference registry writes null for an empty list.
        made = document({**head, word: page or None})
        if not page or len(rest) == len(page):
            return made
        link = f"{self._root}{path}?{urlencode({'last': page[-1], 'n': size})}"
        return replace(made, headers={**made.headers, "Link": f'<{link}>; rel="next"'})

    @property
    def _root(self) -> str:
        return self.base if self.settings.absolute_locations else ""

    def _referrers(self, request: Request, repository: Repository) -> Response:
        if not self.settings.referrers_allowed:
            return error(404, "UNSUPPORTED")
        found = []
        for digest, manifest in sorted(repository.manifests.items()):
            value = json.loads(manifest.data)
            if (value.get("subject") or {}).get("digest") == request.reference:
                found.append({"mediaType": manifest.media_type, "digest": digest, "size": len(manifest.data)})
        index = "application/vnd.oci.image.index.v1+json"
        return document({"schemaVersion": 2, "mediaType": index, "manifests": found}, content_type=index)

    # -- manifests ----------------------------------------------------------------------------------------------

    def _get_manifest(self, request: Request, repository: Repository) -> Response:
        stale = self.settings.stale
        is_behind = stale and (stale.head if request.method == "HEAD" else stale.get)
        found = (
            repository.find_stale(request.reference, stale)
            if stale and is_behind
            else repository.find(request.reference)
        )
        if found is None:
            return error(404, "MANIFEST_UNKNOWN", detail={"reference": request.reference})
        headers = {"Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        return Response(status=200, headers=headers, body=found.data)

    def _put_manifest(self, request: Request, body: bytes) -> Response:
        repository = self.store.repositories.setdefault(request.name, Repository())
        manifest = Manifest(request.header("content-type"), body)
        if refused := self._unfit(request, manifest, repository):
            return refused
        tags = () if ":" in request.reference else (request.reference,)
        digest = repository.put_manifest(manifest.media_type, body, tags, stale=self.settings.stale)
        location = f"{self._root}/v2/{request.name}/manifests/{digest}"
        return Response(status=201, headers={"Location": location, "Docker-Content-Digest": digest})

    def _unfit(  # noqa: PLR0911  # one refusal after the other, in the order of the reference registry
        self, request: Request, manifest: Manifest, repository: Repository
    ) -> Response | None:
        reference, settings = request.reference, self.settings
        value = read_manifest(manifest.data, manifest.media_type)
        old = repository.tags.get(reference)
        if len(manifest.data) > settings.manifest_limit:
            return error(413, "SIZE_INVALID", "manifest too large")
        if ":" in reference and not _names(reference, manifest.data):
            return error(400, "DIGEST_INVALID")
        if ":" not in reference and not _TAG.fullmatch(reference):
            return error(400, "TAG_INVALID")
        if value is None:
            return error(400, "MANIFEST_INVALID")
        if settings.references_checked and (missing := missing_references(value, repository)):
            return error(404, "MANIFEST_BLOB_UNKNOWN", detail={"digest": missing[0]})
        if old and settings.immutable(reference) and (settings.immutable_same or old != manifest.digest):
            return error(settings.immutable_status, settings.immutable_code, f"tag {reference} is immutable")
        return None

    def _delete_manifest(self, request: Request, repository: Repository) -> Response:
        is_tag = ":" not in request.reference
        if not self.settings.delete_allowed or (is_tag and not self.settings.tag_delete_allowed):
            return error(405, "UNSUPPORTED")
        if request.reference not in (repository.tags if is_tag else repository.manifests):
            return error(404, "MANIFEST_UNKNOWN")
        if is_tag:
            del repository.tags[request.reference]
        else:
            del repository.manifests[request.reference]
            repository.tags = {tag: to for tag, to in repository.tags.items() if to != request.reference}
        return Response(status=202)

    # -- blobs --------------------------------------------------------------------------------------------------

    def _get_blob(self, request: Request, repository: Repository) -> Response:
        if not is_digest(request.reference):
            return error(400, "DIGEST_INVALID")
        data = repository.blobs.get(request.reference)
        if data is None:
            return error(404, "BLOB_UNKNOWN", detail={"digest": request.reference})
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": request.reference,
            "Accept-Ranges": "bytes",
        }
        whole = Response(status=200, headers=headers, body=data)
        match = _RANGE.fullmatch(request.header("range"))
        return _ranged(whole, match[1], match[2]) if match and any(match.groups()) else whole

    def _delete_blob(self, request: Request, repository: Repository) -> Response:
        if not self.settings.delete_allowed:
            return error(405, "UNSUPPORTED")
        if repository.blobs.pop(request.reference, None) is None:
            return error(404, "BLOB_UNKNOWN")
        return Response(status=202)

    # -- uploads ------------------------------------------------------------------------------------------------

    def _start(self, request: Request, body: bytes) -> Response:
        repository = self.store.repositories.setdefault(request.name, Repository())
        query = request.query
        if request.kind is Kind.MOUNT and self.settings.mount_allowed:
            source = self.store.repositories.get(query.get("from", ""))
            if source and query["mount"] in source.blobs:
                repository.blobs[query["mount"]] = source.blobs[query["mount"]]
                return self._stored(request, query["mount"])
        if "digest" in query and self.settings.single_post_allowed:
            return self._finish(request, repository, body)
        identity = secrets.token_hex(16)
        repository.uploads[identity] = upload = Upload()
        return self._accepted(request, identity, upload)

    def _upload(self, request: Request, repository: Repository, body: bytes) -> Response:
        upload = repository.uploads.get(request.reference)
        if upload is None:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        if request.query.get("_state") != upload.state:
            return error(400, "BLOB_UPLOAD_INVALID", "the Location of the last answer is to be used, with its query")
        if request.kind in (Kind.PUT_UPLOAD, Kind.PATCH_UPLOAD):
            return self._received(request, repository, upload, body)
        if request.kind is Kind.DELETE_UPLOAD:
            del repository.uploads[request.reference]
            return Response(status=204)
        return self._accepted(request, request.reference, upload, status=204)

    def _received(self, request: Request, repository: Repository, upload: Upload, body: bytes) -> Response:
        start = request.header("content-range").removeprefix("bytes ").partition("-")[0]
        if start and start != str(len(upload.data)):
            made = self._accepted(request, request.reference, upload)
            return replace(error(416, "BLOB_UPLOAD_INVALID"), headers=made.headers)
        if request.kind is Kind.PATCH_UPLOAD:
            upload.append(body)
            return self._accepted(request, request.reference, upload)
        del repository.uploads[request.reference]
        return self._finish(request, repository, bytes(upload.data + body) if upload.data else body)

    def _finish(self, request: Request, repository: Repository, data: bytes) -> Response:
        digest = request.query.get("digest", "")
        if not _names(digest, data):
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        repository.blobs[digest] = data
        return self._stored(request, digest)

    def _stored(self, request: Request, digest: str) -> Response:
        location = f"{self._root}/v2/{request.name}/blobs/{digest}"
        return Response(status=201, headers={"Location": location, "Docker-Content-Digest": digest})

    def _accepted(self, request: Request, identity: str, upload: Upload, *, status: int = 202) -> Response:
        location = f"{self._root}/v2/{quote(request.name)}/blobs/uploads/{identity}?_state={upload.state}"
        headers = {
            "Location": location,
            "Docker-Upload-UUID": identity,
            "Range": f"0-{max(0, len(upload.data) - 1)}",
        }
        return Response(status=status, headers=headers)


def _names(digest: str, data: bytes) -> bool:
    return is_digest(digest) and digest_of(data, digest.partition(":")[0]) == digest


def _ranged(whole: Response, first: str, last: str) -> Response:
    """Give a part: from a byte on, between two, or (without a first) the last so many."""
    size = len(whole.body)
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return error(416, "RANGE_INVALID", content_range=f"bytes */{size}")
    headers = {**whole.headers, "Content-Range": f"bytes {start}-{end}/{size}"}
    return Response(status=206, headers=headers, body=whole.body[start : end + 1])
