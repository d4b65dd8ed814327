"""Requests to one registry: with credentials for it alone, tried again where that helps, bounded in size and time."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, urljoin, urlsplit

from reconciler.clients.http.transport import (
    PORTS,
    Body,
    Reply,
    Transport,
    UnansweredError,
    origin,
    speaks_tls,
)
from reconciler.clients.registry import tokens
from reconciler.clients.registry.answers import MAX_ERROR, Answer, refuse, refuse_size
from reconciler.clients.registry.credentials import Credential, find_credential
from reconciler.clients.registry.named import missing, named_credential
from reconciler.clients.registry.retrying import LaterError, Patience, Try, retry_after
from reconciler.errors import DeniedError, RegistryError

MAX_REDIRECTS = 5
_MAX_LOGINS = 2
_ELSEWHERE = (301, 302, 303, 307, 308)
_UNAUTHORIZED = 401


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How a registry is reached.

    ``timeout_s`` is how long it may say nothing, ``limit_s`` how long one question may take with all its tries.
    ``authorities`` are files with certificate authorities. Credentials for ``prefix`` at the host come first; helpers
    inside ``outside`` are not run. Above all of them is the one that ``credential`` names.
    """

    plain_http: bool = False
    authorities: tuple[str, ...] = ()
    token_host: str | None = None
    prefix: str = ""
    credential: str | None = None
    outside: Path | None = None
    timeout_s: float = 60.0
    limit_s: float = 120.0


