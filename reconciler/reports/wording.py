"""The words for steps, changes and packages that every report shares."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable

from reconciler.lock.difference import Kind, PackageChange
from reconciler.plan.change import Action, Change, Plan, Reason, Step
from reconciler.reports.inert import inert
from reconciler.values.canonical import Json
from reconciler.values.location import Location

SYMBOLS = {
    Action.CREATE: "+",
    Action.REBUILD: "~",
    Action.REBASE: ">",
    Action.REUSE: "=",
    Action.METADATA: "*",
    Action.ARCHIVE: "-",
    Action.UNCHANGED: " ",
    Action.BLOCKED: "!",
}
_TO_DO = {
    Action.CREATE: "to create",
    Action.REBUILD: "to rebuild",
    Action.REBASE: "to rebase",
    Action.REUSE: "to reuse",
    Action.METADATA: "metadata only",
    Action.ARCHIVE: "to archive",
    Action.BLOCKED: "blocked",
    Action.UNCHANGED: "unchanged",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KILO = 1000


def summary(plan: Plan) -> str:
    """Say in one line what a plan comes to."""
    counts = Counter(step.action for step in plan.steps)
    if set(counts) <= {Action.UNCHANGED}:
        return nothing(len(plan.steps))
    return "Plan: " + ", ".join(f"{counts[action]} {words}" for action, words in _TO_DO.items() if counts[action]) + "."


def nothing(unchanged: int) -> str:
    """Say that there is nothing to do, and why."""
    if not unchanged:
        return "Nothing to do: no environment is declared (write one as environments/NAME.yaml) or registered."
    return f"Nothing to do: {counted(unchanged, 'environment')} unchanged."


def why(step: Step) -> str:
    """Say why a step is taken: its reasons, each once, then its note."""
    return "  ".join(part for part in (reasons(step), inert(step.note)) if part)


def reasons(step: Step) -> str:
    """Name the reasons of a step, each once."""
    return " ".join(dict.fromkeys(change.reason.value for change in step.changes))


def place_text(location: Location | None) -> str:
    """Write where something stands as ``path:line``, nothing where it stands nowhere."""
    if location is None or not location.path:
        return ""
    return inert(f"{location.path}:{location.line}" if location.line else location.path)


def value_text(value: Json, limit: int) -> str:
    """Write a value for people: as JSON, on one line, digests short, cut in the middle."""
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:19]
    return inert(json.dumps(value, ensure_ascii=False, sort_keys=True), limit)


def change_symbol(change: Change) -> str:
    """Give the symbol of a difference: new, gone, or another value."""
    if change.old is None:
        return "+" if change.new is not None else "!"
    return "-" if change.new is None else "~"


def change_text(change: Change, limit: int) -> str:
    """Write what changed from what to what; each value at most ``limit`` cells wide."""
    parts = [value_text(value, limit) for value in (change.old, change.new) if value is not None]
    if not parts:
        return {Reason.MISSING: "is missing", Reason.TAMPERED: "is not what its digest says"}.get(change.reason, "")
    return " → ".join(parts)


def package_text(package: PackageChange) -> str:
    """Write a package that comes, goes or moves, with the change in size where one is known."""
    name = inert(package.name) + (" (Debian)" if package.kind is Kind.DEBIAN else "")
    if package.old is None:
        text = f"+ {name} {inert(package.new or '')}"
    elif package.new is None:
        text = f"- {name} {inert(package.old)}"
    elif package.old == package.new:
        text = f"~ {name} {inert(package.new)} (another file)"
    else:
        text = f"~ {name} {inert(package.old)} → {inert(package.new)}"
    return f"{text} ({size_text(package.size_delta, signed=True)})" if package.size_delta else text


def packages_summary(packages: Iterable[PackageChange]) -> str:
    """Count packages that come, go and move, and what they weigh together: for Python, and below it."""
    found = tuple(packages)
    python = _counted_moves(tuple(one for one in found if one.kind is not Kind.DEBIAN))
    debian = _counted_moves(tuple(one for one in found if one.kind is Kind.DEBIAN))
    return "; ".join([*([python] if python else []), *([f"Debian: {debian}"] if debian else [])])


def _counted_moves(found: tuple[PackageChange, ...]) -> str:
    moves = sum(one.old is not None and one.new is not None for one in found)
    comes, goes = sum(one.old is None for one in found), sum(one.new is None for one in found)
    counts = ((comes, "added"), (moves, "changed"), (goes, "removed"))
    text = ", ".join(f"{number} {word}" for number, word in counts if number)
    size = sum(one.size_delta for one in found)
    return f"{text} ({size_text(size, signed=True)})" if size else text


def size_text(size: int, *, signed: bool = False) -> str:
    """Write a size in bytes for people, in powers of a thousand."""
    sign = "-" if size < 0 else "+" if signed else ""
    number, unit = float(abs(size)), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < _KILO:
            break
        number, unit = number / _KILO, larger
    return f"{sign}{number:.0f} {unit}" if unit == "B" else f"{sign}{number:.1f} {unit}"


def counted(number: int, word: str) -> str:
    """Write a number with its noun."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
