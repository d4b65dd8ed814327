"""What a root says of the packages in it: one file a package, as images without dpkg have it, and scanners read it.

``/var/lib/dpkg/status.d/NAME`` is the package's control file, ``NAME.md5sums`` the list of its files' checksums, as far
as they are there. What would tell dpkg what to do stands where dpkg has it, in ``/var/lib/dpkg/info``: a root can be
configured again from its layers alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.debian.deb import Deb
from reconciler.debian.places import place_of
from reconciler.oci.member import Member, file_of

STATUS, INFO = "var/lib/dpkg/status.d", "var/lib/dpkg/info"
_MD5SUMS = ".md5sums"
_MD5 = 32


def status_of(deb: Deb, files: Collection[str]) -> Iterator[Member]:
    """Give the files that a root has of a package; ``files`` are the package's own in it."""
    yield file_of(f"{STATUS}/{deb.name}", deb.text.encode())
    if sums := _sums(deb.md5sums, files):
        yield file_of(f"{STATUS}/{deb.name}{_MD5SUMS}", sums.encode())
    for script, text in deb.scripts.items():
        yield file_of(f"{INFO}/{deb.name}.{script}", text.encode())


def sums_of(text: str) -> frozenset[str]:
    """Read which files a list of checksums names, where they are in a root."""
    return frozenset(_path(line) for line in text.splitlines())


def _sums(text: str, files: Collection[str]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if _path(line) in files)


def _path(line: str) -> str:
    return place_of(line[_MD5:].strip())
