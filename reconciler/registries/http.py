"""A registry over HTTP (distribution-spec 1.1): ``HOST[:PORT][/PREFIX]``, a repository an environment.

Every byte is hashed while it streams, and no more of it is read than was declared. Writes are read back where a
registry may still serve what was there before: a look that contradicts what this run wrote is repeated for some
seconds before it is believed.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from reconciler.clients.registry.answers import Answer, length_of, refuse
from reconciler.clients.registry.session import Session
from reconciler.errors import CorruptError, DeniedError, NotFoundError, RegistryError, UnavailableError
from reconciler.oci import media
from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.oci.manifest import references
from reconciler.ports import Feature
from reconciler.registries.checks import (
    HOSTS_OWN,
    check_repository,
    check_source,
    check_tag,
    is_repository,
    is_tag,
    manifest_of,
)
from reconciler.registries.features import NOWHERE, can_delete, can_list_repositories, can_list_tags, can_push
from reconciler.registries.paging import pages
from reconciler.registries.transfer import DAMAGED, Download, Upload
from reconciler.registries.wants import create_hint
from reconciler.registries.written import Written
from reconciler.values.digest import Digest

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest or an index; registries take no larger ones."""
_OK, _CREATED, _ACCEPTED, _PARTIAL, _NOT_FOUND = 200, 201, 202, 206, 404
_BAD = 400
_DELETING = "its administrator can allow it, or delete it there"
_NOT_SHOWN = "the registry is slow to show what it was given, or is being cleaned up; run again"
_EMPTY = Content(media_type=media.CONFIG, data=b"{}")
_ACCEPT = {"Accept": ", ".join(sorted(media.INDEXES | media.MANIFESTS))}
_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.5, 3.0)
"""Seconds between looks at what was written: so long a registry gets to show it."""
Found = TypeVar("Found")


