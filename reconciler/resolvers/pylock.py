"""What uv writes: a ``pylock.toml`` (PEP 751), of which one file a package is kept."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.clients.simple import file_of
from reconciler.errors import ResolveError
from reconciler.lock.wheels import best
from reconciler.values.pep import normalise

OUTPUT = "pylock.toml"
FORMAT = ("--format=pylock.toml",)


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Pin:
    """One file that uv chose. ``kind`` is ``wheel``, ``sdist`` or ``url``; ``size`` is none where uv doesn't know."""

    name: str
    version: str
    kind: str
    url: str
    sha256: str
    size: int | None

    @property
    def file(self) -> str:
        """The file's name."""
        return file_of(self.url)


def parse_pylock(text: str) -> tuple[Pin, ...]:
    """Read uv's answer; a package that a lock can't hold is a ResolveError."""
    try:
        packages = tomllib.loads(text).get("packages", [])
        return tuple(sorted(_pin(package) for package in packages))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ResolveError("uv's answer can't be read", hint="install a newer reconciler, or the uv it asks for") from (
            error
        )


def to_preference(versions: Mapping[str, str], choices: Mapping[str, Sequence[str]] | None = None) -> str:
    """Write the versions that should stay, as uv reads them from its output file.

    ``choices`` are several versions of one package, of which one should be taken.
    """
    pairs = {(name, version) for name, several in (choices or {}).items() if len(several) > 1 for version in several}
    pairs = {(name, version) for name, version in pairs if name not in versions} | {*versions.items()}
    lines = [f"[[packages]]\nname = {json.dumps(name)}\nversion = {json.dumps(text)}\n" for name, text in sorted(pairs)]
    return 'lock-version = "1.0"\ncreated-by = "reconciler"\n' + "".join(lines)


def _pin(package: Mapping[str, object]) -> Pin:
    name = normalise(str(package["name"]))
    for key, kind in (("wheels", "wheel"), ("sdist", "sdist"), ("archive", "url")):
        found = package.get(key)
        if isinstance(found, list):
            found = best({file_of(_url(entry)): entry for entry in found}) if found else None
        if isinstance(found, dict):
            hashes = found.get("hashes") or {}
            return Pin(
                name=name,
                version=str(package["version"]),
                kind=kind,
                url=_url(found),
                sha256=str(hashes.get("sha256", "")),
                size=found.get("size"),
            )
    form = "a git repository" if "vcs" in package else "a folder"
    raise ResolveError(
        f"{name} comes from {form}, which a lock can't hold yet", hint="require a release, or the address of a wheel"
    )


def _url(entry: Mapping[str, object]) -> str:
    return str(entry.get("url") or entry["path"])
