"""Where this machine takes packages from: uv's settings or, where it has none, pip's.

uv reads its own settings by itself and pip's not at all; so pip's are translated into uv's variables, with pip's
meaning: all indexes count as one (``unsafe-best-match``). pip's documentation ("Configuration") gives the order of its
files. ``.github/decisions/0003-machine-index-settings.md`` says why. Nothing that stands in the repository is read.
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clients.uv import read_configuration

_UV_SETTINGS = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
_UV_KEYS = frozenset(["index", "index-url", "extra-index-url", "find-links", "no-index"])
_PIP_SECTIONS = ("global", "download", "install", "lock")
_TRUE = frozenset(["1", "true", "yes", "on", "y", "t"])


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexSettings:
    """The machine's settings as uv's variables, and the addresses of the aliases that uv's own settings name.

    ``variables`` are set over the environment that uv gets; they may hold passwords and are never shown. ``merged``
    says that all indexes count as one.
    """

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    named: Mapping[str, str] = field(default_factory=dict, repr=False)
    merged: bool = False


def read_index_settings(environ: Mapping[str, str], *, outside: Path | None = None) -> IndexSettings:
    """Read the machine's settings; files inside ``outside`` (the repository) are passed over."""
    configuration = read_configuration(environ)
    named = dict(_named(environ, configuration))
    pip = _pip_settings(environ, outside)
    variables = dict(_transport(pip, environ))
    if any(environ.get(name) for name in _UV_SETTINGS) or _has_index(configuration):
        return IndexSettings(variables=variables, named=named)
    indexes = dict(_indexes(pip))
    variables.update(indexes)
    return IndexSettings(variables=variables, named=named, merged=bool(indexes))


def _has_index(configuration: Mapping[str, object]) -> bool:
    pip = configuration.get("pip")
    return not _UV_KEYS.isdisjoint(configuration) or (isinstance(pip, dict) and not _UV_KEYS.isdisjoint(pip))


def _named(environ: Mapping[str, str], configuration: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    listed = configuration.get("index")
    for entry in listed if isinstance(listed, list) else ():
        name, url = (entry.get("name"), entry.get("url")) if isinstance(entry, dict) else (None, None)
        if isinstance(name, str) and isinstance(url, str):
            yield name, url
    for part in f"{environ.get('UV_INDEX', '')} {environ.get('UV_DEFAULT_INDEX', '')}".split():
        name, separator, url = part.partition("=")
        if separator and re.fullmatch(r"[A-Za-z0-9._-]+", name):
            yield name, url


# -- pip --------------------------------------------------------------------------------------------------------


def _pip_settings(environ: Mapping[str, str], outside: Path | None) -> dict[str, str]:
    """Merge pip's files and variables; what comes later wins, as pip documents."""
    found: dict[str, str] = {}
    for path in _pip_files(environ, outside):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, configparser.Error):
            continue
        for section in _PIP_SECTIONS:
            if parser.has_section(section):
                found.update({key.replace("_", "-"): value for key, value in parser.items(section) if value})
    for name, value in environ.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def _pip_files(environ: Mapping[str, str], outside: Path | None) -> list[Path]:
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(environ.get("HOME", "/nonexistent"))
    folders = environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    candidates = [*(Path(folder) / "pip/pip.conf" for folder in folders), Path("/etc/pip.conf")]
    candidates += [home / ".pip/pip.conf", Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"]
    candidates += [Path(sys.prefix) / "pip.conf"]
    candidates += [Path(named)] if named else []
    root = outside.resolve() if outside else None
    return [
        path
        for path in candidates
        if path.is_absolute() and path.is_file() and not (root and path.resolve().is_relative_to(root))
    ]


def _indexes(pip: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    links = [link for link in pip.get("find-links", "").split() if "://" in link or Path(link).is_absolute()]
    extra = pip.get("extra-index-url", "").split()
    if pip.get("no-index", "").lower() in _TRUE:
        yield "UV_NO_INDEX", "1"
    else:
        if pip.get("index-url"):
            yield "UV_DEFAULT_INDEX", pip["index-url"].strip()
        if extra:
            yield "UV_INDEX", " ".join(extra)
    if links:
        yield "UV_FIND_LINKS", ",".join(links)


def _transport(pip: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give what pip is told of certificates, proxies and patience, where uv is told nothing."""
    for key, name in (("cert", "SSL_CERT_FILE"), ("client-cert", "SSL_CLIENT_CERT"), ("timeout", "UV_HTTP_TIMEOUT")):
        value = pip.get(key) or pip.get("default-timeout" if key == "timeout" else key)
        if value and not environ.get(name):
            yield name, value
    if pip.get("trusted-host") and not environ.get("UV_INSECURE_HOST"):
        yield "UV_INSECURE_HOST", " ".join(pip["trusted-host"].split())
    if pip.get("proxy") and not any(environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        yield "HTTPS_PROXY", pip["proxy"]
        yield "HTTP_PROXY", pip["proxy"]