class HttpRegistry:
    """The repositories below ``prefix`` at the session's host."""

    def __init__(self, session: Session, prefix: str = "", *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._session = session
        self._prefix = prefix
        self._sleep = sleep
        self._writers: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()
        self._written = Written()
        self._stored: set[tuple[str, Digest]] = set()
        self._pushed: set[str] = set()
        self.address = f"{session.host}/{prefix}" if prefix else session.host
        self.remote = True

    # -- reading ------------------------------------------------------------------------------------------------

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest, verified; at most :data:`MAX_MANIFEST` bytes are read."""
        check_repository(repository)
        if isinstance(reference, str):
            check_tag(reference)
            return self._settled(
                lambda: self._fetch(repository, reference),
                lambda found: self._written.believes(repository, reference, found.digest),
                known=(repository, reference) in self._written,
            )
        known = (repository, reference) in self._stored
        return self._settled(lambda: self._fetch(repository, reference), lambda _: True, known=known)

    def _fetch(self, repository: str, reference: str | Digest) -> Content:
        what = self._shown(repository, reference)
        path = self._path(repository, f"manifests/{reference}")
        answer = self._session.ask(
            what, "GET", path, scopes=self._pull(repository), headers=_ACCEPT, limit=MAX_MANIFEST
        )
        if answer.status != _OK:
            refuse(self._session.host, what, answer)
        return _checked(self.address, repository, reference, answer)

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Tell which manifest a tag or a digest names: what the registry says, without its content."""
        check_repository(repository)
        if isinstance(reference, Digest):
            known = (repository, reference) in self._stored
            return self._settled(
                lambda: self._head(repository, reference), lambda found: not known or found is not None
            )
        check_tag(reference)
        return self._settled(
            lambda: self._head(repository, reference),
            lambda found: self._written.believes(repository, reference, found),
        )

    def _head(self, repository: str, reference: str | Digest) -> Digest | None:
        what = self._shown(repository, reference)
        path = self._path(repository, f"manifests/{reference}")
        answer = self._session.ask(what, "HEAD", path, scopes=self._pull(repository), headers=_ACCEPT)
        if answer.looks_missing:
            return None
        digest = answer.headers.get("Docker-Content-Digest")
        if answer.status != _OK or digest is None:  # HEAD has no body that says why, and may be half supported
            return self._digest_of(repository, reference)
        return _claimed(self.address, repository, reference, digest)

    def _digest_of(self, repository: str, reference: str | Digest) -> Digest | None:
        try:
            return self._fetch(repository, reference).digest
        except NotFoundError:
            return None

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; a connection that breaks is taken up where it broke."""
        check_repository(repository)
        what = self._shown(repository, descriptor.digest)
        path = self._path(repository, f"blobs/{descriptor.digest}")
        return Download(self._session, what, path, self._pull(repository), descriptor).chunks()

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """Tell whether a blob of that digest and size is there."""
        check_repository(repository)
        known = (repository, descriptor.digest) in self._stored
        size = self._settled(lambda: self._size(repository, descriptor), lambda found: found is not None or not known)
        return size == descriptor.size

    def _size(self, repository: str, descriptor: Descriptor) -> int | None:
        """Tell how large a blob is that is there (what is expected, where it is not said); none where it is not."""
        what = self._shown(repository, descriptor.digest)
        path = self._path(repository, f"blobs/{descriptor.digest}")
        answer = self._session.ask(what, "HEAD", path, scopes=self._pull(repository))
        if answer.status != _OK and not answer.looks_missing:  # HEAD has no body that says why
            answer = self._session.ask(what, "GET", path, scopes=self._pull(repository), headers={"Range": "bytes=0-0"})
            if answer.status not in (_OK, _PARTIAL) and not answer.is_missing:
                refuse(self._session.host, what, answer)
        if answer.status == _NOT_FOUND:
            return None
        length = length_of(answer.headers.get("Content-Length")) if answer.status == _OK else None
        return descriptor.size if length is None else length

    def tags(self, repository: str) -> tuple[str, ...]:
        """List tags, page by page, sorted; empty where there is no such repository."""
        check_repository(repository)
        what = f"tags of {repository} in {self.address}"
        found = pages(self._session, what, self._path(repository, "tags/list"), self._pull(repository), "tags")
        return tuple(sorted({tag for tag in found or () if is_tag(tag)}))

    def repositories(self) -> tuple[str, ...] | None:
        """List repositories, sorted; none where the registry does not say, which most of the large ones don't."""
        scopes = frozenset({"registry:catalog:*"})
        try:
            found = pages(self._session, f"repositories of {self.address}", "v2/_catalog", scopes, "repositories")
        except (DeniedError, RegistryError) as error:
            if isinstance(error, (UnavailableError, CorruptError)) and not isinstance(error, NotFoundError):
                raise
            return None
        if found is None:
            return None
        start = f"{self._prefix}/" if self._prefix else ""
        names = (name.removeprefix(start) for name in found if name.startswith(start))
        return tuple(sorted({name for name in names if is_repository(name)}))

    # -- writing ------------------------------------------------------------------------------------------------

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        """Store a blob: mounted from another repository where the registry does, else uploaded in one piece."""
        check_repository(repository)
        if mount_from is not None:
            check_source(mount_from)
        self._pushed.add(repository)
        descriptor = blob.describe()
        source = self._source_of(mount_from) if mount_from is not None else None
        scopes = self._push(repository) | self._pull_source(mount_from)
        if not self._is_stored(repository, descriptor):
            upload = Upload(self._session, self._shown(repository, descriptor.digest), self.name_of(repository), scopes)
            upload.send(blob, mount_from=source)
        self._stored.add((repository, descriptor.digest))

    def _is_stored(self, repository: str, descriptor: Descriptor) -> bool:
        """Tell whether a blob need not be sent. Some registries deny what is not there: then sending it tells."""
        try:
            return self._size(repository, descriptor) == descriptor.size
        except DeniedError:
            return False

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        """Store a manifest or index, by its digest or under each of these tags, one after the other."""
        check_repository(repository)
        for tag in tags:
            check_tag(tag)
        references(content)
        self._pushed.add(repository)
        for reference in tags or (str(content.digest),):
            self._put(repository, content, reference)
            if tags:
                self._written.note(repository, reference, content.digest)
        self._stored.add((repository, content.digest))

    def _put(self, repository: str, content: Content, reference: str) -> None:
        what = self._shown(repository, reference)
        answer = self._session.ask(
            what,
            "PUT",
            self._path(repository, f"manifests/{reference}"),
            scopes=self._push(repository),
            headers={"Content-Type": content.media_type},
            body=content.data,
        )
        if answer.status not in (_OK, _CREATED, _ACCEPTED):
            self._refuse_write(what, repository, answer)
        digest = answer.headers.get("Docker-Content-Digest")
        if digest is not None and digest != str(content.digest):
            raise CorruptError(f"{what}: {self._session.host} stored {digest[:80]!a} instead of {content.digest}")

    def _refuse_write(self, what: str, repository: str, answer: Answer) -> None:
        if answer.is_dangling:
            raise RegistryError(
                f"{what}: the manifest names content that is not there ({answer.text})",
                hint="run again; blobs are pushed before the manifests that name them, and those before an index",
            )
        if answer.is_missing:
            raise RegistryError(
                f"{what}: {self._session.host} has no repository {self.name_of(repository)}, and does not make one",
                hint=create_hint(self._session.host, self.name_of(repository)),
            )
        refuse(self._session.host, what, answer)

    def delete(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag, or a manifest by its digest."""
        check_repository(repository)
        if isinstance(reference, str):
            check_tag(reference)
        what = self._shown(repository, reference)
        path = self._path(repository, f"manifests/{reference}")
        answer = self._session.ask(what, "DELETE", path, scopes=self._push(repository, "delete"))
        if answer.is_unsupported or (isinstance(reference, str) and answer.status == _BAD):
            kind = "tags alone" if isinstance(reference, str) else "manifests"
            raise RegistryError(f"{what}: {self._session.host} does not delete {kind}", hint=_DELETING)
        is_done = answer.again and answer.is_missing  # by a try whose answer was lost
        if answer.status not in (_OK, _ACCEPTED) and not is_done:
            refuse(self._session.host, what, answer)
        self._forget(repository, reference)

    def _forget(self, repository: str, reference: str | Digest) -> None:
        if isinstance(reference, Digest):
            self._stored.discard((repository, reference))
        self._written.forget(repository, reference)

    def claim(self, repository: str) -> None:
        """Store a blob of two bytes, so that a repository that was not there is."""
        self.push_blob(repository, _EMPTY)

    @contextmanager
    def writing(self, repository: str) -> Iterator[None]:
        """Keep other threads that write this repository out; others elsewhere can't be."""
        check_repository(repository)
        with self._guard:
            lock = self._writers[repository]
        with lock:
            yield

    # -- what it can do -----------------------------------------------------------------------------------------

    def features(self, repository: str) -> tuple[Feature, ...]:
        """Ask what it can do, with an upload that is begun and given up, and a delete of what is not there."""
        check_repository(repository)
        answer = self._session.ask(self._session.host, "GET", "v2/", scopes=frozenset())
        if answer.status == _NOT_FOUND:
            raise UnavailableError(f"{self._session.host} is no registry", hint="check the address")
        upload = Upload(self._session, f"an upload to {repository}", self.name_of(repository), self._push(repository))
        absent = self._path(repository, f"manifests/{NOWHERE}")
        delete = self._session.ask("a delete", "DELETE", absent, scopes=self._push(repository, "delete"))
        return (
            can_push(upload),
            can_list_tags(lambda: self.tags(repository)),
            can_list_repositories(self.repositories),
            can_delete(delete),
        )

    # -- below --------------------------------------------------------------------------------------------------

    def _settled(self, look: Callable[[], Found], fits: Callable[[Found], bool], *, known: bool = False) -> Found:
        """Look, and look again for some seconds where the answer contradicts what was written before."""
        for wait_s in _WAITS_S:
            try:
                found = look()
                if fits(found):
                    return found
            except NotFoundError:
                if not known:
                    raise
            self._sleep(wait_s)
        try:
            return look()
        except NotFoundError as error:
            if not known:
                raise
            raise NotFoundError(f"{error.message}, though this run wrote it", hint=_NOT_SHOWN) from error

    def name_of(self, repository: str) -> str:
        """Give a repository's whole name in the registry."""
        return f"{self._prefix}/{repository}" if self._prefix else repository

    def _source_of(self, mount_from: str) -> str:
        return mount_from.removeprefix(HOSTS_OWN) if mount_from.startswith(HOSTS_OWN) else self.name_of(mount_from)

    def _pull_source(self, mount_from: str | None) -> frozenset[str]:
        if mount_from is None:
            return frozenset()
        if mount_from.startswith(HOSTS_OWN):
            return frozenset({f"repository:{self._source_of(mount_from)}:pull"})
        return self._pull(mount_from)

    def _path(self, repository: str, rest: str) -> str:
        return f"v2/{self.name_of(repository)}/{rest}"

    def _shown(self, repository: str, reference: str | Digest) -> str:
        return f"{self.address}/{repository}{'@' if isinstance(reference, Digest) else ':'}{str(reference)[:140]}"

    def _pull(self, repository: str) -> frozenset[str]:
        """Say the scope for reading; where this run writes too, one token serves both."""
        return (
            self._push(repository)
            if repository in self._pushed
            else frozenset({f"repository:{self.name_of(repository)}:pull"})
        )

    def _push(self, repository: str, *more: str) -> frozenset[str]:
        return frozenset({f"repository:{self.name_of(repository)}:{','.join(('pull', 'push', *more))}"})


def _checked(address: str, repository: str, reference: str | Digest, answer: Answer) -> Content:
    """Believe a manifest only where its digest, its length and its media type are what they are said to be."""
    found = Digest.of(answer.body)
    where = f"{address}/{repository}"
    if isinstance(reference, Digest) and found != reference:
        raise CorruptError(f"{where}: what is served as {reference} has other content", hint=DAMAGED)
    claimed = answer.headers.get("Docker-Content-Digest")
    if claimed is not None and claimed != str(found):
        raise CorruptError(f"{where}:{reference} is said to be {claimed[:80]!a}, and is {found}", hint=DAMAGED)
    content = manifest_of(answer.body, found, where, None)
    media_type = answer.headers.get("Content-Type", content.media_type).partition(";")[0].strip()
    if media_type != content.media_type:
        said = f"{found} is served as {media_type[:80]!a}, and is {content.media_type}"
        raise CorruptError(f"{where}: {said}", hint=DAMAGED)
    return content


def _claimed(address: str, repository: str, reference: str | Digest, text: str) -> Digest:
    try:
        digest = Digest.parse(text)
    except ValueError as error:
        raise CorruptError(f"{address}/{repository}:{reference}: {error}") from error
    if isinstance(reference, Digest) and digest != reference:
        raise CorruptError(f"{address}/{repository}: {reference} is said to be {digest}")
    return digest
