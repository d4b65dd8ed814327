"""Where packages come from in one solve: the machine's indexes, and the aliases that a manifest names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from reconciler.clients.aliases import bind
from reconciler.clients.http.transport import without_credentials
from reconciler.clients.indexes import IndexSettings
from reconciler.errors import ResolveError
from reconciler.lock.model import MACHINE_INDEX
from reconciler.manifest.desired import Desired
from reconciler.resolvers.question import VARIABLES, Question, name_of, source_name

_ADDRESS_VARIABLES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The variables that uv gets (they may hold passwords), and the address of each alias."""

    variables: Mapping[str, str] = field(repr=False)
    addresses: Mapping[str, str] = field(repr=False)

    @property
    def bare(self) -> Mapping[str, str]:
        """The addresses of the aliases without credentials."""
        return {alias: bare(url) for alias, url in self.addresses.items()}

    @property
    def known(self) -> tuple[str, ...]:
        """Every address that the settings name, with credentials."""
        texts = [self.variables.get(name, "") for name in _ADDRESS_VARIABLES]
        parts = [part for text in texts for part in text.replace(",", " ").split()]
        return (*self.addresses.values(), *(re.sub(r"^[A-Za-z0-9._-]+=", "", part) for part in parts))

    def source_of(self, index: str) -> str:
        """Say what a lock calls an index, by the address that uv shows."""
        for alias, url in self.addresses.items():
            if bare(url).rstrip("/") == bare(index).rstrip("/"):
                return f"index:{alias}"
        return MACHINE_INDEX

    def alias_in(self, text: str) -> str:
        """Say which alias's host a text names; ``default`` where it names none."""
        for alias, url in self.addresses.items():
            host = urlsplit(url).netloc.rpartition("@")[2]
            if host and host in text:
                return alias
        return "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexes:
    """Where uv looked, as it says itself: ``index`` and ``links`` in its order, and the index of each package.

    ``pinned`` are the addresses of packages that come from one alias only.
    """

    index: tuple[str, ...] = field(default=(), repr=False)
    links: tuple[str, ...] = field(default=(), repr=False)
    taken_from: Mapping[str, str] = field(default_factory=dict, repr=False)
    pinned: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, name: str) -> tuple[str, ...]:
        """Give the indexes that a package may come from."""
        return (self.pinned[name],) if name in self.pinned else self.index

    def links_of(self, name: str) -> tuple[str, ...]:
        """Give the folders and pages of links that a package may come from."""
        return () if name in self.pinned else self.links


EMITTED = ("--format=requirements.txt", "--emit-index-url", "--emit-find-links", "--emit-index-annotation")
"""What makes uv say where it looked."""


def parse_indexes(text: str, question: Question, origin: Origin) -> Indexes:
    """Read what uv says with :data:`EMITTED`; it leaves out credentials, which are put back from our own settings."""
    full = {bare(url).rstrip("/"): url for url in origin.known}
    index, links, taken, name = [], [], {}, ""
    for line in text.splitlines():
        option, _, value = line.strip().partition(" ")
        if option in {"--index-url", "--extra-index-url"}:
            index.append(full.get(bare(value).rstrip("/"), value))
        elif option == "--find-links":
            links.append(full.get(bare(value).rstrip("/"), value))
        elif line.startswith("    # from ") and name:
            taken[name] = line.removeprefix("    # from ").strip()
        elif line and not line.startswith((" ", "#", "-")):
            name = name_of(line)
    pinned = {package: origin.addresses[alias] for package, alias in question.sources.items()}
    return Indexes(index=tuple(index), links=tuple(links), taken_from=taken, pinned=pinned)


def origin_of(
    question: Question,
    desired: Desired,
    *,
    configured: Mapping[str, str],
    environ: Mapping[str, str],
    settings: IndexSettings,
) -> Origin:
    """Bind the aliases of a question and put the machine's settings behind them."""
    addresses = {}
    fields = {alias: f"python.sources.{name}" for name, alias in question.sources.items()}
    fields |= {alias: f"python.indexes[{place}]" for place, alias in enumerate(question.indexes)}
    for alias, field_path in fields.items():
        where = desired.manifest.locate(field_path)
        addresses[alias] = bind(
            alias,
            configured=configured,
            environ=environ,
            named=settings.named,
            failure=ResolveError,
            where=where,
        )
    own = {name: environ[name] for name in _ADDRESS_VARIABLES if name in environ}
    variables = {**VARIABLES, **own, **settings.variables}
    named = [f"{alias}={addresses[alias]}" for alias in question.indexes]
    machine = variables.get("UV_INDEX", "")
    if named or machine:
        variables["UV_INDEX"] = " ".join([*named, *machine.split()])
    if settings.merged:
        # The order of the manifest's indexes counts; among the machine's own it does not.
        variables["UV_INDEX_STRATEGY"] = "unsafe-first-match" if named else "unsafe-best-match"
    for alias in sorted(set(question.sources.values())):
        variables.update(_credentials(source_name(alias), addresses[alias]))
    return Origin(variables=variables, addresses=addresses)


def bare(url: str) -> str:
    """Give an address without user and password."""
    return urlunsplit(without_credentials(urlsplit(url)))


def _credentials(name: str, url: str) -> dict[str, str]:
    parts = urlsplit(url)
    prefix = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    found = {f"{prefix}_USERNAME": parts.username, f"{prefix}_PASSWORD": parts.password}
    return {variable: unquote(value) for variable, value in found.items() if value is not None}
