"""Where a registry sends us to sign in, and whether it may see our credentials there. Pure.

``.github/decisions/0051-where-credentials-go.md`` gives the reasons. Addresses are read by a narrow grammar of our own:
where two readers could disagree on an address's host, there is no address.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from reconciler.clients.address import is_link_local
from reconciler.errors import DeniedError

MAX_LENGTH = 2000
_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"(?P<name>{_LABEL}(?:\.{_LABEL}){{0,60}}|\[[0-9A-Fa-f:.]{{2,45}}\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
_ADDRESS = re.compile(rf"(?P<scheme>[A-Za-z]+)://(?P<host>{_HOST})(?P<rest>[/?][!\"$-\[\]-~]*)?")
# As it is resolved, not as it is meant: 2130706433, 0x7f.1 and 127.1 are addresses to many readers.
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
# Second levels below which countries register names for others: example.co.uk has nothing to do with co.uk.
_OF_OTHERS = frozenset(["ac", "co", "com", "edu", "gob", "gouv", "gov", "go", "gv", "ne", "net", "nom", "or", "org"])
_COUNTRY = 2
# Names that mean something else in each network (RFC 6761, RFC 6762, and what ICANN reserves for private use).
_PRIVATE = (".localhost", ".local", ".internal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A host as compared: a name in lower case or an IP address in its one spelling, and the port where one stands."""

    name: str
    port: int | None = None

    @property
    def is_address(self) -> bool:
        """Tell whether it is an IP address."""
        return ":" in self.name or self.name.replace(".", "").isdigit()

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Realm:
    """An address to sign in at, and its host; ``is_trusted`` says that it may see the registry's credentials."""

    url: str
    host: Host
    is_trusted: bool


def parse_host(text: str) -> Host | None:
    """Read ``HOST`` or ``HOST:PORT``; none where it is neither. One final dot is no part of the name."""
    name, colon, port = text.partition(":") if not text.startswith("[") else (text, "", "")
    match = re.fullmatch(_HOST, f"{name.removesuffix('.')}{colon}{port}")
    return _host(match) if match else None


def check_realm(realm: str, *, scheme: str, host: str, token_host: str | None = None) -> Realm:
    """Judge an address that the registry at ``host``, reached by ``scheme``, names to sign in at.

    ``token_host`` is a host (with a port where it has one of its own) that the configuration allows too. What may not
    be asked at all, with or without credentials, is a DeniedError.
    """
    own, match = parse_host(host), _ADDRESS.fullmatch(realm) if len(realm) <= MAX_LENGTH else None
    theirs = _host(match) if match else None
    if own is None or match is None or theirs is None:
        raise _unusable(host, "it is no plain http or https address")
    spoken = match["scheme"].lower()
    if spoken not in _PORTS:
        raise _unusable(host, "it is no plain http or https address")
    if spoken == "http" and scheme == "https":
        raise _unusable(host, f"{theirs} would be asked over http, and the registry speaks https")
    if is_link_local(theirs.name):
        raise _unusable(host, f"{theirs} is a link-local address")
    allowed = parse_host(token_host) if token_host else None
    is_trusted = _is_own(theirs, own, spoken) or (allowed is not None and _is_allowed(theirs, allowed, own, spoken))
    if not is_trusted and _is_near(theirs):
        raise elsewhere(host, theirs)
    return Realm(url=f"{spoken}://{theirs}{match['rest'] or '/'}", host=theirs, is_trusted=is_trusted)


def elsewhere(host: str, theirs: Host) -> DeniedError:
    """Say that the registry at ``host`` signs in where its credentials do not go."""
    hint = f"if that is right, set registries.{host}.token_host to {theirs} in reconciler.yaml"
    return DeniedError(f"{host} wants us to sign in at {theirs}, which is another host", hint=hint)


def _host(match: re.Match[str]) -> Host | None:
    name, port = match["name"].lower(), int(match["port"]) if match["port"] else None
    if port is not None and port > _MAX_PORT:
        return None
    try:
        if name.startswith("["):
            return Host(name=ipaddress.IPv6Address(name[1:-1]).compressed, port=port)
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return Host(name=str(ipaddress.IPv4Address(name)), port=port)
    except ValueError:
        return None
    return Host(name=name, port=port)


def _is_own(theirs: Host, own: Host, scheme: str) -> bool:
    """Tell whether a host is the registry's own, its parent or beside it in the parent.

    The own host counts with any port. Another one does with the usual port or the registry's own, so that it is no
    program that just anybody started there.
    """
    if theirs.name == own.name:
        return True
    parent = own.name.partition(".")[2]
    if own.is_address or theirs.is_address or not _is_domain(parent):
        return False
    related = theirs.name == parent or theirs.name.partition(".")[2] == parent
    return related and _has_usual_port(theirs, own, scheme)


def _is_domain(name: str) -> bool:
    """Tell whether a name is one that a single owner has, as far as its form says."""
    labels = name.split(".")
    is_of_others = len(labels) == 2 and len(labels[1]) == _COUNTRY and labels[0] in _OF_OTHERS  # noqa: PLR2004
    return len(labels) > 1 and not is_of_others


def _is_allowed(theirs: Host, allowed: Host, own: Host, scheme: str) -> bool:
    if allowed.port is not None:
        return theirs.name == allowed.name and (theirs.port or _PORTS[scheme]) == allowed.port
    return theirs.name == allowed.name and _has_usual_port(theirs, own, scheme)


def _has_usual_port(theirs: Host, own: Host, scheme: str) -> bool:
    return theirs.port in (None, _PORTS[scheme], own.port)


def _is_near(host: Host) -> bool:
    """Tell whether a host is one that only this machine or its network has: it is not asked for a stranger."""
    return host.is_address or "." not in host.name or host.name.endswith(_PRIVATE)


def _unusable(host: str, why: str) -> DeniedError:
    hint = f"tell who runs {host}: the realm of its challenge is wrong"
    return DeniedError(f"{host} names an address to sign in at that is not used: {why}", hint=hint)
