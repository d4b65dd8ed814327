"""What may go wrong with one request to ``tests/registry_server.py``: small constructors, and when to use them.

``server.fault`` is asked before each request is answered. A fault is a value; several are joined with ``|``::

    server.fault = faults.first(faults.status(503, retry_after="1"), Kind.PUT_MANIFEST)
    server.fault = faults.every(faults.reset(Point.MIDDLE), Kind.GET_BLOB)
    server.fault = lambda request: faults.stall(5) if request.number == 3 else None
"""

from __future__ import annotations

import gzip
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from tests.registry_messages import Request, Response, error, named

Action = Callable[[threading.Event], None]
Change = Callable[[Response], Response]


class Point(Enum):
    """A moment of a request, in their order.

    ``MIDDLE`` is after half of the answer's body (of its pieces where it trickles), ``END`` after all of it.
    """

    BEFORE_BODY = "the request's headers were read, its body was not"
    AFTER_BODY = "all was read, nothing was done"
    AFTER_WORK = "the work is done, nothing was answered"
    AFTER_HEADERS = "the answer's headers were sent"
    MIDDLE = "half of the answer's body was sent"
    END = "the answer was sent"


class ResetConnectionError(Exception):
    """Raised by an action: the connection is to be reset."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens otherwise than it should; what is not set goes as it should.

    ``actions`` run at their points, with an event that is set when the server stops. ``instead`` is answered in place
    of doing the work; where it is ``early`` the request's body is not read, and the connection closes. ``change``
    makes another answer of the true one. With ``piece_bytes`` the answer's body is sent in pieces of that size, with
    a pause of ``pause_s`` seconds after each.
    """

    actions: Mapping[Point, Action] = field(default_factory=dict)
    instead: Response | None = None
    early: bool = False
    change: Change = lambda response: response
    piece_bytes: int | None = None
    pause_s: float = 0

    def __or__(self, other: Fault) -> Fault:
        return replace(
            self,
            actions={**self.actions, **other.actions},
            instead=other.instead or self.instead,
            early=self.early or other.early,
            change=lambda response: other.change(self.change(response)),
            piece_bytes=other.piece_bytes or self.piece_bytes,
            pause_s=other.pause_s or self.pause_s,
        )


NONE = Fault()
Asking = Callable[[Request], Fault | None]


# -- when -------------------------------------------------------------------------------------------------------


def never(_request: Request) -> Fault | None:
    """Let all go as it should."""
    return None


def every(fault: Fault, *kinds: str) -> Asking:
    """Let every request of these kinds fail; of any kind where none is given."""
    return lambda request: fault if not kinds or request.kind in kinds else None


def first(fault: Fault, *kinds: str, times: int = 1, after: int = 0) -> Asking:
    """Let the first requests of these kinds fail, counted from now, after so many that do not."""
    asked, lock = itertools.count(), threading.Lock()

    def ask(request: Request) -> Fault | None:
        if kinds and request.kind not in kinds:
            return None
        with lock:
            return fault if after <= next(asked) < after + times else None

    return ask


def either(*askings: Asking) -> Asking:
    """Ask one after the other; the first fault counts."""
    return lambda request: next((found for asking in askings if (found := asking(request)) is not None), None)


# -- instead of the work ----------------------------------------------------------------------------------------


def status(number: int, *, code: str = "UNKNOWN", early: bool = False, **headers: str) -> Fault:
    """Answer this status, with an error body; headers are named as ``retry_after="3"``."""
    return Fault(instead=error(number, code, **headers), early=early)


def answer(number: int, body: bytes = b"", **headers: str) -> Fault:
    """Answer just this, such as a login page of a proxy; headers are named as ``content_type="text/html"``."""
    return Fault(instead=Response(status=number, headers=named(headers), body=body))


def redirect(location: str, *, number: int = 307) -> Fault:
    """Send the client elsewhere."""
    return Fault(instead=Response(status=number, headers={"Location": location}))


def lost_session() -> Fault:
    """Know nothing of this upload."""
    return status(404, code="BLOB_UPLOAD_UNKNOWN")


# -- on the way -------------------------------------------------------------------------------------------------


