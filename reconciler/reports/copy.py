"""What a copy came to, for a terminal and as JSON."""

from __future__ import annotations

from typing import Protocol

from reconciler.reports.inert import inert, pad
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import size_text
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

FORMAT_VERSION = 1


class Blobs(Protocol):
    """What became of the blobs (``reconcile.transit.Tally``)."""

    @property
    def copied(self) -> int:
        """How many came from the source."""

    @property
    def mounted(self) -> int:
        """How many the target had elsewhere."""

    @property
    def there(self) -> int:
        """How many were there already."""

    @property
    def copied_bytes(self) -> int:
        """What was copied, in bytes."""

    @property
    def all_bytes(self) -> int:
        """All of them, in bytes."""


class Copy(Protocol):
    """What became of a copy (``reconcile.copying.Copied``)."""

    @property
    def name(self) -> str:
        """The environment."""

    @property
    def version(self) -> int:
        """Its version."""

    @property
    def source(self) -> str:
        """The registry that it came from."""

    @property
    def target(self) -> str:
        """The registry that it went to."""

    @property
    def source_digest(self) -> Digest:
        """The record there."""

    @property
    def digest(self) -> Digest:
        """The record here."""

    @property
    def tally(self) -> Blobs:
        """What became of its blobs."""

    @property
    def changed(self) -> bool:
        """Whether anything was written."""

    @property
    def current(self) -> str | None:
        """What became of ``current``."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing."""


def copy_text(one: Copy, style: Style = PLAIN) -> str:
    """Write what matters a line each, and what it came to as the last line."""
    blobs = one.tally
    copied = f"{blobs.copied} copied ({size_text(blobs.copied_bytes)})" if blobs.copied else "0 copied"
    pairs = [
        ("from", one.source),
        ("to", one.target),
        ("version", f"{one.name} v{one.version}"),
        ("digest", str(one.digest)),
        ("converted", f"from {one.source_digest}" if one.source_digest != one.digest else ""),
        ("current", one.current or ""),
        ("blobs", f"{copied}, {blobs.mounted} mounted, {blobs.there} there already"),
    ]
    width = max(len(name) for name, value in pairs if value)
    lines = [f"{style.paint(pad(name, width), 'bold')}  {inert(value)}" for name, value in pairs if value]
    lines += [f"note: {inert(note)}" for note in one.notes]
    return "\n".join([*lines, style.paint(_summary(one), "bold")]) + "\n"


def _summary(one: Copy) -> str:
    what = f"{one.name} v{one.version}"
    return f"Copied {what}." if one.changed else f"Nothing to do: {what} is there."


def copy_json(one: Copy) -> dict[str, Json]:
    """Write what became of a copy as a JSON document."""
    blobs = one.tally
    return {
        "format_version": FORMAT_VERSION,
        "name": one.name,
        "version": one.version,
        "from": one.source,
        "to": one.target,
        "source_digest": str(one.source_digest),
        "digest": str(one.digest),
        "reference": f"{one.target.rstrip('/')}/{one.name}@{one.digest}",
        "changed": one.changed,
        "current": one.current,
        "blobs": {
            "copied": blobs.copied,
            "mounted": blobs.mounted,
            "there": blobs.there,
            "copied_bytes": blobs.copied_bytes,
            "all_bytes": blobs.all_bytes,
        },
        "notes": list(one.notes),
    }
