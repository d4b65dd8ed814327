"""HTTP as the resolvers need it: sizes of files and pages of an index, many at once.

Credentials come from an address's own user part or from the user's ``.netrc`` and go to that origin alone (scheme, host
and port): what is redirected elsewhere loses them, and nothing is redirected from https to http. Link-local addresses,
where clouds keep the machine's own secrets, are not talked to, whatever name leads there. Sizes, tries and time have an
end. ``SSL_CERT_FILE`` and the proxy variables are honoured.
"""

from __future__ import annotations

import base64
import netrc
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

if TYPE_CHECKING:
    import urllib3

from reconciler.clients.http.transport import (
    PORTS,
    origin,
    pool,
    proxy_for,
    refuse_link_local,
    without_credentials,
)
from reconciler.errors import DeniedError, NotFoundError, UnavailableError

MAX_PAGE = 64 << 20
MAX_REDIRECTS = 5
MAX_TRIES = 4
_MAX_WAIT_S = 5.0
_BACKOFF_S = 0.3
_CHUNK = 1 << 16
_MAX_DIGITS = 18
_MAX_PIECES = 1 << 20
_GZIP = 31  # zlib: a window of 15 bits, and a gzip header
_FILE_CHUNK = 1 << 18
_OK, _PART, _DENIED, _MISSING = 200, 206, (401, 403, 407), (404, 410)
_ELSEWHERE = (301, 302, 303, 307, 308)
_LATER = (429, 500, 502, 503, 504)
_NO_ANSWER = "the package index does not answer"
_AGAIN = "try again later"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A page: where it was found in the end, what it is, and its bytes."""

    url: str
    media_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """A client. ``environ`` says which proxy, which ``.netrc`` and which certificates are used.

    ``timeout_s`` is how long a server may say nothing, ``limit_s`` how long one answer may take with all its tries.
    """

    environ: Mapping[str, str] = field(repr=False)
    timeout_s: float = 30.0
    limit_s: float = 300.0

    def size(self, url: str) -> int | None:
        """Tell how large a file is, none where the server does not say."""
        for left in self._tries():
            with left, self._asked("HEAD", url, {"Accept-Encoding": "identity"}) as (answer, _):
                length = answer.headers.get("Content-Length", "")
                answer.release_conn()
                return int(length) if length.isdecimal() and len(length) <= _MAX_DIGITS else None
        raise UnavailableError(_NO_ANSWER, hint=_AGAIN)

    def get(self, url: str, *, accept: str) -> Answer:
        """Read a page of at most :data:`MAX_PAGE` bytes."""
        for left in self._tries():
            with left, self._asked("GET", url, {"Accept": accept, "Accept-Encoding": "gzip"}) as (answer, found):
                body = _body(answer, left)
                media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                answer.release_conn()
                return Answer(url=found, media_type=media_type, body=body)
        raise UnavailableError(_NO_ANSWER, hint=_AGAIN)

    def stream(self, url: str) -> Iterator[bytes]:
        """Give a file as it comes; where the connection ends early, what is lacking is asked for (RFC 9110, 14).

        How long it is, is the caller's to check.
        """
        done = 0
        for left in self._tries():
            headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
            with left, self._asked("GET", url, headers) as (answer, _):
                passed = 0 if _begins_at(answer, done) else done  # some servers know no ranges
                for piece in _timely(answer, left):
                    fresh, passed = piece[passed:], max(0, passed - len(piece))
                    done += len(fresh)
                    if fresh:
                        yield fresh
                answer.release_conn()
                return
        raise UnavailableError(_NO_ANSWER, hint=_AGAIN)

    def _tries(self) -> Iterator[_Try]:
        """Give one try after another, until one is done: few of them, and none beyond the time."""
        end = time.monotonic() + self.limit_s
        wait = _BACKOFF_S
        for number in range(MAX_TRIES):
            one = _Try(end=end, last=number == MAX_TRIES - 1)
            yield one
            time.sleep(max(0.0, min(one.wait_s or wait, _MAX_WAIT_S, end - time.monotonic())))
            wait *= 2

    @contextmanager
    def _asked(self, method: str, url: str, headers: Mapping[str, str]) -> Iterator[tuple[Any, str]]:
        """Ask, and follow where the answer leads; give the answer with its address, and close it if it is not used."""
        first = split(url)
        authorization = self._authorization(first)
        parts = first
        for _ in range(MAX_REDIRECTS + 1):
            own = {"Authorization": authorization} if authorization and origin(parts) == origin(first) else {}
            with closing(self._send(method, parts, {**headers, **own})) as answer:
                if answer.status not in _ELSEWHERE:
                    _check_status(answer, _PART if "Range" in headers else _OK)
                    yield answer, urlunsplit(without_credentials(parts))
                    return
                parts = _next(parts, answer.headers.get("Location", ""))
        raise UnavailableError("the package index redirects without end")

    def _send(self, method: str, parts: SplitResult, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        refuse_link_local(parts.hostname or "", "the package index")
        made = pool(proxy_for(self.environ, parts), self.environ.get("SSL_CERT_FILE"), self.timeout_s, self.limit_s)
        bare = urlunsplit(without_credentials(parts))
        return made.request(method, bare, headers=headers, preload_content=False, redirect=False, retries=False)

    def _authorization(self, parts: SplitResult) -> str | None:
        user, password = parts.username, parts.password
        if user is None and password is None:
            user, password = _from_netrc(self.environ, parts.hostname or "")
        if user is None:
            return None
        text = f"{unquote(user)}:{unquote(password or '')}"
        return "Basic " + base64.b64encode(text.encode()).decode("ascii")


class _Laterlike(Exception):  # noqa: N818  # no error yet: the next try may do
    """A server asks to come again. ``wait_s`` is when, as far as it says so."""

    def __init__(self, status: int, wait_s: float) -> None:
        super().__init__(status)
        self.status = status
        self.wait_s = wait_s


class _Try:
    """One try: what goes wrong on the way is kept back unless it is the last, or its time is over."""

    def __init__(self, *, end: float, last: bool) -> None:
        self.end = end
        self.last = last
        self.wait_s = 0.0

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        import urllib3  # noqa: PLC0415  # start-up: only what speaks HTTP pays

        if not isinstance(error, (urllib3.exceptions.HTTPError, _Laterlike, OSError)):
            return False
        if not self.last and time.monotonic() < self.end:
            self.wait_s = error.wait_s if isinstance(error, _Laterlike) else 0.0
            return True
        if isinstance(error, _Laterlike):
            raise UnavailableError(f"the package index answers with status {error.status}", hint=_AGAIN) from error
        raise UnavailableError(_NO_ANSWER, hint=_AGAIN) from error


def split(url: str) -> SplitResult:
    """Read an address of http or https; another is an UnavailableError that does not show it."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UnavailableError("the package index has an address that can't be used")
    return parts


