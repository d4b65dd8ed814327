"""What a root says of the packages in it: one file a package, as images without dpkg have it, and scanners read it.

``/var/lib/dpkg/status.d/NAME`` is the package's control file, ``NAME.md5sums`` the list of its files' checksums, as far
as they are there. The list of its files, and what would tell dpkg what to do, stand where dpkg has them, in
``/var/lib/dpkg/info``: a root can be configured again from its layers alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from reconciler.debian.deb import Deb
from reconciler.debian.places import place_of
from reconciler.oci.member import Kind, Member, file_of

STATUS, INFO = "var/lib/dpkg/status.d", "var/lib/dpkg/info"
_MD5SUMS, _LIST = ".md5sums", ".list"
_TEMPLATES = "templates"
_MD5 = 32
_ASKED = re.compile(r"(?:Template|Type|Default):", re.IGNORECASE)


def status_of(deb: Deb, members: Sequence[Member]) -> Iterator[Member]:
    """Give the files that say of a package what it is; ``members`` are what a root has of it, in their places."""
    files = frozenset(member.path for member in members if member.kind in (Kind.FILE, Kind.HARD))
    listed = "".join(f"/{path}\n" for path in (".", *sorted(member.path for member in members)))
    yield file_of(f"{STATUS}/{deb.name}", deb.text.encode())
    if sums := _sums(deb.md5sums, files):
        yield file_of(f"{STATUS}/{deb.name}{_MD5SUMS}", sums.encode())
    yield file_of(list_of(deb.name), listed.encode())
    for script, text in deb.scripts.items():
        yield file_of(f"{INFO}/{deb.name}.{script}", (_without_words(text) if script == _TEMPLATES else text).encode())


def _without_words(templates: str) -> str:
    """Leave out what questions say, in all languages: which there are, and what is answered, says all the rest."""
    return "".join(line for line in templates.splitlines(keepends=True) if not line.strip() or _ASKED.match(line))


def list_of(package: str) -> str:
    """Say where the list of a package's files is."""
    return f"{INFO}/{package}{_LIST}"


def parse_list(text: str) -> frozenset[str]:
    """Read what a list of files names, relative to the root."""
    return frozenset(line.removeprefix("/") for line in text.splitlines())


def _sums(text: str, files: frozenset[str]) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if place_of(line[_MD5:].strip()) in files)
