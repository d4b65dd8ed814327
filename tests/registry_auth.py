"""Who may ask the registry of ``tests/registry_server.py``, by the distribution project's token specification."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from tests.registry_messages import Kind, Request, Response, document, error

Scope = tuple[str, str, str]
"""Type, name, action: ``("repository", "team/training", "pull")``."""


class Auth(Protocol):
    """A way to tell who asks."""

    def refusal(self, request: Request, base: str) -> Response | None:
        """Answer who may not ask this, or nothing; ``base`` is the registry's own URL."""

    def challenge(self, request: Request, base: str, problem: str = "") -> str:
        """Write the WWW-Authenticate header for this request."""

    def token(self, request: Request, body: bytes) -> Response:
        """Answer a request to /token."""


@dataclass
class Basic:
    """A name and a password with every request."""

    username: str = "user"
    password: str = "secret"  # noqa: S105  # of a server on loopback that ends with its test
    realm: str = "registry"

    def refusal(self, request: Request, base: str) -> Response | None:
        if credentials(request) == (self.username, self.password):
            return None
        return unauthorized(self.challenge(request, base))

    def challenge(self, request: Request, base: str, problem: str = "") -> str:
        del request, base, problem
        return f'Basic realm="{self.realm}"'

    def token(self, request: Request, body: bytes) -> Response:
        del request, body
        return error(404, "UNSUPPORTED")


def _all(_name: str, _action: str) -> bool:
    return True


@dataclass
class Grant:
    """What a token is good for, until when (of the monotonic clock)."""

    scopes: frozenset[Scope]
    until: float


@dataclass
class Bearer:
    """Tokens for scopes, from /token of this server, or at ``realm``: of a second server with the same value.

    ``granted`` says which (repository, action) the account gets; a token is given for less than was asked for.
    ``anonymous`` are actions that need no account. ``fields`` are the names that an answer gives the token, and
    ``expires_s`` the seconds that it says (none says nothing; the specification then means 60); a token is good until
    ``expire_all`` all the same, or for ``good_for_s``. ``identity_token`` is accepted as an OAuth2 refresh token.
    """

    username: str = "user"
    password: str = "secret"  # noqa: S105  # of a server on loopback that ends with its test
    identity_token: str = ""
    realm: str = ""
    service: str = "registry.test"
    granted: Callable[[str, str], bool] = _all
    anonymous: frozenset[str] = frozenset()
    fields: tuple[str, ...] = ("token", "access_token")
    expires_s: int | None = 300
    good_for_s: float = 3600
    issued: dict[str, Grant] = field(default_factory=dict)

    def expire_all(self) -> None:
        """Let no token be good any more."""
        self.issued.clear()

    def refusal(self, request: Request, base: str) -> Response | None:
        scheme, _, token = request.credential.partition(" ")
        grant = self.issued.get(token.strip()) if scheme.lower() == "bearer" else None
        needed = scopes_of(request)
        if grant is None or grant.until < time.monotonic():
            problem = "invalid_token" if request.credential else ""
        elif needed <= grant.scopes:
            return None
        else:
            problem = "insufficient_scope"
        return unauthorized(self.challenge(request, base, problem))

    def challenge(self, request: Request, base: str, problem: str = "") -> str:
        written = f'Bearer realm="{self.realm or f"{base}/token"}",service="{self.service}"'
        if scope := written_scopes(scopes_of(request)):
            written += f',scope="{scope}"'
        return written + (f',error="{problem}"' if problem else "")

    def token(self, request: Request, body: bytes) -> Response:
        pairs = parse_qsl(body.decode() if request.method == "POST" else urlsplit(request.path).query)
        form = dict(pairs)
        known = self._is_known(request, form)
        if known is None:
            return error(401, "UNAUTHORIZED", "incorrect username or password")
        if form.get("service") != self.service:
            return error(400, "UNSUPPORTED", "another service")
        asked = parse_scopes(text for name, text in pairs if name == "scope")
        scopes = frozenset(one for one in asked if self._is_granted(one, known=known))
        return self._answer(scopes, oauth=request.method == "POST")

    def _is_known(self, request: Request, form: dict[str, str]) -> bool | None:
        """Tell whether an account asks (or nobody), none where it is a wrong one."""
        account = (self.username, self.password)
        if form.get("grant_type") == "refresh_token":
            return True if self.identity_token and form.get("refresh_token") == self.identity_token else None
        if form.get("grant_type") == "password":
            return True if (form.get("username"), form.get("password")) == account else None
        if not request.credential:
            return False
        return True if credentials(request) == account else None

    def _is_granted(self, scope: Scope, *, known: bool) -> bool:
        kind, name, action = scope
        if not known:
            return action in self.anonymous
        return kind == "registry" or self.granted(name, action)

    def _answer(self, scopes: frozenset[Scope], *, oauth: bool) -> Response:
        token = secrets.token_urlsafe(24)
        self.issued[token] = Grant(scopes, time.monotonic() + self.good_for_s)
        made: dict[str, object] = dict.fromkeys(("access_token",) if oauth else self.fields, token)
        if self.expires_s is not None:
            made["expires_in"] = self.expires_s
        if oauth:
            made["scope"] = written_scopes(scopes)
        return document(made)


def unauthorized(challenge: str) -> Response:
    """Ask who it is."""
    return error(401, "UNAUTHORIZED", "authentication required", www_authenticate=challenge)


def credentials(request: Request) -> tuple[str, str] | None:
    """Read the name and password of a Basic header."""
    scheme, _, text = request.credential.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password


def scopes_of(request: Request) -> frozenset[Scope]:
    """Tell what a token must be good for to ask this."""
    if request.kind is Kind.CATALOG:
        return frozenset([("registry", "catalog", "*")])
    if not request.name:
        return frozenset()
    actions = {"GET": ("pull",), "HEAD": ("pull",), "DELETE": ("delete",)}.get(request.method, ("pull", "push"))
    if request.kind in (Kind.GET_UPLOAD, Kind.DELETE_UPLOAD):
        actions = ("pull", "push")
    scopes = {("repository", request.name, action) for action in actions}
    if request.kind is Kind.MOUNT and "from" in request.query:
        scopes.add(("repository", request.query["from"], "pull"))
    return frozenset(scopes)


def parse_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """Read scopes as they are asked for, ``repository:NAME:pull,push``, several apart by spaces."""
    found: set[Scope] = set()
    for text in " ".join(texts).split():
        kind, _, rest = text.partition(":")
        name, _, actions = rest.rpartition(":")
        found.update((kind, name, action) for action in actions.split(","))
    return frozenset(found)


def written_scopes(scopes: Iterable[Scope]) -> str:
    """Write scopes, sorted."""
    actions: dict[tuple[str, str], list[str]] = {}
    for kind, name, action in sorted(scopes):
        actions.setdefault((kind, name), []).append(action)
    return " ".join(f"{kind}:{name}:{','.join(these)}" for (kind, name), these in actions.items())
