"""Registered environments as tables for people and documents for programs."""

from __future__ import annotations

import json
import string
from collections.abc import Sequence

from reconciler.errors import UsageError
from reconciler.reconcile.inspect import Entry, Unreadable
from reconciler.reports.inert import cells, inert, pad
from reconciler.values.canonical import Json

_FIELDS = ("name", "version", "digest", "reference", "request", "lock")


def entries_text(entries: Sequence[Entry | Unreadable]) -> str:
    """Write a table, one environment a line."""
    if not entries:
        return "no environment is registered\n"
    rows = [("NAME", "VERSION", "PLATFORMS", "BUILDER", "RECORD", "DESCRIPTION"), *(_row(entry) for entry in entries)]
    return _table(rows)


def _row(entry: Entry | Unreadable) -> tuple[str, ...]:
    if isinstance(entry, Unreadable):
        return entry.name, "?", "", "", "", f"can't be read: {entry.reason}"
    facts = entry.record.facts
    version = f"v{facts.version}" + (" (archived)" if facts.archived else "")
    platforms = ",".join(str(platform) for platform in sorted(entry.record.artifacts))
    return facts.name, version, platforms, facts.builder, entry.digest.short, facts.metadata.description


def versions_text(entries: Sequence[Entry]) -> str:
    """Write the versions of one environment, newest first."""
    rows = [("VERSION", "RECORD", "REQUEST", "LOCK", "COMMIT", "")]
    for entry in entries:
        facts = entry.record.facts
        commit = (facts.commit or "")[:12] + (" (dirty)" if facts.dirty else "")
        mark = "current" if entry.current else ""
        rows.append((f"v{facts.version}", entry.digest.short, facts.request.short, facts.lock.short, commit, mark))
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    shown = [[inert(cell) for cell in row] for row in rows]
    widths = [max(cells(row[column]) for row in shown) for column in range(len(shown[0]))]
    lines = ["  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    return "\n".join(lines) + "\n"


def entry_text(entry: Entry) -> str:
    """Write the facts of one record, a line each."""
    rows = [(key, _plain(value)) for key, value in _value(entry).items() if value not in (None, "", [], {}, False)]
    return _table(rows)


def _plain(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return str(value)


def entries_json(entries: Sequence[Entry | Unreadable]) -> str:
    """Write environments as a JSON array."""
    return _json([_value(entry) for entry in entries])


def versions_json(entries: Sequence[Entry]) -> str:
    """Write versions as a JSON array, newest first."""
    return _json([_value(entry) for entry in entries])


def entry_json(entry: Entry) -> str:
    """Write one record's facts as a JSON object."""
    return _json(_value(entry))


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _value(entry: Entry | Unreadable) -> dict[str, Json]:
    if isinstance(entry, Unreadable):
        return {"name": entry.name, "error": entry.reason}
    facts, metadata = entry.record.facts, entry.record.facts.metadata
    return {
        "name": facts.name,
        "version": facts.version,
        "digest": str(entry.digest),
        "reference": entry.reference,
        "current": entry.current,
        "archived": facts.archived,
        "request": str(facts.request),
        "lock": str(facts.lock),
        "builder": facts.builder,
        "platforms": {str(platform): str(item.digest) for platform, item in sorted(entry.record.artifacts.items())},
        "commit": facts.commit,
        "dirty": facts.dirty,
        "manifest": facts.manifest,
        "manager": facts.manager,
        "parent": None if facts.parent is None else str(facts.parent),
        "description": metadata.description,
        "owner": metadata.owner,
        "tags": {**metadata.tags},
        "protected": metadata.protected,
    }


def formatted(entry: Entry, template: str) -> str:
    """Fill a template's ``{field}``s; only whole fields are known, and no attribute of them."""
    value = _value(entry)
    parts = []
    try:
        for text, field, spec, conversion in string.Formatter().parse(template):
            parts.append(text)
            if field is None:
                continue
            if field not in _FIELDS or spec or conversion:
                raise UsageError(f"no field `{field}`", hint=f"fields are {', '.join(_FIELDS)}")
            parts.append(str(value[field]))
    except ValueError as error:
        raise UsageError(f"the template {template!r} can't be read: {error}") from error
    return "".join(parts)
