"""What an apply came to, for a terminal and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from reconciler.errors import ReconcilerError
from reconciler.plan.change import Action
from reconciler.reports.inert import cells, inert, pad
from reconciler.reports.markdown import LIMIT, code, table
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import SYMBOLS, nothing
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

FORMAT_VERSION = 1
_COLOURS = {
    "applied": "green",
    "adopted": "cyan",
    "unchanged": "dim",
    "superseded": "yellow",
    "blocked": "magenta",
    "failed": "red",
}
_QUIET = "unchanged"


class Result(Protocol):
    """What became of one environment (``reconcile.outcome.Outcome``)."""

    @property
    def name(self) -> str:
        """The environment."""

    @property
    def action(self) -> Action:
        """What was to be done."""

    @property
    def status(self) -> Enum:
        """How it ended; its value is a word."""

    @property
    def version(self) -> int | None:
        """The version that is registered now."""

    @property
    def digest(self) -> Digest | None:
        """The record that is registered now."""

    @property
    def built(self) -> int:
        """How many artifacts were made."""

    @property
    def reused(self) -> int:
        """How many were there already."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth knowing."""

    @property
    def error(self) -> ReconcilerError | None:
        """What went wrong."""


def outcome_text(results: Sequence[Result], style: Style = PLAIN) -> str:
    """Write what became of each environment, errors with what to do, and the count as the last line."""
    shown = [one for one in results if style.verbose or one.status.value != _QUIET]
    width = max((cells(inert(one.name, 40)) for one in shown), default=0)
    lines: list[str] = []
    for one in shown:
        lines.append(style.paint(_line(one, width), _COLOURS.get(one.status.value, "bold")))
        lines += [f"      {inert(note)}" for note in one.notes]
        if one.error is not None:
            lines += _error(one.error)
    return "\n".join([*lines, style.paint(outcome_summary(results), "bold")]) + "\n"


def outcome_summary(results: Sequence[Result]) -> str:
    """Say in one line what an apply came to."""
    counts = Counter(one.status.value for one in results)
    if set(counts) <= {_QUIET}:
        return nothing(len(results))
    return "Apply: " + ", ".join(f"{counts[status]} {status}" for status in _COLOURS if counts[status]) + "."


def outcome_json(results: Sequence[Result]) -> dict[str, Json]:
    """Write what an apply came to as a JSON document."""
    counts = Counter(str(one.status.value) for one in results)
    return {
        "format_version": FORMAT_VERSION,
        "environments": [_result_json(one) for one in results],
        "summary": dict(sorted(counts.items())),
    }


def _line(one: Result, width: int) -> str:
    version = f"  v{one.version}" if one.version is not None else ""
    digest = f"  {str(one.digest)[:19]}" if one.digest is not None else ""
    made = f"  {one.built} built" if one.built else f"  {one.reused} reused" if one.reused else ""
    name = pad(inert(one.name, 40), width)
    status = "" if one.status.value == one.action.value else one.status.value
    return f"  {SYMBOLS[one.action]} {name}  {one.action.value:9}  {status:9}{version}{digest}{made}".rstrip()


def _error(error: ReconcilerError) -> list[str]:
    where = f"{error.where}: " if error.where is not None else ""
    lines = [f"      error: {inert(where + error.message)}"]
    lines += [f"      hint: {inert(error.hint)}"] if error.hint else []
    return lines + [f"      | {inert(line)}" for line in (error.detail or "").splitlines()]


def _result_json(one: Result) -> dict[str, Json]:
    return {
        "name": one.name,
        "action": one.action.value,
        "status": one.status.value,
        "version": one.version,
        "digest": None if one.digest is None else str(one.digest),
        "built": one.built,
        "reused": one.reused,
        "notes": list(one.notes),
        "error": None if one.error is None else _error_json(one.error),
    }


def _error_json(error: ReconcilerError) -> dict[str, Json]:
    where = error.where
    return {
        "message": error.message,
        "hint": error.hint,
        "detail": error.detail,
        "exit_code": error.exit_code,
        "location": None if where is None else {"path": where.path, "line": where.line, "column": where.column},
    }


def outcome_markdown(results: Sequence[Result]) -> str:
    """Write what an apply came to for a job's summary: the verdict, then a row for all that was not unchanged."""
    head = f"## {inert(outcome_summary(results))}\n"
    rows = [_row(one) for one in results if one.status.value != _QUIET]
    if not rows:
        return head
    columns = ("Environment", "Action", "Result", "Version", "Error")
    return f"{head}\n{table(columns, rows, LIMIT - len(head.encode()) - 2, total=len(rows))}\n"


def _row(one: Result) -> tuple[str, ...]:
    version = "" if one.version is None else f"v{one.version}"
    error = "" if one.error is None else code(str(one.error), 300)
    return code(one.name), one.action.value, str(one.status.value), version, error