class Session:
    """Requests to the registry at ``host`` (with a port where it needs one); safe for threads."""

    def __init__(
        self,
        host: str,
        *,
        environ: Mapping[str, str],
        settings: Settings | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host = host
        self._settings = settings or Settings()
        self._environ = environ
        self._transport = Transport(
            environ=environ,
            timeout_s=self._settings.timeout_s,
            limit_s=self._settings.limit_s,
            authorities=self._settings.authorities,
        )
        self._patience = Patience(host, limit_s=self._settings.limit_s, sleep=sleep)
        self._challenged: list[str] = []

    def ask(  # noqa: PLR0913  # one argument a part of a request
        self,
        what: str,
        method: str,
        target: str,
        *,
        scopes: frozenset[str],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        length: int = 0,
        limit: int = MAX_ERROR,
    ) -> Answer:
        """Ask, and read the answer, whatever it says, of at most ``limit`` bytes.

        ``what`` is said in errors. ``target`` is a path, or an address that the registry gave. An UnavailableError
        where no answer comes, a CorruptError where it is too large.
        """
        for number, one in enumerate(self._patience.tries(what, length=length)):
            with one:
                answer = self.ask_once(
                    one, what, method, target, scopes=scopes, headers=headers, body=body, limit=limit
                )
                return replace(answer, again=True) if number else answer
        raise AssertionError("the last try raises")

    def ask_once(  # noqa: PLR0913  # as above
        self,
        one: Try,
        what: str,
        method: str,
        target: str,
        *,
        scopes: frozenset[str],
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        limit: int = MAX_ERROR,
    ) -> Answer:
        """Ask as :meth:`ask`, in one try of :meth:`tries`, inside its context."""
        with self._asked(one, method, target, scopes, headers or {}, body) as reply:
            read = reply.read(limit)
            if read is None:
                refuse_size(self.host, what, limit)
            answer = Answer(status=reply.status, headers=reply.headers, body=read)
            if answer.is_later:
                raise self._later(answer)
            return answer

    @contextmanager
    def streamed(  # as above
        self, what: str, target: str, *, scopes: frozenset[str], headers: Mapping[str, str], one: Try
    ) -> Iterator[Reply]:
        """Ask for something large in one try, and give its answer unread; an answer that is an error is raised."""
        with self._asked(one, "GET", target, scopes, headers, None) as reply:
            if reply.status in (200, 206):
                yield reply
                return
            answer = Answer(status=reply.status, headers=reply.headers, body=reply.read(MAX_ERROR) or b"")
            if answer.is_later:
                raise self._later(answer)
            refuse(self.host, what, answer)

    def tries(self, what: str, *, length: int = 0) -> Iterator[Try]:
        """Give tries for what is done with :meth:`streamed` or in several requests."""
        return self._patience.tries(what, length=length)

    def resolve(self, target: str) -> str:
        """Give the whole address of a path, or of one that the registry gave; a RegistryError where that is none."""
        return self._base + target if _PLAIN.fullmatch(target) else self._join(self._base, target)

    def _join(self, start: str, target: str) -> str:
        try:
            return urljoin(start, target)
        except ValueError:
            raise self._unusable() from None

    def _unusable(self) -> RegistryError:
        return RegistryError(f"{self.host} leads to an address that can't be used", hint="tell who runs it")

    def resolve_from(self, target: str, link: str) -> str | None:
        """Give the whole address of a link in the answer to ``target``; none where it leads out of the registry."""
        try:
            found = urlsplit(urljoin(target, link))
            stays = found.scheme in PORTS and "@" not in found.netloc and origin(found) == origin(self._own)
        except ValueError:
            return None
        return found.geturl() if stays else None

    # -- one request --------------------------------------------------------------------------------------------

    @cached_property
    def _base(self) -> str:
        """The registry's address: over TLS, unless plain HTTP is configured, or is what a loopback host speaks."""
        plain = self._settings.plain_http
        if not plain:
            parts = urlsplit(f"//{self.host}")
            name = parts.hostname or ""
            plain = _is_loopback(name) and not speaks_tls(name, parts.port or PORTS["https"])
        return f"{'http' if plain else 'https'}://{self.host}/"

    @cached_property
    def _own(self) -> SplitResult:
        return self._usable(self._base)

    @cached_property
    def _authorizer(self) -> tokens.Authorizer:
        return tokens.Authorizer(
            scheme=self._own.scheme,
            host=self.host,
            credential=self.credential,
            ask=self._ask_token,
            token_host=self._settings.token_host,
        )

    def credential(self) -> Credential | None:
        """Find who we are here; a name that stands for nothing is a DeniedError."""
        name, settings = self._settings.credential, self._settings
        found = named_credential(self._environ, name, self.host) if name is not None else None
        found = found or find_credential(self._environ, self.host, prefix=settings.prefix, outside=settings.outside)
        if found is None and name is not None:
            raise missing(name, self.host)
        return found

    def _ask_token(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> tokens.Reply:
        what = f"{self.host}: a token"
        for one in self._patience.tries(what):
            with one, closing(self._transport.send(method, url, headers, body)) as reply:
                read = reply.read(MAX_ERROR)
                if read is None:
                    refuse_size(self.host, what, MAX_ERROR)
                answer = Answer(status=reply.status, headers=reply.headers, body=read)
                if answer.is_later:
                    raise self._later(answer)
                return tokens.Reply(status=answer.status, headers=answer.headers, body=answer.body)
        raise AssertionError("the last try raises")

    @contextmanager
    def _asked(  # noqa: PLR0913, PLR0917  # as above
        self, one: Try, method: str, target: str, scopes: frozenset[str], headers: Mapping[str, str], body: Body
    ) -> Iterator[Reply]:
        """Ask with what the registry lets us in with; a 401 is answered once or twice, and then given."""
        refused: str | None = None
        header = self._authorizer.header(scopes) or self._ahead(scopes)
        for number in range(_MAX_LOGINS + 1):
            with closing(self._followed(one, method, self.resolve(target), header, headers, body)) as reply:
                challenges = self._challenges(reply)
                if challenges and number < _MAX_LOGINS:
                    refused, header = header, self._authorizer.answer(scopes, challenges, refused=header)
                    if header is not None and header != refused:
                        self._challenged = challenges
                        reply.read(MAX_ERROR)
                        continue
                yield reply
                return

    def _ahead(self, scopes: frozenset[str]) -> str | None:
        """Get a token as the registry said before, so that it need not refuse first; none where it said nothing.

        Where no token is given it is asked all the same: not everything of it may want one.
        """
        if not self._challenged or not scopes:
            return None
        try:
            return self._authorizer.answer(scopes, self._challenged, refused=None)
        except DeniedError:
            return None

    def _challenges(self, reply: Reply) -> list[str]:
        """Give what a 401 asks for; what another host asks for after a redirect is none of its business."""
        if reply.status != _UNAUTHORIZED or not self._is_own(reply.url):
            return []
        return reply.header_values("WWW-Authenticate")

    def _followed(  # noqa: PLR0913, PLR0917  # as above
        self, one: Try, method: str, url: str, authorization: str | None, headers: Mapping[str, str], body: Body
    ) -> Reply:
        """Send a request, and follow where it leads; only the registry itself sees its credentials."""
        for _ in range(MAX_REDIRECTS + 1):
            self._check(url)
            own = {"Authorization": authorization} if authorization and self._is_own(url) else {}
            if time.monotonic() > one.end:
                raise UnansweredError("its time is over")
            # Who has taken a large body may need a while to look at all of it.
            silence_s = self._silence(one) if callable(body) else None
            reply = self._transport.send(method, url, {**_ALWAYS, **headers, **own}, body, silence_s=silence_s)
            if reply.status not in _ELSEWHERE or method not in ("GET", "HEAD"):
                return reply
            with closing(reply):
                reply.read(MAX_ERROR)
            url = self._join(url, reply.headers.get("Location", ""))
        raise RegistryError(f"{self.host} redirects without end", hint="tell who runs it")

    def _silence(self, one: Try) -> float:
        return min(
            self._settings.timeout_s + one.length / _STORED, max(self._settings.timeout_s, self._settings.limit_s)
        )

    def _is_own(self, url: str) -> bool:
        return url.startswith(self._base) or origin(urlsplit(url)) == origin(self._own)

    def _usable(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
        except ValueError:
            usable = False
        if not usable:
            raise self._unusable()
        return parts

    def _check(self, url: str) -> None:
        """Refuse an address that a registry must not lead to."""
        if self._own and url.startswith(self._base):  # nearly all, and many: looked at once
            return
        parts = self._usable(url)
        if self._own.scheme == "https" and parts.scheme != "https":
            raise RegistryError(f"{self.host} leads from https to http, which is not followed", hint=_BEHIND)
        if parts.scheme == "http" and not self._is_own(url) and not _is_loopback(parts.hostname or ""):
            raise RegistryError(
                f"{self.host} leads to another host over plain HTTP, which is not followed", hint=_BEHIND
            )

    def _later(self, answer: Answer) -> LaterError:
        after = retry_after(answer.headers.get("Retry-After"), time.time())
        said = f"{self.host} answers {answer.status}" + (f", {answer.text}" if answer.text else "")
        return LaterError(said, status=answer.status, wait_s=after)


_PLAIN = re.compile(r"v2(?:/[A-Za-z0-9_][A-Za-z0-9_.:-]*)+/?")
"""A path that stays as it is when it is joined to an address."""
_BEHIND = "tell who runs it; behind a proxy that speaks TLS it has to know its own address"
_STORED = 1 << 20
"""Bytes a second that a registry looks through before it says that it has them."""
_ALWAYS = {"Accept-Encoding": "identity", "User-Agent": "reconciler"}


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
