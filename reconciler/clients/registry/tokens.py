"""What lets us in: basic credentials, or tokens from where the registry says (distribution's "Token Authentication").

A token is fetched once for its scopes, however many threads ask at once; it is kept until shortly before it expires and
used for whatever it covers. Credentials go to the registry and to where :mod:`realm` says, and nowhere else.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from reconciler.clients.registry.challenge import Challenge, parse_challenges
from reconciler.clients.registry.credentials import Credential
from reconciler.clients.registry.identity import Identity
from reconciler.clients.registry.objects import parse_object, text_of
from reconciler.clients.registry.realm import Realm, check_realm, elsewhere
from reconciler.clients.registry.scopes import Access, covers, parse_scopes, to_scopes, widen
from reconciler.errors import CorruptError, DeniedError, RegistryError, UnavailableError

CLIENT = "reconciler"
MAX_ANSWER = 1 << 20
LIFETIME_S = 60
"""Seconds that a token lasts where nothing is said, and at least."""
MAX_LIFETIME_S = 86_400
EARLY_S = 10.0
"""Seconds before its end from which a token is not used any more."""
YOUNG_S = 10.0
"""Seconds for which a token that is refused was no old one: the next would be refused as well."""
_HEADER = re.compile(r"[\x21-\x7e]{1,32768}")
_OK, _UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER = 200, 401, 403, 429, 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A token server's answer."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


Ask = Callable[[str, str, Mapping[str, str], bytes | None], Reply]
"""Send a method to an address with headers and a body. It adds no credentials, follows nothing, bounds the answer, and
raises where none comes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A token as the header that shows it, what it is for, and when (by the clock) it was fetched and ends."""

    header: str = field(repr=False)
    access: Access
    fetched: float
    ends: float


class Authorizer:
    """The ``Authorization`` header for one registry; safe for threads.

    ``scheme`` and ``host`` are how it is reached: over plain http only where who calls has decided that credentials may
    be seen there. ``token_host`` is a host that may see them too.
    """

    def __init__(  # noqa: PLR0913  # one argument a part of the registry
        self,
        *,
        scheme: str,
        host: str,
        credential: Callable[[], Credential | None],
        ask: Ask,
        token_host: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheme, self._host, self._token_host = scheme, host, token_host
        self._ask, self._clock = ask, clock
        self._identity = Identity(credential)
        self._guard = threading.Lock()
        self._turns: defaultdict[frozenset[str], threading.Lock] = defaultdict(threading.Lock)
        self._tokens: defaultdict[str, list[Token]] = defaultdict(list)
        self._refusals: dict[frozenset[str], tuple[str, str | None]] = {}
        self._fixed: tuple[str, Credential] | None = None

    def header(self, scopes: frozenset[str]) -> str | None:
        """Give what is known to let these scopes in now; none where nothing is."""
        token = self._held(parse_scopes(scopes)) if self._tokens else None
        if token is not None:
            return token.header
        return self._fixed[0] if self._fixed else None

    def answer(self, scopes: frozenset[str], challenges: Sequence[str], *, refused: str | None) -> str | None:
        """After a 401: give a header worth trying that is not ``refused``; none where there is nothing to offer.

        A DeniedError where the token server refuses, or is one that may not see the credentials; what ``ask`` raises
        where it gives no answer; a CorruptError where it gives one that is none.
        """
        with self._guard:
            turn = self._turns[scopes]
        with turn:
            known = self.header(scopes)
            if known is not None and known != refused:
                return known
            asked = {challenge.scheme: challenge for challenge in reversed(parse_challenges(challenges))}
            if "bearer" in asked:
                return self._bearer(scopes, asked["bearer"], refused)
            return self._basic(refused) if "basic" in asked else None

    # -- what needs no fetching ---------------------------------------------------------------------------------

    def _basic(self, refused: str | None) -> str | None:
        credential = self._standing(refused)
        return self._fix(to_basic(credential), credential) if credential and _is_user(credential) else None

    def _passed_on(self, refused: str | None) -> str | None:
        credential = self._standing(refused)
        if credential is None or not credential.registry_token:
            return None
        return self._fix(_to_bearer(credential.registry_token, credential.source), credential)

    def _standing(self, refused: str | None) -> Credential | None:
        """Give our credential, or what there is instead where just that was refused."""
        credential = self._identity.current()
        if credential is not None and self._fixed == (refused, credential):
            return self._identity.renew(credential)
        return credential

    def _fix(self, header: str, credential: Credential) -> str:
        self._fixed = (header, credential)
        return header

    # -- tokens -------------------------------------------------------------------------------------------------

    def _bearer(self, scopes: frozenset[str], challenge: Challenge, refused: str | None) -> str | None:
        credential = self._identity.current()
        if credential is not None and credential.registry_token:
            return self._passed_on(refused)
        wanted = parse_scopes(scopes)
        old = self._held(wanted)
        if old is not None and self._clock() - old.fetched < YOUNG_S:
            return None
        with self._guard:
            said = self._refusals.get(scopes)
        if said is not None:
            raise DeniedError(said[0], hint=said[1])
        token = self._fetch(scopes, wanted, challenge, credential)
        self._keep(token, instead=old)
        return token.header if token.header != refused else None

    def _fetch(
        self, scopes: frozenset[str], wanted: Access, challenge: Challenge, credential: Credential | None
    ) -> Token:
        told = challenge.parameters
        realm = check_realm(told.get("realm", ""), scheme=self._scheme, host=self._host, token_host=self._token_host)
        if credential is not None and not realm.is_trusted:
            raise elsewhere(self._host, realm.host)
        access, service = widen(wanted, told.get("scope", "")), told.get("service", "")
        begun = self._clock()
        reply = self._ask(*to_request(realm, service, access, credential))
        if reply.status == _UNAUTHORIZED and credential is not None:
            other = self._identity.renew(credential)
            if other is not None:
                credential, begun = other, self._clock()
                reply = self._ask(*to_request(realm, service, access, credential))
        if reply.status in (_UNAUTHORIZED, _FORBIDDEN):
            refusal = refused_by(self._host, access, credential)
            with self._guard:
                self._refusals[scopes] = (refusal.message, refusal.hint)
            raise refusal
        return parse_token(reply, realm, access, begun)

    def _held(self, wanted: Access) -> Token | None:
        now = self._clock()
        with self._guard:
            for token in self._tokens.get(next(iter(wanted), ""), ()):
                if now < token.ends - EARLY_S and covers(token.access, wanted):
                    return token
        return None

    def _keep(self, token: Token, *, instead: Token | None) -> None:
        """Keep a token under each of its resources, without those that are over."""
        now = self._clock()
        with self._guard:
            for resource in token.access or ("",):
                kept = [held for held in self._tokens[resource] if now < held.ends and held is not instead]
                self._tokens[resource] = [token, *kept]


def to_basic(credential: Credential) -> str:
    """Write basic credentials (RFC 7617), as UTF-8."""
    both = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(both).decode('ascii')}"


def to_request(
    realm: Realm, service: str, access: Access, credential: Credential | None
) -> tuple[str, str, Mapping[str, str], bytes | None]:
    """Write the request for a token: an identity token is exchanged (OAuth2), anyone else asks with GET."""
    named = [("service", service)] if service else []
    headers = {"Accept": "application/json"}
    scopes = to_scopes(access)
    if credential is not None and credential.identity_token:
        form = [("grant_type", "refresh_token"), *named, ("client_id", CLIENT), ("scope", " ".join(scopes))]
        body = urlencode([*form, ("refresh_token", credential.identity_token)])
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return "POST", realm.url, headers, body.encode("ascii")
    if credential is not None and _is_user(credential):
        headers["Authorization"] = to_basic(credential)
    query = urlencode([*named, *(("scope", scope) for scope in scopes)])
    joined = f"{realm.url}{'&' if '?' in realm.url else '?'}{query}" if query else realm.url
    return "GET", joined, headers, None


def parse_token(reply: Reply, realm: Realm, access: Access, begun: float) -> Token:
    """Read a token server's answer to a request that was sent at ``begun``."""
    who = f"the token server {realm.host}"
    if reply.status == _TOO_MANY or reply.status >= _SERVER:
        raise UnavailableError(f"{who} answers {reply.status}", hint="try again later")
    if reply.status != _OK:
        raise RegistryError(f"{who} answers {reply.status} where a token should be", hint="tell who runs it")
    try:
        value = parse_object(reply.body, limit=MAX_ANSWER)
        token = text_of(value, "token") or text_of(value, "access_token")
        lifetime = value.get("expires_in")
        if lifetime is not None and type(lifetime) is not int:
            raise ValueError("`expires_in` is no number of seconds")  # noqa: TRY301  # one place for all
    except ValueError as error:
        raise CorruptError(f"{who} gives an answer that is no token: {error}", hint="tell who runs it") from None
    if not token:
        raise CorruptError(f"{who} gives no token", hint="tell who runs it")
    lasts = min(max(lifetime or LIFETIME_S, LIFETIME_S), MAX_LIFETIME_S)
    return Token(header=_to_bearer(token, who), access=access, fetched=begun, ends=begun + lasts)


def refused_by(host: str, access: Access, credential: Credential | None) -> DeniedError:
    """Say that the token server lets nobody in with this credential, or with none."""
    what = f" for {' '.join(to_scopes(access))}" if access else ""
    if credential is None:
        hint = f"sign in: docker login {host}"
        return DeniedError(f"{host} wants credentials{what}, and there are none for it", hint=hint)
    hint = f"sign in again, as a user who may do that: docker login {host}"
    return DeniedError(f"{host} refuses the credentials from {credential.source}{what}", hint=hint)


def _is_user(credential: Credential) -> bool:
    return bool(credential.username or credential.password)


def _to_bearer(token: str, source: str) -> str:
    if _HEADER.fullmatch(token) is None:
        raise CorruptError(f"the token from {source} can't be sent in a header", hint="tell who runs it")
    return f"Bearer {token}"
