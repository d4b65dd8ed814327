"""Which package has which recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from reconciler.debian.commands.machine import Machine
from reconciler.debian.recipes import system, trust

Recipe = Callable[[Machine], None]

_NAMED: Mapping[str, Recipe] = {
    "base-passwd": system.base_passwd,
    "passwd": system.passwd,
    "dash": system.dash,
    "tzdata": system.tzdata,
    "ca-certificates": trust.ca_certificates,
    "ca-certificates-java": trust.ca_certificates_java,
    "libpam-runtime": trust.pam,
    **dict.fromkeys(
        ["libc6", "python3", "dpkg", "debconf", "ucf", "python3-minimal", "usrmerge", "usr-is-merged"], system.nothing
    ),
}
_PATTERNS: Mapping[str, Recipe] = {}


def recipe_of(package: str) -> Recipe | None:
    """Give what is made in place of a package's scripts; none where nobody has read them."""
    if (found := _NAMED.get(package)) is not None:
        return found
    return next((recipe for pattern, recipe in _PATTERNS.items() if re.fullmatch(pattern, package)), None)
