"""The part of a lock that says which Debian packages a base is made of, and which archives vouched for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from reconciler.values.canonical import Json, digest_of
from reconciler.values.digest import Digest


class Part(Enum):
    """Why a package is there, which says which layer it is in.

    ``BASE`` is the variant of the catalog and all that it needs, ``PYTHON`` what the interpreter needs besides,
    ``ADDED`` what ``system_packages`` needs besides.
    """

    BASE = "base"
    PYTHON = "python"
    ADDED = "added"


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Archive:
    """One component of one suite of a Debian archive, at one of its releases.

    ``alias`` is ``debian``, ``debian-security``, ``ubuntu``, ``ubuntu-security``, or one of ``system_repositories``.
    ``date`` is the Release file's (RFC 3339, in UTC), ``digest`` that of its signed text.
    """

    alias: str
    suite: str
    component: str
    date: str
    digest: str

    @property
    def name(self) -> str:
        """How packages name it: ``debian/bookworm-updates/main``."""
        return f"{self.alias}/{self.suite}/{self.component}"

    def to_json(self) -> dict[str, Json]:
        """Write the archive as the lock and its schema spell it."""
        return {
            "alias": self.alias,
            "suite": self.suite,
            "component": self.component,
            "date": self.date,
            "digest": self.digest,
        }


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class SystemPackage:
    """One Debian package. ``size`` is that of its file, in bytes.

    ``architecture`` is the package's own (``amd64``, ``all``), ``file`` the path in the archive that is named as
    :attr:`Archive.name` does.
    """

    name: str
    version: str
    architecture: str
    file: str
    size: int
    sha256: str
    archive: str
    part: Part = Part.BASE

    def to_json(self) -> dict[str, Json]:
        """Write the package as the lock and its schema spell it."""
        return {
            "name": self.name,
            "version": self.version,
            "architecture": self.architecture,
            "file": self.file,
            "size": self.size,
            "sha256": self.sha256,
            "archive": self.archive,
            "part": self.part.value,
        }


@dataclass(frozen=True, kw_only=True)
class System:
    """What a base is made of: the whole closure, by name.

    ``distribution`` is ``debian`` or ``ubuntu``, ``suite`` its name there, ``variant`` that of the catalog.
    """

    distribution: str
    suite: str
    variant: str
    archives: tuple[Archive, ...]
    packages: tuple[SystemPackage, ...]

    def of(self, part: Part) -> Iterator[SystemPackage]:
        """Give the packages of a part, sorted by name."""
        return (package for package in sorted(self.packages, key=_by_name) if package.part is part)

    def find(self, name: str) -> SystemPackage | None:
        """Give the package of that name."""
        return next((package for package in self.packages if package.name == name), None)

    def to_json(self) -> dict[str, Json]:
        """Write the system as the lock and its schema spell it; archives and packages sorted."""
        return {
            "distribution": self.distribution,
            "suite": self.suite,
            "variant": self.variant,
            "archives": [archive.to_json() for archive in sorted(self.archives)],
            "packages": [package.to_json() for package in sorted(self.packages, key=_by_name)],
        }

    @cached_property
    def digest(self) -> Digest:
        """The identity of the packages: what goes in, and neither who vouched for it nor when."""
        return digest_of([package.to_json() for package in sorted(self.packages, key=_by_name)])


def _by_name(package: SystemPackage) -> str:
    return package.name
