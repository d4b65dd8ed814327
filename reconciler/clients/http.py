"""HTTP as the resolvers need it: sizes of files and pages of an index, many at once.

Credentials come from an address's own user part or from the user's ``.netrc`` and go to that host alone: what is
redirected elsewhere, or from https to http, loses them. ``SSL_CERT_FILE`` and the proxy variables are honoured.
"""

from __future__ import annotations

import base64
import netrc
import os
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import urllib3

from reconciler.errors import DeniedError, NotFoundError, UnavailableError

CONNECTIONS = 16
MAX_PAGE = 64 << 20
_TIMEOUT_S = 30.0
_OK, _DENIED, _MISSING = 200, (401, 403, 407), (404, 410)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A page: where it was found in the end, what it is, and its bytes."""

    url: str
    media_type: str
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Http:
    """A client. ``environ`` says which proxy, which ``.netrc`` and which certificates are used."""

    environ: Mapping[str, str] = field(repr=False)

    def size(self, url: str) -> int | None:
        """Tell how large a file is, none where the server does not say."""
        answer = self._ask("HEAD", url, {"Accept-Encoding": "identity"})
        length = answer.headers.get("Content-Length", "")
        answer.release_conn()
        return int(length) if length.isdecimal() else None

    def get(self, url: str, *, accept: str) -> Answer:
        """Read a page of at most :data:`MAX_PAGE` bytes."""
        answer = self._ask("GET", url, {"Accept": accept, "Accept-Encoding": "gzip"})
        body = answer.read(MAX_PAGE + 1, decode_content=True)
        answer.release_conn()
        if len(body) > MAX_PAGE:
            raise UnavailableError("the package index sends more than a page may hold")
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Answer(url=answer.geturl() or url, media_type=media_type, body=body)

    def _ask(self, method: str, url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
        import urllib3  # noqa: PLC0415  # start-up: only what speaks HTTP pays

        parts = urlsplit(url)
        bare = urlunsplit(without_credentials(parts))
        authorization = self._authorization(parts)
        if authorization:
            headers = {**headers, "Authorization": authorization}
        try:
            answer = _pool(self._proxy(parts), self.environ.get("SSL_CERT_FILE")).request(
                method, bare, headers=headers, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError("the package index does not answer", hint="try again later") from error
        if answer.status in _MISSING:
            raise NotFoundError("the package index has no such page")
        if answer.status in _DENIED:
            raise DeniedError("the package index refuses", hint="check the credentials in the machine's settings")
        if answer.status != _OK:
            raise UnavailableError(f"the package index answers with status {answer.status}")
        return answer

    def _authorization(self, parts: SplitResult) -> str | None:
        user, password = parts.username, parts.password
        if user is None and password is None:
            user, password = _from_netrc(self.environ, parts.hostname or "")
        if user is None:
            return None
        text = f"{unquote(user)}:{unquote(password or '')}"
        return "Basic " + base64.b64encode(text.encode()).decode("ascii")

    def _proxy(self, parts: SplitResult) -> str | None:
        proxies = {
            name.lower().removesuffix("_proxy"): value
            for name, value in self.environ.items()
            if name.lower().endswith("_proxy") and value
        }
        if urllib.request.proxy_bypass_environment(parts.hostname or "", {"no": proxies.get("no", "")}):  # type: ignore[attr-defined]  # undocumented stub
            return None
        return proxies.get(parts.scheme) or proxies.get("all")


def without_credentials(parts: SplitResult) -> SplitResult:
    """Drop the user and the password of an address."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2])


@cache
def _pool(proxy: str | None, certificates: str | None) -> urllib3.PoolManager:
    import urllib3  # noqa: PLC0415  # start-up: only what speaks HTTP pays

    retries = urllib3.Retry(total=4, redirect=5, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504))
    settings = {
        "maxsize": CONNECTIONS,
        "timeout": urllib3.Timeout(_TIMEOUT_S),
        "retries": retries.new(raise_on_status=False),
        "ssl_context": ssl.create_default_context(cafile=certificates or None),
    }
    if proxy is None:
        return urllib3.PoolManager(**settings)  # type: ignore[arg-type]  # one mapping for two constructors
    parts = urlsplit(proxy)
    headers = None
    if parts.username is not None:
        headers = urllib3.make_headers(proxy_basic_auth=f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    bare = urlunsplit(without_credentials(parts))
    return urllib3.ProxyManager(bare, proxy_headers=headers, **settings)  # type: ignore[arg-type]  # as above


def _from_netrc(environ: Mapping[str, str], host: str) -> tuple[str | None, str | None]:
    path = environ.get("NETRC") or os.path.join(environ.get("HOME", "/nonexistent"), ".netrc")  # noqa: PTH118  # text
    try:
        found = netrc.netrc(path).authenticators(host) if Path(path).is_file() else None
    except (OSError, netrc.NetrcParseError):
        return None, None
    return (found[0], found[2]) if found else (None, None)
