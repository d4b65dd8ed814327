"""A package that an archive offers: one stanza of its Packages index (Debian Policy 5.3, 5.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,199}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.~:-]{0,199}")
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_FILE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9+._~%:-]{0,199}/){0,20}[A-Za-z0-9_][A-Za-z0-9+._~%:-]{0,299}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SIZE = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One version of a package. ``size`` is that of its file, in bytes; ``installed_size`` in KiB.

    ``archive`` is named as :attr:`reconciler.lock.system.Archive.name` does. Relations are as they are written.
    """

    name: str
    version: str
    architecture: str
    file: str
    size: int
    sha256: str
    archive: str
    source: str
    essential: bool
    priority: str
    section: str
    multi_arch: str
    installed_size: int
    depends: str
    pre_depends: str
    recommends: str
    provides: str
    conflicts: str
    breaks: str
    replaces: str


def parse_candidate(fields: Mapping[str, str], archive: str) -> Candidate:
    """Read a stanza; what no package can have, or what it lacks, is a ValueError."""
    name = _checked(fields, "package", _NAME)
    size = fields.get("installed-size", "")
    return Candidate(
        name=name,
        version=_checked(fields, "version", _VERSION),
        architecture=_checked(fields, "architecture", _ARCHITECTURE),
        file=_checked({"filename": fields.get("filename", "").removeprefix("./")}, "filename", _FILE),
        size=int(_checked(fields, "size", _SIZE)),
        sha256=_checked(fields, "sha256", _SHA256),
        archive=archive,
        source=fields.get("source", "").partition(" ")[0] or name,
        essential=fields.get("essential", "no") == "yes",
        priority=fields.get("priority", "optional"),
        section=fields.get("section", ""),
        multi_arch=fields.get("multi-arch", "no"),
        installed_size=int(size) if _SIZE.fullmatch(size) else 0,
        depends=fields.get("depends", ""),
        pre_depends=fields.get("pre-depends", ""),
        recommends=fields.get("recommends", ""),
        provides=fields.get("provides", ""),
        conflicts=fields.get("conflicts", ""),
        breaks=fields.get("breaks", ""),
        replaces=fields.get("replaces", ""),
    )


def _checked(fields: Mapping[str, str], name: str, form: re.Pattern[str]) -> str:
    value = fields.get(name, "")
    if not form.fullmatch(value):
        raise ValueError(f"the package {fields.get('package', '')[:80]!a} has the {name} {value[:80]!a}")
    return value
