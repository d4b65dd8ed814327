"""What is registered: lists, one environment, its history; for a terminal, as JSON, and by a template."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.errors import UsageError
from reconciler.plan.observed import Present
from reconciler.record import Facts
from reconciler.reports.inert import cells, inert, pad
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import counted
from reconciler.values.canonical import Json

FORMAT_VERSION = 1
FIELDS = ("name", "version", "digest", "reference", "request", "lock", "commit", "manifest", "manager")
"""The words that a template may use, in braces."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_MAX_CELL = 60


def list_text(environments: Sequence[Present], style: Style = PLAIN) -> str:
    """Write a table of environments, and how many there are as the last line."""
    rows = [("NAME", "VERSION", "PLATFORMS", "COMMIT", "DESCRIPTION")]
    for one in environments:
        facts = one.record.facts
        archived = " (archived)" if facts.archived else ""
        rows.append((facts.name, f"{facts.version}{archived}", _platforms(one), _commit(facts), _description(facts)))
    if not environments:
        return "No environment is registered here (`reconciler apply` registers what is declared).\n"
    return _columns(rows, style) + f"{counted(len(environments), 'environment')}.\n"


def history_text(versions: Sequence[Present], style: Style = PLAIN) -> str:
    """Write a table of an environment's versions, in the order that they came in."""
    rows = [("VERSION", "DIGEST", "REQUEST", "LOCK", "COMMIT")]
    for one in versions:
        facts = one.record.facts
        archived = " (archived)" if facts.archived else ""
        places = (one.digest.short, facts.request.short, facts.lock.short, _commit(facts))
        rows.append((f"{facts.version}{archived}", *places))
    return _columns(rows, style) + f"{counted(len(versions), 'version')}.\n"


def get_text(one: Present, registry: str, style: Style = PLAIN) -> str:
    """Write one environment, a fact a line."""
    facts = one.record.facts
    pairs = [(name, str(value)) for name, value in _fields(one, registry).items() if value is not None]
    pairs += [
        ("platforms", _platforms(one)),
        ("base", facts.base or ""),
        ("builder", f"{facts.builder}, recipe {facts.recipe}"),
    ]
    metadata = facts.metadata
    pairs += [("description", metadata.description), ("owner", metadata.owner)]
    pairs += [("tags", ", ".join(f"{key}={value}" for key, value in sorted(metadata.tags.items())))]
    pairs += [("protected", "yes" if metadata.protected else ""), ("archived", "yes" if facts.archived else "")]
    pairs += [("missing", ", ".join(one.missing)), ("tampered", ", ".join(one.tampered))]
    width = max(len(name) for name, _ in pairs)
    return "".join(f"{style.paint(pad(name, width), 'bold')}  {inert(value)}\n" for name, value in pairs if value)


def get_formatted(one: Present, registry: str, template: str) -> str:
    """Fill ``{name}``, ``{digest}`` and the like in; a word that is none of FIELDS is a UsageError."""
    fields = _fields(one, registry)

    def fill(match: re.Match[str]) -> str:
        word = match.group(1)
        if word not in fields:
            raise UsageError(
                f"--format knows no {{{word[:40]}}}",
                hint=f"known are {', '.join(f'{{{name}}}' for name in FIELDS)}",
            )
        value = fields[word]
        return inert(str(value)) if value is not None else ""

    return _PLACEHOLDER.sub(fill, template)


def reference(one: Present, registry: str) -> str:
    """Name a record for good: registry, environment and digest."""
    return f"{registry.rstrip('/')}/{one.record.facts.name}@{one.digest}"


def list_json(environments: Sequence[Present], registry: str) -> dict[str, Json]:
    """Write environments as a JSON document."""
    return {
        "format_version": FORMAT_VERSION,
        "registry": registry,
        "environments": [environment_json(one, registry) for one in environments],
    }


def history_json(versions: Sequence[Present], registry: str) -> dict[str, Json]:
    """Write an environment's versions as a JSON document."""
    return {
        "format_version": FORMAT_VERSION,
        "registry": registry,
        "versions": [environment_json(one, registry) for one in versions],
    }


def get_json(one: Present, registry: str) -> dict[str, Json]:
    """Write one environment as a JSON document."""
    return {"format_version": FORMAT_VERSION, **environment_json(one, registry)}


def environment_json(one: Present, registry: str) -> dict[str, Json]:
    """Write everything that a record says."""
    record, facts, metadata = one.record, one.record.facts, one.record.facts.metadata
    return {
        **_fields(one, registry),
        "archived": facts.archived,
        "dirty": facts.dirty,
        "base": facts.base,
        "parent": str(facts.parent) if facts.parent else None,
        "builder": facts.builder,
        "recipe": facts.recipe,
        "components": {name: str(digest) for name, digest in sorted(facts.components.items())},
        "artifacts": {
            str(platform): {
                "digest": str(entry.digest),
                "build_key": str(record.build_keys.get(platform, "")) or None,
                "below": str(record.below.get(platform, "")) or None,
            }
            for platform, entry in sorted(record.artifacts.items())
        },
        "metadata": {
            "description": metadata.description,
            "tags": dict(metadata.tags),
            "owner": metadata.owner,
            "protected": metadata.protected,
            "renamed_from": metadata.renamed_from,
            "run": dict(metadata.run),
        },
        "missing": list(one.missing),
        "tampered": list(one.tampered),
        "recovered": one.recovered,
    }


def _fields(one: Present, registry: str) -> dict[str, Json]:
    facts = one.record.facts
    return {
        "name": facts.name,
        "version": facts.version,
        "digest": str(one.digest),
        "reference": reference(one, registry),
        "request": str(facts.request),
        "lock": str(facts.lock),
        "commit": facts.commit,
        "manifest": facts.manifest,
        "manager": facts.manager,
    }


def _columns(rows: Sequence[tuple[str, ...]], style: Style) -> str:
    shown = [tuple(inert(cell, _MAX_CELL) for cell in row) for row in rows]
    widths = [max(map(cells, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join(map(pad, row, widths)).rstrip() for row in shown]
    return "\n".join([style.paint(lines[0], "bold"), *lines[1:]]) + "\n"


def _platforms(one: Present) -> str:
    return ", ".join(map(str, sorted(one.record.artifacts)))


def _commit(facts: Facts) -> str:
    return f"{facts.commit[:12]}{' (dirty)' if facts.dirty else ''}" if facts.commit else "-"


def _description(facts: Facts) -> str:
    return facts.metadata.description or "-"
