"""Where a distribution's archives are: ``reconciler.yaml``, the environment, then apt's sources of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.clients.address import leads_to_link_local
from reconciler.clients.debian.sources import AptSource
from reconciler.errors import ResolveError

MIRROR, SNAPSHOT = "RECONCILER_MIRROR_", "RECONCILER_SNAPSHOT_"
_NAMES: Mapping[str, re.Pattern[str]] = {
    "debian": re.compile(r"(?:buster|bullseye|bookworm|trixie|forky|(?:old){0,2}stable|testing|sid|unstable)"),
    "ubuntu": re.compile(r"(?:bionic|focal|jammy|noble|[a-z]+)"),
}
"""What the suites of a distribution are called; Ubuntu's are told from Debian's by their pockets' components."""
_POCKETS = ("", "-updates", "-security", "/updates", "-backports", "-proposed-updates")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The address of an archive, which may hold a password. ``checks_date`` as :class:`AptSource`."""

    url: str = field(repr=False)
    checks_date: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """``archives.ALIAS`` of reconciler.yaml."""

    mirror: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Finds archives; ``apt`` are the machine's own sources."""

    configured: Mapping[str, Configured] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    apt: Sequence[AptSource] = ()

    def mirrors(self, alias: str) -> tuple[Place, ...]:
        """Give the mirrors of an archive in the order in which they are asked.

        None at all is a ResolveError that says what to write.
        """
        own = self.configured.get(alias, Configured()).mirror or self.environ.get(variable_of(MIRROR, alias))
        if own:
            return (Place(url=_usable(own, alias)),)
        found = dict.fromkeys(self._apt(alias))
        if found:
            return tuple(found)
        raise missing(alias)

    def snapshot(self, alias: str) -> str | None:
        """Give the address of the archive's snapshots, where one is set."""
        own = self.configured.get(alias, Configured()).snapshot or self.environ.get(variable_of(SNAPSHOT, alias))
        return _usable(own, alias) if own else None

    def _apt(self, alias: str) -> Iterator[Place]:
        family, _, security = alias.partition("-")
        for source in self.apt:
            if not leads_to_link_local(source.uri) and _is_of(source, family, security=bool(security)):
                yield Place(url=source.uri, checks_date=source.checks_date)


def variable_of(prefix: str, alias: str) -> str:
    """Give the variable that says where an archive is: ``RECONCILER_MIRROR_DEBIAN_SECURITY``."""
    return prefix + re.sub(r"[^A-Z0-9]", "_", alias.upper())


def missing(alias: str) -> ResolveError:
    """Say in one line what to write where no mirror is known."""
    family = alias.partition("-")[0]
    return ResolveError(
        f"this machine has no mirror of {alias}",
        hint=f"write archives.{family}.mirror and archives.{family}-security.mirror in reconciler.yaml, or set "
        f"{variable_of(MIRROR, family)} and {variable_of(MIRROR, family + '-security')}",
    )


def _usable(url: str, alias: str) -> str:
    if leads_to_link_local(url):
        raise ResolveError(f"the mirror of {alias} has a link-local address, which is not used")
    return url.rstrip("/")


def _is_of(source: AptSource, family: str, *, security: bool) -> bool:
    if "main" not in source.components:
        return False
    is_security = source.suite.endswith(("-security", "/updates"))
    if family == "debian" and is_security != security:
        return False
    name = re.split(r"[-/]", source.suite, maxsplit=1)[0]
    is_debian = _NAMES["debian"].fullmatch(name) is not None and source.suite.removeprefix(name) in _POCKETS
    return is_debian if family == "debian" else not is_debian and "universe" in source.components
