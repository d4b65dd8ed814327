"""Where a distribution's archives are: ``reconciler.yaml``, the environment, then apt's sources of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from reconciler.clients.address import leads_to_link_local
from reconciler.clients.debian.sources import AptSource
from reconciler.errors import ResolveError

MIRROR, SNAPSHOT = "RECONCILER_MIRROR_", "RECONCILER_SNAPSHOT_"
_SUITES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "debian": re.compile(r"(?:buster|bullseye|bookworm|trixie|forky|duke|(?:old){0,2}stable|testing|sid|unstable)"),
        "ubuntu": re.compile(r"(?:bionic|focal|jammy|noble|plucky|questing|resolute)"),
    }
)
"""By what a machine's source is known to be of a distribution; whether it is, its signature says."""
_POCKET = re.compile(r"(?:[-/](?:updates|security|backports|proposed|proposed-updates))?")
_MAIN_ARCHITECTURES = frozenset(["amd64", "i386"])
"""Those that Ubuntu has in its main archive; all others are in its ports."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """``archives.ALIAS`` of reconciler.yaml: where an archive's newest state is, and where its earlier ones are."""

    mirror: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The address of an archive, which may hold a password. ``checks_date`` as :class:`AptSource`."""

    url: str = field(repr=False)
    checks_date: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Finds archives: as ``configured``, by alias, else as ``environ`` says, else where ``apt`` takes them from."""

    configured: Mapping[str, Configured] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    apt: Sequence[AptSource] = ()

    def mirrors(self, alias: str, architecture: str) -> tuple[Place, ...]:
        """Give the mirrors of an archive in the order in which they are asked.

        Where there is none, a ResolveError says what to write.
        """
        for name in _names(alias, architecture):
            own = self._set(name, MIRROR)
            if own is not None:
                return (Place(url=own),)
        found = tuple(dict.fromkeys(self._apt(alias)))
        if not found:
            raise _missing(alias)
        return found

    def snapshot(self, alias: str, architecture: str) -> str | None:
        """Give the address of the archive's earlier states, where one is set."""
        return next(filter(None, (self._set(name, SNAPSHOT) for name in _names(alias, architecture))), None)

    def _set(self, alias: str, prefix: str) -> str | None:
        source = self.configured.get(alias)
        configured = None if source is None else source.mirror if prefix == MIRROR else source.snapshot
        url = configured or self.environ.get(variable_of(prefix, alias))
        if not url:
            return None
        if leads_to_link_local(url):
            raise ResolveError(f"the archive {alias} has a link-local address, which is not used")
        return url.rstrip("/")

    def _apt(self, alias: str) -> Iterator[Place]:
        for source in self.apt:
            if _is_of(source, alias) and not leads_to_link_local(source.uri):
                yield Place(url=source.uri, checks_date=source.checks_date)


def variable_of(prefix: str, alias: str) -> str:
    """Give the variable that says where an archive is: ``RECONCILER_MIRROR_DEBIAN_SECURITY``."""
    return prefix + re.sub(r"[^A-Z0-9]", "_", alias.upper())


def _names(alias: str, architecture: str) -> tuple[str, ...]:
    """Give what an archive may be called in the settings: one of Ubuntu's has all suites, also that of its security."""
    if not alias.startswith("ubuntu"):
        return (alias,)
    if architecture in _MAIN_ARCHITECTURES:
        return (alias, "ubuntu")
    return (alias, "ubuntu", "ubuntu-ports") if architecture == "all" else ("ubuntu-ports", alias, "ubuntu")


def _missing(alias: str) -> ResolveError:
    family = alias.partition("-")[0]
    other = f"{family}-security"
    return ResolveError(
        f"this machine has no mirror of {alias}",
        hint=f"write archives.{family}.mirror and archives.{other}.mirror in reconciler.yaml, "
        f"or set {variable_of(MIRROR, family)} and {variable_of(MIRROR, other)}",
    )


def _is_of(source: AptSource, alias: str) -> bool:
    family, _, pocket = alias.partition("-")
    name = re.split(r"[-/]", source.suite, maxsplit=1)[0]
    if "main" not in source.components or not _SUITES[family].fullmatch(name):
        return False
    if not _POCKET.fullmatch(source.suite.removeprefix(name)):
        return False
    is_security = source.suite.endswith(("-security", "/updates"))
    return family == "ubuntu" or is_security == (pocket == "security")
