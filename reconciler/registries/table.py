"""Which registry an address names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError
from reconciler.manifest.config import RegistryHost
from reconciler.ports import Registry
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore

if TYPE_CHECKING:
    from reconciler.clients.registry.session import Settings

FOLDER = ".reconciler"
DEFAULT = f"{FOLDER}/registry"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?=//)")
# distribution-spec 1.1: a host has a dot or a port, or is localhost; a folder is written ./like.this/.
_HOST = re.compile(
    r"(?:localhost|[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:)|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/.*)?"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PREFIX = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_MAX_PREFIX = 150
_CERTIFICATES = Path("/etc/docker/certs.d")


def is_remote(address: str) -> bool:
    """Tell whether an address names a registry over HTTP, and no folder."""
    return _SCHEME.match(address) is not None or _HOST.fullmatch(address) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a registry over HTTP is reached with.

    ``environ`` says where credentials and proxies are, ``hosts`` how certain hosts are reached, by their name in lower
    case. Certificate authorities are relative to ``repository``, and nothing inside it is run. ``credential`` names the
    one to use, where there is a name.
    """

    environ: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, RegistryHost] = field(default_factory=dict)
    repository: Path | None = None
    credential: str | None = None


def open_registry(address: str, root: Path, surroundings: Surroundings | None = None) -> Registry:
    """Give the registry at ``address``: ``HOST[:PORT][/PREFIX]``, or a folder relative to ``root``.

    What is neither is a ReconcilerError. The blobs of ``.reconciler/registry`` are shared with ``.reconciler/store``,
    those of any other folder with ``.store`` inside it, which is on the same file system.
    """
    if not address:
        raise ReconcilerError("an empty address names no registry", hint=f"the default is {DEFAULT}")
    if "\0" in address:
        raise ReconcilerError("an address with a NUL names no registry")
    if is_remote(address):
        return _open_remote(address, surroundings or Surroundings())
    folder = root / Path(address).expanduser()
    store = folder.parent / "store" if folder.parent.name == FOLDER else folder / ".store"
    return LayoutRegistry(folder, store=ContentStore(store), address=address)


def _open_remote(address: str, surroundings: Surroundings) -> Registry:
    shown = _without_credentials(address)
    if _SCHEME.match(address):
        raise ReconcilerError(
            f"{shown}: a registry's address has no scheme",
            hint="write HOST/PREFIX; plain HTTP is for loopback, and where `registries.HOST.plain_http` allows it",
        )
    host, _, prefix = address.partition("/")
    host, prefix = host.lower(), prefix.rstrip("/")
    if prefix and (_PREFIX.fullmatch(prefix) is None or len(prefix) > _MAX_PREFIX):
        raise ReconcilerError(
            f"{shown}: `{prefix[:80]}` is no prefix of repositories",
            hint="lower case letters, digits and single . _ - between them, parts divided by /",
        )
    from reconciler.clients.registry.session import Session  # noqa: PLC0415  # only what speaks HTTP pays
    from reconciler.registries.http import HttpRegistry  # noqa: PLC0415  # the same

    session = Session(host, environ=surroundings.environ, settings=_settings(host, prefix, surroundings))
    return HttpRegistry(session, prefix)


def _settings(host: str, prefix: str, surroundings: Surroundings) -> Settings:
    from reconciler.clients.registry.session import Settings  # noqa: PLC0415  # the same

    known = surroundings.hosts.get(host, RegistryHost())
    root = surroundings.repository or Path()
    own = (str(root / known.certificate_authority),) if known.certificate_authority else ()
    settings = Settings(
        plain_http=known.plain_http,
        authorities=(*own, *_docker_authorities(host)),
        token_host=known.token_host,
        prefix=prefix,
        credential=surroundings.credential,
        outside=surroundings.repository,
    )
    return _patient(settings, surroundings.environ)


def _patient(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Take how long a registry may need for an answer, tries and all, from RECONCILER_REGISTRY_LIMIT (seconds)."""
    from dataclasses import replace  # noqa: PLC0415  # the same

    text = environ.get("RECONCILER_REGISTRY_LIMIT")
    if not text:
        return settings
    try:
        limit_s = float(text)
    except ValueError:
        limit_s = 0.0
    if not 0 < limit_s <= _MAX_LIMIT_S:
        raise ReconcilerError(
            f"RECONCILER_REGISTRY_LIMIT: {text[:40]!a} is no number of seconds", hint=f"from 1 to {_MAX_LIMIT_S:.0f}"
        )
    return replace(settings, limit_s=limit_s, timeout_s=min(settings.timeout_s, limit_s))


_MAX_LIMIT_S = 86_400.0


def _docker_authorities(host: str) -> tuple[str, ...]:
    """Find the certificate authorities that Docker Engine is given for a host, which serve here too."""
    folder = _CERTIFICATES / host
    try:
        return tuple(sorted(str(path) for path in folder.iterdir() if path.suffix == ".crt"))
    except OSError:
        return ()


def _without_credentials(address: str) -> str:
    return re.sub(r"(?<=//)[^/@]*@", "", address)[:200]
