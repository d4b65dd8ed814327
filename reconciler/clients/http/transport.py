"""Connections for HTTP/1.1, many at once, kept and used again.

What every request keeps to: link-local addresses, where clouds keep the machine's own secrets, are not talked to,
whatever name leads there; an answer has to begin in time, however slowly its headers come; nothing is followed, tried
again or unpacked here. ``SSL_CERT_FILE`` and the proxy variables are honoured.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import urllib3

from reconciler.clients.address import is_link_local
from reconciler.errors import UnavailableError

CONNECTIONS = 16
PORTS = {"http": 80, "https": 443}
_CHUNK = 1 << 18
_PROBE_S = 5.0
_TICK_S = 1.0
"""Seconds between looks at whether answers are late."""

Body = bytes | Callable[[], Iterable[bytes]] | None
"""What is sent: nothing, bytes, or what gives the pieces from the beginning each time that it is called."""


class UnansweredError(Exception):
    """No answer, or one that ends too early: the next try may do. Its text is for people.

    ``is_final`` where no other try will do, and ``hint`` is what to do then.
    """

    def __init__(self, text: str, *, hint: str = "", is_final: bool = False) -> None:
        super().__init__(text)
        self.hint = hint
        self.is_final = is_final


class Reply:
    """An answer whose body was not read yet; it has to be closed."""

    def __init__(self, answer: Any, url: str) -> None:  # noqa: ANN401  # urllib3's, whose base class lacks read1
        self._answer = answer
        self.url = url
        self._is_read = False
        self.status: int = answer.status
        self.headers: Mapping[str, str] = answer.headers

    def header_values(self, name: str) -> list[str]:
        """Give every header of that name."""
        return list(self._answer.headers.getlist(name))

    def chunks(self) -> Iterator[bytes]:
        """Give the body as it comes, never unpacked; an UnansweredError where it ends too early."""
        while True:
            with _mapped():
                piece: bytes = self._answer.read1(_CHUNK, decode_content=False)
            if not piece:
                break
            yield piece
        self._is_read = True
        self._answer.release_conn()

    def read(self, limit: int) -> bytes | None:
        """Read the body; none where it has more than ``limit`` bytes."""
        body = bytearray()
        for piece in self.chunks():
            body += piece
            if len(body) > limit:
                return None
        return bytes(body)

    def close(self) -> None:
        """End the connection, unless the body was read to its end and others may use it."""
        if not self._is_read:
            self._answer.close()


class _mapped:  # noqa: N801  # used as a function
    """Turn what the library raises into an UnansweredError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        import urllib3  # noqa: PLC0415  # start-up: only what speaks HTTP pays

        if isinstance(error, (urllib3.exceptions.HTTPError, OSError)) and not isinstance(error, UnansweredError):
            is_final = _is_untrusted(error)
            is_unreached = isinstance(error, urllib3.exceptions.NewConnectionError)
            hint = _UNTRUSTED if is_final else _UNREACHED if is_unreached else ""
            raise UnansweredError(_reason(error), hint=hint, is_final=is_final) from error


_UNREACHED = "check the address, or try again later"
_UNTRUSTED = "name its certificate authority as registries.HOST.certificate_authority in reconciler.yaml"


def _is_untrusted(error: BaseException) -> bool:
    """Tell whether a certificate was refused, which no other try changes."""
    cause = error.args[-1] if error.args else None
    return isinstance(error, ssl.SSLCertVerificationError) or isinstance(cause, ssl.SSLCertVerificationError)


def _reason(error: BaseException) -> str:
    """Say in a few words what went wrong below."""
    import urllib3  # noqa: PLC0415  # as above

    cause = error.args[-1] if isinstance(error, urllib3.exceptions.HTTPError) and error.args else error
    text = " ".join(str(cause).split())
    for kind, words in (
        (urllib3.exceptions.NameResolutionError, "its name can't be resolved"),
        (urllib3.exceptions.NewConnectionError, f"no connection{_below(error)}"),
        (urllib3.exceptions.ConnectTimeoutError, "no connection in time"),
        (urllib3.exceptions.ReadTimeoutError, "it says nothing for too long"),
        (TimeoutError, "it says nothing for too long"),
        (urllib3.exceptions.SSLError, f"TLS: {text}"),
        (ConnectionResetError, "it ends the connection"),
        (urllib3.exceptions.IncompleteRead, "its answer ends too early"),
        (urllib3.exceptions.ProtocolError, "it ends the connection"),
    ):
        if isinstance(error, kind):
            return words[:300]
    return text[:300] or type(error).__name__


