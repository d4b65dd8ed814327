"""Relations of Debian packages: what one needs, provides, or can't stand beside (Debian Policy 7.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from reconciler.debian.version import parse_version

_RELATION = re.compile(
    r"([a-z0-9A-Z][a-zA-Z0-9+.-]*)(?::([a-z0-9-]+))?"
    r"(?:\s*\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s()]+)\s*\))?",
    re.ASCII,
)
_OLD_SIGNS = {"<": "<=", ">": ">="}
"""What dpkg still takes the signs for that Policy has given up."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One package that is related to: ``libc6:any (>= 2.36)``. ``sign`` and ``version`` are empty where any will do."""

    name: str
    sign: str = ""
    version: str = ""
    architecture: str = ""

    def __str__(self) -> str:
        name = f"{self.name}:{self.architecture}" if self.architecture else self.name
        return f"{name} ({self.sign} {self.version})" if self.sign else name

    def admits(self, version: str) -> bool:
        """Tell whether a version of the package will do."""
        if not self.sign:
            return True
        found, bound = parse_version(version), parse_version(self.version)
        return {
            "<<": found < bound,
            "<=": found <= bound,
            "=": found == bound,
            ">=": found >= bound,
            ">>": found > bound,
        }[self.sign]

    def admits_provided(self, version: str) -> bool:
        """Tell whether something that provides the name will do: with a version, it has to be provided in one."""
        return not self.sign or (bool(version) and self.admits(version))


Alternatives = tuple[Relation, ...]
"""Relations of which one is enough: ``default-mta | mail-transport-agent``."""


@lru_cache(maxsize=1 << 14)
def parse_relations(text: str) -> tuple[Alternatives, ...]:
    """Read a field such as ``Depends``; what can't be read is a ValueError."""
    groups = (group.strip() for group in text.split(","))
    return tuple(tuple(_relation(one.strip()) for one in group.split("|")) for group in groups if group)


def parse_provided(text: str) -> tuple[tuple[str, str], ...]:
    """Read a field ``Provides``: names, each with the version that it is provided in, empty where it is in none."""
    return tuple((one.name, one.version if one.sign == "=" else "") for group in parse_relations(text) for one in group)


def _relation(text: str) -> Relation:
    match = _RELATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!a} names no Debian package")
    name, architecture, sign, version = match.groups(default="")
    if sign:
        parse_version(version)
    return Relation(name, _OLD_SIGNS.get(sign, sign), version, architecture)
