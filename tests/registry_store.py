"""What the registry of ``tests/registry_server.py`` holds, in memory, and how it behaves: tests look in and preload."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.registry_auth import Auth

_DIGEST = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """Old answers after a tag was pushed: to the next ``reads`` requests for it, and for ``seconds``.

    ``head`` and ``get`` say which methods are behind. The old answer is what the tag named before, or with
    ``missing`` that there is none. With ``digests`` a manifest that was pushed is not found by its digest either, and
    with ``lists`` a new tag is not listed.
    """

    reads: int = 0
    seconds: float = 0
    head: bool = True
    get: bool = True
    missing: bool = False
    digests: bool = False
    lists: bool = False


def _never(_name: str) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a registry behaves; as it stands, everything of the specification is allowed and nobody is asked who he is.

    ``page_size`` is the most that is listed at once. ``immutable`` says which tags are written once: another manifest
    (with ``immutable_same`` even the same) is refused with ``immutable_status`` and ``immutable_code``.
    ``unauthorized_when_absent`` (401 or 403) answers whatever is asked of a repository to which nothing was pushed.
    With ``must_exist_first`` a push to a repository that ``store.create`` did not make is a 404. ``references_checked``
    refuses a manifest that names what is not there.
    """

    page_size: int = 1000
    delete_allowed: bool = True
    tag_delete_allowed: bool = True
    immutable: Callable[[str], bool] = _never
    immutable_status: int = 400
    immutable_code: str = "TAG_IMMUTABLE"
    immutable_same: bool = False
    mount_allowed: bool = True
    single_post_allowed: bool = True
    catalog_allowed: bool = True
    referrers_allowed: bool = False
    references_checked: bool = True
    unauthorized_when_absent: int | None = None
    must_exist_first: bool = False
    absolute_locations: bool = False
    manifest_limit: int = 4 << 20
    stale: Stale | None = None
    auth: Auth | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest's bytes, and the Content-Type that it was pushed with."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.data)


@dataclass
class Upload:
    """A session: what came so far, and the state that its next request must bring."""

    data: bytearray = field(default_factory=bytearray)
    state: str = field(default_factory=lambda: secrets.token_urlsafe(8))

    def append(self, data: bytes) -> None:
        self.data += data
        self.state = secrets.token_urlsafe(8)


@dataclass
class _Behind:
    """What a tag (or a digest) seems to name for a while."""

    old: str | None
    reads: int
    until: float

    def read(self) -> bool:
        """Tell whether this read is still behind."""
        self.reads -= 1
        return self.reads >= 0 or time.monotonic() < self.until


@dataclass
class Repository:
    """One repository; digests are text (``sha256:...``).

    ``history`` is every tag write in order, as (tag, digest).
    """

    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    history: list[tuple[str, str]] = field(default_factory=list)
    behind: dict[str, _Behind] = field(default_factory=dict)

    @property
    def was_pushed_to(self) -> bool:
        return bool(self.blobs or self.manifests or self.history)

    def put_blob(self, data: bytes) -> str:
        """Store a blob and give its digest."""
        digest = digest_of(data)
        self.blobs[digest] = data
        return digest

    def put_manifest(
        self, media_type: str, data: bytes, tags: Iterable[str] = (), *, stale: Stale | None = None
    ) -> str:
        """Store a manifest, move these tags to it, and give its digest; nothing is checked."""
        manifest = Manifest(media_type, data)
        digest = manifest.digest
        if stale and stale.digests and digest not in self.manifests:
            self._fall_behind(digest, None, stale)
        self.manifests[digest] = manifest
        for tag in tags:
            if stale and self.tags.get(tag) != digest:
                self._fall_behind(tag, None if stale.missing else self.tags.get(tag), stale)
            self.tags[tag] = digest
            self.history.append((tag, digest))
        return digest

    def find(self, reference: str) -> Manifest | None:
        """Give a manifest by tag or digest."""
        return self.manifests.get(self.tags.get(reference, reference))

    def find_stale(self, reference: str, stale: Stale) -> Manifest | None:
        """Give what seems to be there, counting this read."""
        behind = self.behind.get(reference)
        if behind is None:
            return self.find(reference)
        if behind.read():
            return self.manifests.get(behind.old) if behind.old else None
        if not stale.lists:
            del self.behind[reference]
        return self.find(reference)

    def listed(self, stale: Stale | None) -> list[str]:
        """List tags, sorted by bytes."""
        now = time.monotonic()
        hidden = {
            tag
            for tag, behind in self.behind.items()
            if stale and stale.lists and behind.old is None and (behind.reads > 0 or now < behind.until)
        }
        return sorted(self.tags.keys() - hidden)

    def _fall_behind(self, reference: str, old: str | None, stale: Stale) -> None:
        self.behind[reference] = _Behind(old, stale.reads, time.monotonic() + stale.seconds)


@dataclass
class Store:
    """Every repository; ``lock`` is held while a request changes or reads them."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    created: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def create(self, name: str) -> Repository:
        """Make a repository, or give the one that is there."""
        with self.lock:
            self.created.add(name)
            return self.repositories.setdefault(name, Repository())

    def find(self, name: str) -> Repository | None:
        """Give a repository to which something was pushed, or that was created."""
        found = self.repositories.get(name)
        return found if found and (name in self.created or found.was_pushed_to) else None


def digest_of(data: bytes | bytearray, algorithm: str = "sha256") -> str:
    """Name these bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def is_digest(text: str) -> bool:
    """Tell whether a text is a digest of an algorithm that is known here."""
    algorithm, _, value = text.partition(":")
    return algorithm in _DIGEST and _DIGEST[algorithm].fullmatch(value) is not None


def missing_references(manifest: object, repository: Repository) -> list[str]:
    """List the digests that a manifest or index names and that are not there."""
    if not isinstance(manifest, dict):
        return []
    blobs = [manifest["config"], *manifest.get("layers", [])] if "config" in manifest else []
    missing = [one["digest"] for one in blobs if one["digest"] not in repository.blobs and not one.get("urls")]
    named = [one["digest"] for one in manifest.get("manifests", [])]
    return missing + [digest for digest in named if digest not in repository.manifests]


def read_manifest(data: bytes, media_type: str) -> object | None:
    """Parse a manifest; none where it is not one, or not of this media type."""
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("mediaType", media_type) != media_type:
        return None
    return None if "manifests" in value and ("layers" in value or "config" in value) else value
