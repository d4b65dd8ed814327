"""The suites that a base can be made of: their Python, and until when somebody mends what is found in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_ENTRY = re.compile(r"(debian|ubuntu)(?::([a-z]+))?(-slim)?")
STANDARD, SLIM = "standard", "slim"


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """A release of a distribution, with the minor version of its ``python3``, and the last day of its support.

    Debian's is that of its long-term support, Ubuntu's that of its standard support (RFC 3339 dates).
    """

    distribution: str
    name: str
    python: str
    ends: str


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        suite.name: suite
        for suite in (
            Suite(distribution="debian", name="bullseye", python="3.9", ends="2026-08-31"),
            Suite(distribution="debian", name="bookworm", python="3.11", ends="2028-06-30"),
            Suite(distribution="debian", name="trixie", python="3.13", ends="2030-06-30"),
            Suite(distribution="ubuntu", name="jammy", python="3.10", ends="2027-04-30"),
            Suite(distribution="ubuntu", name="noble", python="3.12", ends="2029-05-31"),
        )
    }
)
DEFAULT_SUITES: Mapping[str, str] = MappingProxyType({"debian": "bookworm", "ubuntu": "noble"})
"""What is taken where no suite of the distribution has the Python that is asked for."""
_CHOSEN: Mapping[str, tuple[str, ...]] = MappingProxyType({"debian": ("bookworm", "trixie"), "ubuntu": ("noble",)})
"""Suites that are taken for their Python without being named: those that are supported for years."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A catalog's entry that names a distribution: ``debian``, ``debian:bookworm`` or ``debian:bookworm-slim``."""

    distribution: str
    suite: str | None
    variant: str

    def suite_for(self, python: str) -> Suite:
        """Give the suite that is named, else the one that has this Python (``3.13``, ``3.13.5``), else the default."""
        minor = ".".join(python.split(".")[:2])
        having = (name for name in _CHOSEN[self.distribution] if SUITES[name].python == minor)
        return SUITES[self.suite or next(having, DEFAULT_SUITES[self.distribution])]


def parse_entry(text: str) -> Entry | None:
    """Read an entry of the catalog; none where it names an image. An unknown suite is a ValueError."""
    match = _ENTRY.fullmatch(text)
    if match is None:
        return None
    distribution, suite, slim = match.groups()
    if suite is not None and (suite not in SUITES or SUITES[suite].distribution != distribution):
        known = ", ".join(suite.name for suite in SUITES.values() if suite.distribution == distribution)
        raise ValueError(f"no suite of {distribution} is called {suite}; known are {known}")
    return Entry(distribution=distribution, suite=suite, variant=SLIM if slim else STANDARD)
