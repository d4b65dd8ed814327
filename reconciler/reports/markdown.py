"""A plan as Markdown for a pull request: the verdict first, a table, folded details.

It is never longer than a comment may be, and nothing is cut in its middle: what does not fit is left out whole, and
counted. Values stand only in code spans and fences, where no mention, link, reference or HTML has a meaning
(CommonMark 0.31, "Code spans" and "Fenced code blocks"; GFM, "Tables").
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from reconciler.plan.change import Action, Plan, Step
from reconciler.reports.inert import cut, inert
from reconciler.reports.wording import (
    SYMBOLS,
    change_symbol,
    change_text,
    counted,
    package_text,
    packages_summary,
    place_text,
    summary,
)

LIMIT = 65_536
"""What GitHub takes as a comment. Bytes are counted, so that it holds however characters are."""
_RESERVE = 400
_TABLE_SHARE = 0.6
_BACKTICKS = re.compile(r"`+")
_LEAST = 120
_MAX_VALUE = 120
_MAX_LINES = 60


def plan_markdown(plan: Plan, limit: int = LIMIT, key: str = "plan") -> str:
    """Write a plan as Markdown of at most ``limit`` bytes (1,000 or more).

    ``key`` stands in a hidden marker (:func:`marker`), by which a comment is found again and updated.
    """
    shown = [step for step in plan.steps if step.action is not Action.UNCHANGED]
    text = f"{marker(key)}\n### {summary(plan)}\n\n{_origin(plan)}\n"
    notes = "".join(f"- {code(note, _MAX_VALUE)}\n" for note in plan.notes[:5])
    text += f"\n{notes}" if notes else ""
    if shown:
        room = int((limit - _RESERVE - len(text.encode())) * _TABLE_SHARE)
        head = ("", "Environment", "Action", "Why", "Where")
        text += "\n" + table(head, map(_row, shown), room, total=len(shown))
    details, left_out = _folded(shown, limit - _RESERVE - len(text.encode()))
    if left_out:
        details += f"\nDetails of {counted(left_out, 'environment')} are left out here; `reconciler plan` shows them.\n"
    return text + details


def _folded(steps: Sequence[Step], room: int) -> tuple[str, int]:
    """Write the details of as many steps as fit into ``room`` bytes; count those that are left out."""
    parts: list[str] = []
    left_out = 0
    for step in steps:
        details = _details(step) if room > _LEAST else ""
        size = len(details.encode())
        if details and size <= room:
            parts.append(details)
            room -= size
        elif details or _has_details(step):
            left_out += 1
    return "".join(parts), left_out


def marker(key: str) -> str:
    """Give the hidden first line of a comment; ``key`` keeps letters, digits and dashes."""
    return f"<!-- reconciler:{re.sub(r'[^A-Za-z0-9]+', '-', key)[:100].strip('-')} -->"


def code(text: str, limit: int | None = None) -> str:
    """Write a value as a code span, which stays one wherever it stands, in a table's cell too."""
    # A bar ends a table's cell even in a code span, and how it is escaped differs between readers.
    plain = inert(text, limit).replace("|", "¦")
    if not plain.strip():
        return "(empty)"
    ticks = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(plain)), default=0))
    space = " " if plain[0] in "` " or plain[-1] in "` " else ""
    return f"{ticks}{space}{plain}{space}{ticks}"


def fence(lines: Sequence[str], language: str = "") -> str:
    """Put lines into a fence that none of them can end."""
    longest = max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0)
    ticks = "`" * max(3, longest + 1)
    return "\n".join([f"{ticks}{language}", *lines, ticks])


def table(head: Sequence[str], rows: Iterable[Sequence[str]], room: int, *, total: int) -> str:
    """Write a table of at most ``room`` bytes; of ``total`` rows, those that do not fit are counted below it."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    used = sum(len(line.encode()) + 1 for line in lines) + len("\n… and  more.\n") + len(str(total))
    for number, row in enumerate(rows):
        line = f"| {' | '.join(row)} |"
        used += len(line.encode()) + 1
        if used > room:
            return "\n".join([*lines, "", f"… and {total - number} more.", ""])
        lines.append(line)
    return "\n".join([*lines, ""])


def _origin(plan: Plan) -> str:
    commit = plan.revision.commit
    where = f"commit {code(commit.short)}{' (dirty)' if plan.revision.dirty else ''}" if commit else "no commit"
    return f"Registry {code(plan.registry, _MAX_VALUE)} · {where}"


def _row(step: Step) -> tuple[str, ...]:
    reasons = dict.fromkeys(change.reason.value for change in step.changes)
    note = code(step.note, _MAX_VALUE) if step.note else ""
    why = " ".join(part for part in (" ".join(reasons), note) if part)
    where = code(place_text(step.location), _MAX_VALUE) if step.location.path else ""
    return code(SYMBOLS[step.action]), code(step.name, 100), step.action.value, why, where


def _has_details(step: Step) -> bool:
    return bool(step.packages) or any(change.path for change in step.changes)


def _details(step: Step) -> str:
    if not _has_details(step):
        return ""
    lines = []
    for change in step.changes[:_MAX_LINES]:
        place = f"  ({cut(place_text(change.location), _MAX_VALUE)})" if change.location else ""
        if change.path:
            lines.append(f"{change_symbol(change)} {inert(change.path, 80)}: {change_text(change, _MAX_VALUE)}{place}")
    if len(step.changes) > _MAX_LINES:
        lines.append(f"… {len(step.changes) - _MAX_LINES} more changes")
    packages = step.packages or ()
    if packages:
        lines += [f"packages: {packages_summary(packages)}", *map(package_text, packages[:_MAX_LINES])]
    if len(packages) > _MAX_LINES:
        lines.append(f"… {len(packages) - _MAX_LINES} more packages")
    name = html.escape(inert(step.name, 100)).replace("@", "&#64;").replace("`", "&#96;")
    title = f"<code>{name}</code>: {step.action.value}, {counted(len(step.changes) + len(packages), 'difference')}"
    return f"\n<details><summary>{title}</summary>\n\n{fence(lines, 'diff')}\n\n</details>\n"