def _below(error: BaseException) -> str:
    cause = error.__cause__
    return f", {cause.strerror.lower()}" if isinstance(cause, OSError) and cause.strerror else ""


class Transport:
    """Connections to wherever a request goes.

    ``timeout_s`` is how long a server may say nothing, ``limit_s`` how long its headers may take. ``authorities`` are
    files with certificate authorities that are trusted beside the machine's own.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        timeout_s: float = 30.0,
        limit_s: float = 120.0,
        authorities: tuple[str, ...] = (),
    ) -> None:
        self._environ = environ
        self._timeout_s = timeout_s
        self._limit_s = limit_s
        self._authorities = authorities
        self._made: dict[str, urllib3.HTTPConnectionPool | urllib3.PoolManager] = {}

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body = None,
        *,
        silence_s: float | None = None,
    ) -> Reply:
        """Send a request and give its answer, whatever it says; an UnansweredError where there is none.

        With a body of pieces, ``headers`` say its Content-Length. An UnavailableError where the address may not be
        talked to. ``silence_s`` is how long the server may say nothing this time.
        """
        import urllib3  # noqa: PLC0415  # start-up: only what speaks HTTP pays

        start = url.find("/", 8)
        made = self._made.get(url[:start]) or self._connections(url)
        with _mapped():
            answer = made.urlopen(
                method,
                url if isinstance(made, urllib3.PoolManager) else url[start:],
                body=body() if callable(body) else body,
                headers=headers,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(connect=self._timeout_s, read=silence_s or self._timeout_s),
            )
            return Reply(answer, url)

    def _connections(self, url: str) -> urllib3.HTTPConnectionPool | urllib3.PoolManager:
        """Find the connections for an address, the same for all that begin as it does.

        What is reached directly is asked of its host's own connections: finding them again costs as much as asking.
        """
        parts = urlsplit(url)
        refuse_link_local(parts.hostname or "", parts.netloc)
        proxy = proxy_for(self._environ, parts)
        every = pool(
            proxy,
            self._environ.get("SSL_CERT_FILE") if parts.scheme == "https" or proxy else None,
            self._timeout_s,
            self._limit_s,
            self._authorities,
            encrypted=parts.scheme == "https" or proxy is not None,
        )
        start = f"{parts.scheme}://{parts.netloc}"
        is_direct = proxy is None and url.startswith(f"{start}/")
        with _mapped():
            made = self._made[start] = every.connection_from_url(start) if is_direct else every
        return made


def speaks_tls(host: str, port: int) -> bool:
    """Tell whether TLS is spoken there; what does not answer at all is taken for it, and says so when it is asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is said over this connection
    try:
        with socket.create_connection((host, port), _PROBE_S) as plain, context.wrap_socket(plain):
            return True
    except ssl.SSLError:
        return False
    except OSError:
        return True


def refuse_link_local(host: str, subject: str) -> None:
    """Refuse a host that is written as a link-local address; what a name leads to is looked at when it is connected."""
    if is_link_local(host):
        raise UnavailableError(f"{subject} has a link-local address, which is not used")


def proxy_for(environ: Mapping[str, str], parts: SplitResult) -> str | None:
    """Say through which proxy an address is reached."""
    proxies = {
        name.lower().removesuffix("_proxy"): value
        for name, value in environ.items()
        if name.lower().endswith("_proxy") and value
    }
    if not proxies or urllib.request.proxy_bypass_environment(parts.hostname or "", {"no": proxies.get("no", "")}):  # type: ignore[attr-defined]  # undocumented stub
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


# -- connections that keep to it --------------------------------------------------------------------------------