def reset(at: Point = Point.AFTER_BODY) -> Fault:
    """Reset the connection (RST)."""

    def raise_reset(_stopped: threading.Event) -> None:
        raise ResetConnectionError

    return Fault(actions={at: raise_reset})


def unanswered() -> Fault:
    """Do the work, then reset the connection."""
    return reset(Point.AFTER_WORK)


def stall(seconds: float, at: Point = Point.AFTER_BODY) -> Fault:
    """Wait, and go on; the server's end ends it."""
    return Fault(actions={at: lambda stopped: _wait(stopped, seconds)})


def calling(callback: Callable[[], None], at: Point = Point.BEFORE_BODY) -> Fault:
    """Call, and go on: to kill the client, to change the store, to wait for another client."""
    return Fault(actions={at: lambda _stopped: callback()})


def trickle(piece_bytes: int = 1, pause_s: float = 0.05) -> Fault:
    """Send the body in small pieces with pauses."""
    return Fault(piece_bytes=piece_bytes, pause_s=pause_s)


def _wait(stopped: threading.Event, seconds: float) -> None:
    if stopped.wait(seconds):
        raise ResetConnectionError


# -- another answer than the true one ---------------------------------------------------------------------------


def changed(change: Change) -> Fault:
    """Change the true answer."""
    return Fault(change=change)


def header(name: str, value: str | None) -> Fault:
    """Set a header of the true answer, or take it away."""

    def change(response: Response) -> Response:
        kept = {key: text for key, text in response.headers.items() if key.lower() != name.lower()}
        return replace(response, headers=kept if value is None else {**kept, name: value})

    return Fault(change=change)


def wrong_digest(value: str = "sha256:" + "0" * 64) -> Fault:
    """Say another Docker-Content-Digest."""
    return header("Docker-Content-Digest", value)


def wrong_type(value: str = "application/vnd.oci.image.index.v1+json") -> Fault:
    """Say another Content-Type."""
    return header("Content-Type", value)


def wrong_length(more: int) -> Fault:
    """Say a Content-Length that is so much more (or less) than what is sent; the connection closes after it."""
    return Fault(change=lambda made: _headed(made, "Content-Length", str(max(0, len(made.body) + more))))


def truncated(keep: float = 0.5, *, honest: bool = False) -> Fault:
    """Send a part of the body; an honest Content-Length says so, else the connection closes early."""

    def change(response: Response) -> Response:
        body = response.body[: int(len(response.body) * keep)]
        made = replace(response, body=body)
        return made if honest else _headed(made, "Content-Length", str(len(response.body)))

    return Fault(change=change)


def wrong_bytes() -> Fault:
    """Turn one bit in the middle of the body."""

    def change(response: Response) -> Response:
        body = bytearray(response.body)
        if body:
            body[len(body) // 2] ^= 1
        return replace(response, body=bytes(body))

    return Fault(change=change)


def replaced(body: bytes) -> Fault:
    """Send another body with the headers of the true one (its Content-Length is right)."""
    return Fault(change=lambda response: replace(response, body=body))


def oversized(more: int = 1) -> Fault:
    """Send so many bytes more than there are, and an honest Content-Length."""
    return Fault(change=lambda response: replace(response, body=response.body + bytes(more)))


def endless(*, length: int | None = None) -> Fault:
    """Send the body and never stop; in chunks, or with this Content-Length."""

    def change(response: Response) -> Response:
        made = replace(response, tail=_zeros())
        if length is None:
            return _headed(made, "Transfer-Encoding", "chunked")
        return _headed(made, "Content-Length", str(length))

    return Fault(change=change)


def bomb(size: int = 100 << 20) -> Fault:
    """Send so many zeros, gzip-encoded, in place of the body."""
    body = gzip.compress(bytes(size), 9, mtime=0)
    return Fault(change=lambda response: _headed(replace(response, body=body), "Content-Encoding", "gzip"))


def _headed(response: Response, name: str, value: str) -> Response:
    return replace(response, headers={**response.headers, name: value})


def _zeros() -> Iterator[bytes]:
    return itertools.repeat(bytes(1 << 16))
