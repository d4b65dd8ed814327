"""Release files: what an archive says of one suite (https://wiki.debian.org/DebianRepository/Format)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from reconciler.debian.control import stanzas
from reconciler.errors import CorruptError
from reconciler.values.digest import Digest

_HEX = re.compile(r"[0-9a-f]{64}")
_ENTRY = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A file that a Release file vouches for; ``size`` is in bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A Release file. ``date`` is when it was made, ``valid_until`` when it ends, where it does; both in UTC.

    ``digest`` is that of its text. ``by_hash`` where files are to be had by their digest too, ``splits_all`` where
    packages for all architectures have an index of their own.
    """

    digest: Digest
    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    by_hash: bool
    splits_all: bool
    files: Mapping[str, Listed]

    @property
    def stamp(self) -> str:
        """The date as a lock spells it (RFC 3339)."""
        return stamp_of(self.date)


def stamp_of(moment: datetime) -> str:
    """Spell a moment as a lock does: RFC 3339, in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_release(text: bytes) -> Release:
    """Read the signed text of a Release file; one that lacks its date or its sha256 sums is a CorruptError."""
    try:
        fields = next(stanzas(text.decode("utf-8").splitlines()), {})
        until = fields.get("valid-until")
        return Release(
            digest=Digest.of(text),
            suite=fields.get("suite", ""),
            codename=fields.get("codename", ""),
            date=_moment(fields.get("date", "")),
            valid_until=None if until is None else _moment(until),
            components=tuple(fields.get("components", "").split()),
            architectures=tuple(fields.get("architectures", "").split()),
            by_hash=fields.get("acquire-by-hash", "") == "yes",
            splits_all="all" in fields.get("architectures", "").split()
            and fields.get("no-support-for-architecture-all", "") != "Packages",
            files=_files(fields.get("sha256", "")),
        )
    except ValueError as error:
        raise CorruptError(f"it is no Release file: {error}") from error


def _moment(text: str) -> datetime:
    if not text:
        raise ValueError("it has no date")
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _files(table: str) -> Mapping[str, Listed]:
    found: dict[str, Listed] = {}
    for line in table.split("\n"):
        words = line.split()
        if not words:
            continue
        if len(words) != _ENTRY or not _HEX.fullmatch(words[0]) or not words[1].isdecimal():
            raise ValueError(f"its list of sha256 sums has the line {line[:80]!a}")
        found[words[2]] = Listed(path=words[2], size=int(words[1]), sha256=words[0])
    if not found:
        raise ValueError("it lists no sha256 sums")
    return found
