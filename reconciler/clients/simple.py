"""Pages of the simple repository API, as what they link to: JSON (PEP 691), else HTML (PEP 503).

A folder, or a page of links, counts as an index of everything in it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from reconciler.clients.http.index import Answer, Http
from reconciler.errors import NotFoundError, UnavailableError

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ANCHOR = re.compile(r"""<a\s((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([A-Za-z-]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++)))?+""")
_SHA256 = re.compile(r"[#&]sha256=([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A file that a page links to. ``sha256`` and the others are empty where the page does not say."""

    file: str
    url: str = field(repr=False)
    sha256: str = ""
    requires_python: str = ""
    uploaded: str = ""
    is_yanked: bool = False


def fetch_project(name: str, index: str, http: Http) -> tuple[Link, ...]:
    """List what an index has of a project; empty where it has none."""
    folder = path_of(index)
    address = f"{index.rstrip('/')}/{name}/"
    try:
        page = http.get(address, accept=ACCEPT) if folder is None else _read_page(folder / name / "index.html")
    except NotFoundError:
        return ()
    return read_links(page)


def fetch_place(place: str, http: Http) -> tuple[Link, ...]:
    """List what is in a folder or on a page of links."""
    folder = path_of(place)
    if folder is None:
        return read_links(http.get(place, accept="text/html"))
    if not folder.is_dir():
        return read_links(_read_page(folder))
    return tuple(Link(file=path.name, url=path.resolve().as_uri()) for path in sorted(folder.iterdir()))


def path_of(url: str) -> Path | None:
    """Give the file that an address of this machine leads to; none for one of another."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(unquote(url))


def file_of(url: str) -> str:
    """Give the name of the file that an address leads to."""
    return unquote(re.split(r"[?#]", url, maxsplit=1)[0].rpartition("/")[2])


def read_links(page: Answer) -> tuple[Link, ...]:
    """Read a page; one that can't be read is an UnavailableError."""
    try:
        return tuple(_from_json(page) if page.media_type.endswith("json") else _from_html(page))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnavailableError("the package index sends a page that can't be read") from error


def _read_page(path: Path) -> Answer:
    try:
        return Answer(url=path.resolve().as_uri(), media_type="text/html", body=path.read_bytes())
    except OSError as error:
        raise NotFoundError("the package index has no such page") from error


def _from_json(page: Answer) -> Iterator[Link]:
    for entry in json.loads(page.body)["files"]:
        yield Link(
            file=str(entry["filename"]),
            url=urljoin(page.url, str(entry.get("url", ""))),
            sha256=str((entry.get("hashes") or {}).get("sha256") or ""),
            requires_python=entry.get("requires-python") or "",
            uploaded=entry.get("upload-time") or "",
            is_yanked=bool(entry.get("yanked")),
        )


def _from_html(page: Answer) -> Iterator[Link]:
    # Pages hold thousands of links; html.parser takes a second for what these two patterns do in a twentieth.
    for anchor in _ANCHOR.finditer(page.body.decode("utf-8", errors="replace")):
        given = {
            name.lower(): html.unescape(double or single or bare)
            for name, double, single, bare in _ATTRIBUTE.findall(anchor[1])
        }
        if given.get("href"):
            found = _SHA256.search(given["href"])
            yield Link(
                file=file_of(given["href"]),
                url=urljoin(page.url, given["href"]),
                sha256=found[1] if found else "",
                requires_python=given.get("data-requires-python", ""),
                uploaded=given.get("data-upload-time", ""),
                is_yanked="data-yanked" in given,
            )
