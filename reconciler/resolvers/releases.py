"""What indexes say about a package's releases, by metadata alone: nothing is downloaded but the package's page.

Pages are those of the simple repository API: JSON (PEP 691), else HTML (PEP 503), with ``requires-python`` and yanked
files (PEP 592). A folder or a page of links counts as an index of everything in it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconciler.clients.http.index import Answer, Http
from reconciler.errors import NotFoundError, UnavailableError
from reconciler.resolvers.pylock import file_of
from reconciler.resolvers.sizes import path_of
from reconciler.values.pep import normalise

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
_ANCHOR = re.compile(r"""<a\s((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([A-Za-z-]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?+""")
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
    folder = path_of(index)
    address = f"{index.rstrip('/')}/{name}/"
    try:
        page = http.get(address, accept=_ACCEPT) if folder is None else _read_page(folder / name / "index.html")
    except NotFoundError:
        return ()
    return tuple(_files(name, page))


def fetch_links(name: str, place: str, http: Http) -> tuple[ReleaseFile, ...]:
    """List a package's files in a folder or on a page of links."""
    folder = path_of(place)
    if folder is None:
        return tuple(_files(name, http.get(place, accept="text/html")))
    if not folder.is_dir():
        return tuple(_files(name, _read_page(folder)))
    found = (_file(name, path.name) for path in sorted(folder.iterdir()))
    return tuple(file for file in found if file is not None)


def _read_page(path: Path) -> Answer:
    try:
        return Answer(url=path.as_uri(), media_type="text/html", body=path.read_bytes())
    except OSError as error:
        raise NotFoundError("the package index has no such page") from error


def _files(name: str, page: Answer) -> Iterator[ReleaseFile]:
    try:
        listed = list(_from_json(page.body) if page.media_type.endswith("json") else _from_html(page.body))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError("the package index sends a page that can't be read") from error
    found = (_file(name, file, requires, uploaded) for file, requires, uploaded in listed)
    return (file for file in found if file is not None)


def _from_json(body: bytes) -> Iterator[tuple[str, str, str]]:
    for entry in json.loads(body)["files"]:
        if not entry.get("yanked"):
            yield str(entry["filename"]), entry.get("requires-python") or "", entry.get("upload-time") or ""


def _from_html(body: bytes) -> Iterator[tuple[str, str, str]]:
    # Pages hold thousands of links; html.parser takes a second for what these two patterns do in a twentieth.
    for anchor in _ANCHOR.finditer(body.decode("utf-8", errors="replace")):
        given = {
            name.lower(): html.unescape(double or single or bare)
            for name, double, single, bare in _ATTRIBUTE.findall(anchor[1])
        }
        if given.get("href") and "data-yanked" not in given:
            requires, uploaded = given.get("data-requires-python", ""), given.get("data-upload-time", "")
            yield file_of(given["href"]), requires, uploaded


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
