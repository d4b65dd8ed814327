"""What indexes say about a package's releases, by metadata alone: nothing is downloaded but the package's page.

Pages are those of the simple repository API: JSON (PEP 691), else HTML (PEP 503), with ``requires-python`` and yanked
files (PEP 592). A folder or a page of links counts as an index of everything in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.clients.http.index import Http
from reconciler.clients.simple import Link, fetch_place, fetch_project
from reconciler.values.pep import normalise

_SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
_WHEEL_PARTS = 4  # name, version, Python, ABI, platform: at least one more


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class ReleaseFile:
    """One file of a release. ``uploaded`` is empty where the index does not say."""

    version: str
    file: str
    requires_python: str = ""
    uploaded: str = ""

    @property
    def is_sdist(self) -> bool:
        """Tell whether it is a source distribution."""
        return not self.file.endswith(".whl")


def fetch_releases(name: str, index: str, http: Http) -> tuple[ReleaseFile, ...]:
    """List a package's files on one index, without those that were yanked; empty where the index has none."""
    return tuple(_files(name, fetch_project(name, index, http)))


def fetch_links(name: str, place: str, http: Http) -> tuple[ReleaseFile, ...]:
    """List a package's files in a folder or on a page of links."""
    return tuple(_files(name, fetch_place(place, http)))


def _files(name: str, links: Iterable[Link]) -> Iterator[ReleaseFile]:
    found = (_file(name, link.file, link.requires_python, link.uploaded) for link in links if not link.is_yanked)
    return (file for file in found if file is not None)


def _file(name: str, file: str, requires: str = "", uploaded: str = "") -> ReleaseFile | None:
    version = _version_of(name, file)
    return (version and ReleaseFile(version=version, file=file, requires_python=requires, uploaded=uploaded)) or None


def _version_of(name: str, file: str) -> str | None:
    """Read the version in a file's name; none where it is another package's, or no package at all."""
    if file.endswith(".whl"):
        parts = file.split("-")
        return parts[1] if len(parts) > _WHEEL_PARTS and normalise(parts[0]) == name else None
    stem = next((file.removesuffix(ending) for ending in _SDIST if file.endswith(ending)), "")
    # Older names hold hyphens themselves: every place at which the version may begin is tried.
    places = (
        place for place, character in enumerate(stem) if character == "-" and stem[place + 1 : place + 2].isdigit()
    )
    return next((stem[place + 1 :] for place in places if normalise(stem[:place]) == name), None)