def like(url: str, index: str) -> str:
    """Give a file's address the credentials of the index that names it, where both are of one origin."""
    parts, own = split(url), split(index)
    if parts.username is not None or origin(parts) != origin(own):
        return url
    return urlunsplit(parts._replace(netloc=own.netloc))


def _next(parts: SplitResult, location: str) -> SplitResult:
    """Say where a redirect leads; a credential that it brings is dropped."""
    try:
        found = without_credentials(split(urljoin(urlunsplit(without_credentials(parts)), location)))
    except ValueError as error:
        raise UnavailableError("the package index has an address that can't be used") from error
    if parts.scheme == "https" and found.scheme == "http":
        raise UnavailableError("the package index redirects from https to http, which is not followed")
    return found


def _begins_at(answer: urllib3.BaseHTTPResponse, place: int) -> bool:
    """Tell whether an answer is the rest from ``place`` on, and not the whole; any other part is refused."""
    if answer.status != _PART:
        return place == 0
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {place}-"):
        raise UnavailableError("the package index sends another part of a file than was asked for")
    return True


def _check_status(answer: urllib3.BaseHTTPResponse, other: int) -> None:
    if answer.status in _LATER:
        after = answer.headers.get("Retry-After", "")
        raise _Laterlike(answer.status, float(after) if after.isdecimal() and len(after) <= _MAX_DIGITS else 0.0)
    if answer.status in _MISSING:
        raise NotFoundError("the package index has no such page")
    if answer.status in _DENIED:
        raise DeniedError("the package index refuses", hint="check the credentials in the machine's settings")
    if answer.status not in (_OK, other):
        raise UnavailableError(f"the package index answers with status {answer.status}")


def _body(answer: Any, left: _Try) -> bytes:  # noqa: ANN401  # urllib3's, whose base class lacks read1
    """Read what arrives, piece by piece, so that neither size nor time is a server's to choose."""
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise UnavailableError("the package index sends a page in an encoding that was not asked for")
    unpack = _gunzip if encoding.endswith("gzip") else _plain
    body = bytearray()
    for number, piece in enumerate(unpack(iter(lambda: answer.read1(_CHUNK, decode_content=False), b""))):
        body += piece
        if len(body) > MAX_PAGE or number > _MAX_PIECES:
            raise UnavailableError("the package index sends more than a page may hold")
        if time.monotonic() > left.end:
            raise UnavailableError("the package index sends a page too slowly", hint=_AGAIN)
    if not body:  # the connection ended among the headers
        raise UnavailableError("the package index sends an empty page", hint=_AGAIN)
    return bytes(body)


def _timely(answer: Any, left: _Try) -> Iterator[bytes]:  # noqa: ANN401  # as above
    for piece in iter(lambda: answer.read1(_FILE_CHUNK, decode_content=False), b""):
        if time.monotonic() > left.end:
            raise UnavailableError("the package index sends a file too slowly", hint=_AGAIN)
        yield piece


def _plain(pieces: Iterator[bytes]) -> Iterator[bytes]:
    return pieces


def _gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip (RFC 1952), at most a chunk at a time; what is none, or ends early, is an UnavailableError."""
    member = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest, _CHUNK)
                rest = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise UnavailableError("the package index sends a page that can't be unpacked") from error
    if not member.eof:
        raise UnavailableError("the package index sends a page that ends early", hint=_AGAIN)


def _from_netrc(environ: Mapping[str, str], host: str) -> tuple[str | None, str | None]:
    path = environ.get("NETRC") or os.path.join(environ.get("HOME", "/nonexistent"), ".netrc")  # noqa: PTH118  # text
    try:
        found = netrc.netrc(path).authenticators(host) if Path(path).is_file() else None
    except (OSError, netrc.NetrcParseError):
        return None, None
    return (found[0], found[2]) if found else (None, None)
