"""apt's sources of this machine: which mirrors it takes packages from (sources.list(5), apt.conf(5)).

Both forms are read, one line a source and deb822. ``APT_CONFIG`` is followed where it moves them (``Dir::Etc``,
``Dir::Etc::sourcelist``, ``Dir::Etc::sourceparts``). Nothing is written, and apt is not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.debian.control import stanzas

_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>(?:\s+[^\s#]+)*)")
_SETTING = re.compile(r'^\s*Dir(::Etc(?:::(?:sourcelist|sourceparts))?)\s+"([^"]*)"\s*;', re.MULTILINE | re.IGNORECASE)
_SCHEMES = ("http://", "https://", "file:")
_SKIPPED = ("/dev/null", "-", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class AptSource:
    """One address with one suite. ``checks_date`` is false where the source allows a Release that has ended."""

    uri: str
    suite: str
    components: tuple[str, ...]
    checks_date: bool = True


def read_apt_sources(environ: Mapping[str, str], *, etc: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """Read what is set up, in apt's order; files that can't be read or understood count for nothing."""
    found: list[AptSource] = []
    for path in _files(environ, etc):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        found += _deb822(text) if path.suffix == ".sources" else _one_line(text)
    return tuple(source for source in found if source.uri.startswith(_SCHEMES))


def _files(environ: Mapping[str, str], etc: Path) -> Iterator[Path]:
    settings = _settings(environ)
    folder = Path(settings.get("::etc", etc))
    single = settings.get("::etc::sourcelist", "sources.list")
    parts = settings.get("::etc::sourceparts", "sources.list.d")
    if single not in _SKIPPED:
        yield folder / single
    if parts not in _SKIPPED and (folder / parts).is_dir():
        yield from sorted(path for path in (folder / parts).iterdir() if path.suffix in (".list", ".sources"))


def _settings(environ: Mapping[str, str]) -> dict[str, str]:
    path = environ.get("APT_CONFIG")
    if not path:
        return {}
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    return {name.lower(): value for name, value in _SETTING.findall(text)}


def _one_line(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match is not None:
            yield AptSource(
                uri=match["uri"].rstrip("/"),
                suite=match["suite"],
                components=tuple(match["components"].split()),
                checks_date="check-valid-until=no" not in (match["options"] or "").lower().split(),
            )


def _deb822(text: str) -> Iterator[AptSource]:
    try:
        found = list(stanzas(text.splitlines()))
    except ValueError:
        return
    for fields in found:
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptSource(
                    uri=uri.rstrip("/"),
                    suite=suite,
                    components=tuple(fields.get("components", "").split()),
                    checks_date=fields.get("check-valid-until", "yes").lower() not in ("no", "false"),
                )