class _Watch(threading.Thread):
    """Cuts connections whose answer has not begun in time; one thread for all of them, which requests don't wake."""

    def __init__(self) -> None:
        super().__init__(name="http-watch", daemon=True)
        self._guard = threading.Condition()
        self._ends: dict[int, tuple[float, _Guarded]] = {}
        self._sleeps = False

    def begin(self, connection: _Guarded, limit_s: float) -> None:
        with self._guard:
            if self._sleeps:
                self._sleeps = False
                self._guard.notify()
            self._ends[id(connection)] = (time.monotonic() + limit_s, connection)

    def end(self, connection: _Guarded) -> bool:
        """Take a connection out; tell whether it was cut."""
        with self._guard:
            return self._ends.pop(id(connection), None) is None

    def run(self) -> None:
        while True:
            with self._guard:
                self._sleeps = not self._ends
                self._guard.wait_for(lambda: not self._sleeps)
                self._cut()

    def _cut(self) -> None:
        """Cut what is late, and wait until something else could be; while requests come and go nobody is woken."""
        now = time.monotonic()
        for key in [key for key, (end, _) in self._ends.items() if end <= now]:
            self._ends.pop(key)[1].cut()
        left = min((end for end, _ in self._ends.values()), default=now + _TICK_S) - now
        self._guard.wait(min(max(left, 0.05), _TICK_S))


@cache
def _watch() -> _Watch:
    watch = _Watch()
    watch.start()
    return watch


class _Guarded:
    """A connection that looks whom it reached before it says a word, and whose answer has to begin in time."""

    limit_s: float
    sock: Any
    proxy: Any
    host: str

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]  # urllib3's, in a class made of both
        if self.proxy is None:
            try:
                refuse_link_local(str(made.getpeername()[0]), self.host)
            except BaseException:
                made.close()
                raise
        return made

    def getresponse(self) -> Any:  # noqa: ANN401  # as urllib3's
        watch = _watch()
        watch.begin(self, self.limit_s)
        try:
            answer = super().getresponse()  # type: ignore[misc]  # as above
        except BaseException as error:
            if watch.end(self) and isinstance(error, Exception):
                raise TimeoutError from error
            raise
        if watch.end(self):  # http.client takes headers that were cut off for all of them
            answer.close()
            raise TimeoutError
        return answer

    def cut(self) -> None:
        """End the connection from another thread."""
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


@cache
def pool(  # noqa: PLR0913  # one argument a thing that connections differ in
    proxy: str | None,
    certificates: str | None,
    timeout_s: float,
    limit_s: float,
    authorities: tuple[str, ...] = (),
    *,
    encrypted: bool = True,
) -> urllib3.PoolManager:
    """Give the connections that are made in this way; they are kept for the life of the process.

    Where nothing is ``encrypted`` no certificates are read, which takes as long as many requests.
    """
    import urllib3  # noqa: PLC0415  # start-up: only what speaks HTTP pays

    context = _context(certificates, authorities) if encrypted else None
    settings = {"maxsize": CONNECTIONS, "timeout": urllib3.Timeout(timeout_s), "ssl_context": context}
    if proxy is None:
        manager = urllib3.PoolManager(**settings)  # type: ignore[arg-type]  # one mapping for two constructors
    else:
        parts = urlsplit(proxy)
        headers = None
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=user)
        bare = urlunsplit(without_credentials(parts))
        manager = urllib3.ProxyManager(bare, proxy_headers=headers, **settings)  # type: ignore[arg-type]  # as above
    manager.pool_classes_by_scheme = {
        scheme: _guarded(kind, limit_s) for scheme, kind in manager.pool_classes_by_scheme.items()
    }
    return manager


def without_credentials(parts: SplitResult) -> SplitResult:
    """Drop the user and the password of an address."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Give an address's origin (RFC 6454): scheme, host, port."""
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or PORTS[parts.scheme]


def _guarded(kind: Any, limit_s: float) -> Any:  # noqa: ANN401  # classes made at run time
    connection = type("Guarded", (_Guarded, kind.ConnectionCls), {"limit_s": limit_s})
    return type("Pool", (kind,), {"ConnectionCls": connection})


def _context(certificates: str | None, authorities: tuple[str, ...]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=certificates or None)
    except OSError as error:
        raise UnavailableError("the certificates that SSL_CERT_FILE names can't be read") from error
    for path in authorities:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            raise UnavailableError(f"the certificate authority {path} can't be read: {error.strerror}") from error
    return context
