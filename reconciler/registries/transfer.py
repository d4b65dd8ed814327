"""Blobs on their way: verified while they stream, taken up or begun again where a connection breaks."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from urllib.parse import quote

from reconciler.clients.http.transport import UnansweredError
from reconciler.clients.registry.answers import Answer, length_of, refuse
from reconciler.clients.registry.retrying import Try
from reconciler.clients.registry.session import Session
from reconciler.errors import CorruptError, RegistryError
from reconciler.oci.descriptor import Blob, Descriptor
from reconciler.registries.wants import create_hint

_OK, _CREATED, _ACCEPTED, _NO_CONTENT = 200, 201, 202, 204
DAMAGED = "check what stands before the registry, such as a proxy; `reconciler doctor` looks at all that it holds"
_DENIED = (401, 403)
_MAX_LOST = 1


class Download:
    """A blob from a registry; at most the declared size is read, and the last piece is given once all is verified."""

    def __init__(self, session: Session, what: str, path: str, scopes: frozenset[str], descriptor: Descriptor) -> None:
        self._session = session
        self._what = what
        self._path = path
        self._scopes = scopes
        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        self._count = 0

    def chunks(self) -> Iterator[bytes]:
        """Give the pieces; errors as the port says."""
        held = b""
        for one in self._session.tries(self._what, length=self._descriptor.size):
            # What was given stays given: the next try goes on behind it.
            with one, closing(self._pieces(one)) as pieces:
                for piece in pieces:
                    if held:
                        yield held
                    held = piece
                self._verify()
                break
        if held:
            yield held

    def _pieces(self, one: Try) -> Generator[bytes]:
        start = self._count
        headers = {"Range": f"bytes={start}-{self._descriptor.size - 1}"} if start else {}
        if start and start == self._descriptor.size:
            return
        with self._session.streamed(self._what, self._path, scopes=self._scopes, headers=headers, one=one) as reply:
            skip = start if reply.status == _OK else 0
            self._check_headers(reply.headers, start - skip)
            for piece in reply.chunks():
                if time.monotonic() > one.end:
                    raise UnansweredError("it sends too slowly")
                fresh, skip = piece[skip:], max(0, skip - len(piece))
                if fresh:
                    self._take(fresh)
                    yield fresh
        if self._count < self._descriptor.size:
            raise UnansweredError(f"its answer ends after {self._count} of {self._descriptor.size} bytes")

    def _check_headers(self, headers: Mapping[str, str], start: int) -> None:
        length = length_of(headers.get("Content-Length"))
        if headers.get("Content-Encoding") not in (None, "", "identity"):
            raise self._corrupt("is sent in an encoding that was not asked for")
        if length not in (None, self._descriptor.size - start):
            raise self._corrupt(f"has {length} bytes instead of {self._descriptor.size - start}")

    def _take(self, piece: bytes) -> None:
        self._count += len(piece)
        if self._count > self._descriptor.size:
            raise self._corrupt(f"has more than the declared {self._descriptor.size} bytes")
        self._hash.update(piece)

    def _verify(self) -> None:
        if f"sha256:{self._hash.hexdigest()}" != str(self._descriptor.digest):
            raise self._corrupt("has other content than its digest says")

    def _corrupt(self, said: str) -> CorruptError:
        return CorruptError(f"{self._what} {said}", hint=DAMAGED)


class Upload:
    """A blob to a registry, in one piece.

    Each try is an upload of its own: what a registry kept of the one before can't be told.
    """

    def __init__(self, session: Session, what: str, name: str, scopes: frozenset[str]) -> None:
        self._session = session
        self._what = what
        self._name = name
        self._scopes = scopes

    def send(self, blob: Blob, *, mount_from: str | None = None) -> None:
        """Store the blob. A session that is lost is begun anew once, then that is a RegistryError."""
        descriptor = blob.describe()
        lost = 0
        for number, one in enumerate(self._session.tries(self._what, length=descriptor.size)):
            with one:
                if number and self._is_there(descriptor):  # the answer was lost, not the upload
                    return
                location = self.start(descriptor, mount_from)
                if location is None:
                    return
                answer = self._put(one, location, blob, descriptor)
                if not answer.lost_upload:
                    self._check(answer, descriptor)
                    return
                lost += 1
                if lost > _MAX_LOST and not self._is_there(descriptor):
                    raise self._lost(answer)
        raise self._lost(answer)

    def start(self, descriptor: Descriptor | None = None, mount_from: str | None = None) -> str | None:
        """Begin an upload and give where it goes, none where the blob was mounted."""
        target = f"v2/{self._name}/blobs/uploads/"
        if descriptor is not None and mount_from is not None:
            target += f"?mount={quote(str(descriptor.digest), safe='')}&from={quote(mount_from, safe='')}"
        answer = self._session.ask(self._what, "POST", target, scopes=self._scopes, body=b"")
        if answer.status in _DENIED and mount_from is not None:  # we may not read there, which a base need not mean
            return self.start(descriptor)
        if answer.status == _CREATED and mount_from is not None:
            return None
        if answer.status != _ACCEPTED:
            self._refuse(answer)
        location = answer.headers.get("Location", "")
        if not location:
            raise RegistryError(f"{self._what}: {self._session.host} does not say where the upload goes")
        return self._session.resolve(location)

    def give_up(self, location: str | None) -> None:
        """Cancel an upload; a registry that can't forgets it by itself."""
        if location is not None:
            self._session.ask(self._what, "DELETE", location, scopes=self._scopes)

    def _is_there(self, descriptor: Descriptor) -> bool:
        target = f"v2/{self._name}/blobs/{descriptor.digest}"
        return self._session.ask(self._what, "HEAD", target, scopes=self._scopes).status == _OK

    def _put(self, one: Try, location: str, blob: Blob, descriptor: Descriptor) -> Answer:
        target = f"{location}{'&' if '?' in location else '?'}digest={quote(str(descriptor.digest), safe='')}"
        return self._session.ask_once(
            one,
            self._what,
            "PUT",
            target,
            scopes=self._scopes,
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)},
            body=lambda: _verified(self._what, blob, descriptor),
        )

    def _check(self, answer: Answer, descriptor: Descriptor) -> None:
        if answer.status not in (_CREATED, _NO_CONTENT, _ACCEPTED):
            self._refuse(answer)
        digest = answer.headers.get("Docker-Content-Digest")
        if digest is not None and digest != str(descriptor.digest):
            raise CorruptError(f"{self._what}: {self._session.host} stored {digest[:80]!a} instead")

    def _lost(self, answer: Answer) -> RegistryError:
        said = f"{answer.status}, {answer.text}" if answer.text else str(answer.status)
        return RegistryError(
            f"{self._what}: {self._session.host} loses the upload each time (it answers {said})", hint="run again"
        )

    def _refuse(self, answer: Answer) -> None:
        if answer.is_missing:
            raise RegistryError(
                f"{self._what}: {self._session.host} has no repository {self._name}, and does not make one",
                hint=create_hint(self._session.host, self._name),
            )
        refuse(self._session.host, self._what, answer)


def _verified(what: str, blob: Blob, descriptor: Descriptor) -> Iterator[bytes]:
    """Give a blob's pieces; the last one only once all are what the descriptor says, so that nothing else is stored."""
    digest, count, held = hashlib.sha256(), 0, b""
    for piece in blob.chunks():
        count += len(piece)
        if count > descriptor.size:
            break
        digest.update(piece)
        if held:
            yield held
        held = piece
    if count != descriptor.size or f"sha256:{digest.hexdigest()}" != str(descriptor.digest):
        raise CorruptError(f"{what}: what was to be stored is not what its digest says")
    if held:
        yield held
