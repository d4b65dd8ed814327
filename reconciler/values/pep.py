"""Names, requirements and versions as Python's packages write them (PEP 503, PEP 508, PEP 440).

The only module that uses ``packaging``, which takes 50 ms to load and is therefore loaded where it is needed: most
requirements (a name in its one spelling and plain versions) are read without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.tags import Tag
    from packaging.version import Version

_SEPARATORS = re.compile(r"[-_.]+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_CLAUSE = r"(?:(?:==|!=|>=|<=|<|>)[0-9]+(?:\.[0-9]+)*|~=[0-9]+(?:\.[0-9]+)+)"
_SIMPLE = re.compile(rf"([a-z0-9]+(?:-[a-z0-9]+)*)({_CLAUSE}(?:,{_CLAUSE})*)?", re.ASCII)
MAX_LENGTH = 4096


def normalise(name: str) -> str:
    """Give the one spelling of a package's name (PEP 503): ``Scikit_Learn`` is ``scikit-learn``."""
    return _SEPARATORS.sub("-", name).lower()


def is_name(text: str) -> bool:
    """Tell whether this can be a package's, an extra's or a group's name (PEP 508)."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Requirement:
    """One requirement (PEP 508) in its one spelling; ``str`` gives the text that identity hashes **[format]**.

    The name and the extras are normalised and the extras sorted; version clauses are sorted, without blanks, versions
    as written; the marker as ``packaging`` spells it (double quotes, single blanks). ``url`` is what follows ``@``.
    """

    name: str
    extras: tuple[str, ...] = ()
    specifiers: tuple[str, ...] = ()
    url: str | None = None
    marker: str | None = None

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """Read a requirement; what is none is a ValueError with one line that says why."""
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a requirement has at most {MAX_LENGTH} characters")
        from packaging import requirements  # noqa: PLC0415  # slow to load

        try:
            parsed = requirements.Requirement(text)
        except requirements.InvalidRequirement as error:
            raise ValueError(f"not a requirement: {str(error).splitlines()[0][:200]}") from error
        except RecursionError as error:
            raise ValueError("not a requirement: its marker is nested too deeply") from error
        return cls(
            name=normalise(parsed.name),
            extras=tuple(sorted({normalise(extra) for extra in parsed.extras})),
            specifiers=tuple(sorted({f"{part.operator}{part.version}" for part in parsed.specifier})),
            url=parsed.url,
            marker=None if parsed.marker is None else str(parsed.marker),
        )

    def allows(self, version: str) -> bool:
        """Tell whether a version meets the requirement; pre-releases count. What is no version meets none."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415  # slow to load
        from packaging.version import InvalidVersion, Version  # noqa: PLC0415  # as above

        try:
            return SpecifierSet(",".join(self.specifiers)).contains(Version(version), prereleases=True)
        except (InvalidVersion, InvalidSpecifier):
            return False

    @property
    def asks_for_prereleases(self) -> bool:
        """Tell whether a version clause names a pre-release, which is how PEP 440 lets them in."""
        from packaging.specifiers import SpecifierSet  # noqa: PLC0415  # slow to load

        return bool(SpecifierSet(",".join(self.specifiers)).prereleases)

    def applies(self, environment: Mapping[str, str]) -> bool:
        """Tell whether the marker holds in this environment (PEP 508's variables, all of them)."""
        if self.marker is None:
            return True
        from packaging.markers import Marker  # noqa: PLC0415  # slow to load

        return Marker(self.marker).evaluate({"extra": "", **environment})

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.url is not None:
            marker = f" ; {self.marker}" if self.marker else ""
            return f"{self.name}{extras} @ {self.url}{marker}"
        marker = f"; {self.marker}" if self.marker else ""
        return f"{self.name}{extras}{','.join(self.specifiers)}{marker}"


@lru_cache(maxsize=1 << 14)
def canonical_requirement(text: str) -> str:
    """Give a requirement's one spelling; what is none is a ValueError."""
    simple = _SIMPLE.fullmatch(text)
    if simple is None:
        return str(Requirement.parse(text))
    name, clauses = simple.groups()
    return f"{name}{','.join(sorted(set(clauses.split(','))))}" if clauses else str(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """What a wheel's file name says (PEP 427): name, version and the tags that it runs on."""

    name: str
    version: str
    tags: frozenset[Tag]

    @classmethod
    def parse(cls, file: str) -> Wheel:
        """Read a wheel's file name; anything else is a ValueError."""
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415  # slow to load

        try:
            name, version, _, tags = parse_wheel_filename(file)
        except InvalidWheelFilename as error:
            raise ValueError(f"{file[:120]!a} is no wheel's file name") from error
        return cls(name=str(name), version=str(version), tags=tags)

    @property
    def is_for_any_platform(self) -> bool:
        """Tell whether it says that it runs everywhere."""
        return any(tag.platform == "any" for tag in self.tags)

    def runs_on(self, python: str, platforms: Sequence[str]) -> bool:
        """Tell whether a CPython like ``3.11`` on these platforms (``linux_x86_64``) takes it (PEP 425)."""
        from packaging import tags  # noqa: PLC0415  # slow to load

        major, minor = python.split(".")[:2]
        version, abi = (int(major), int(minor)), f"cp{major}{minor}"
        fitting = {*tags.cpython_tags(version, [abi], platforms), *tags.compatible_tags(version, abi, platforms)}
        return not fitting.isdisjoint(self.tags)


def parse_version(text: str) -> Version:
    """Read a version (PEP 440), which compares; what is none is a ValueError."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  # slow to load

    try:
        return Version(text)
    except InvalidVersion as error:
        raise ValueError(f"not a version: {text[:80]!a}") from error
