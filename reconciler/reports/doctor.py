"""What `doctor` found, for a terminal or a log, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.plan.diagnosis import Diagnosis, Group, Mark, Remark
from reconciler.reports.inert import inert
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import counted
from reconciler.values.canonical import Json

FORMAT_VERSION = 1
_SIGNS = {Mark.OK: "ok  ", Mark.NOTE: "note", Mark.PROBLEM: "!!  "}
_COLOURS = {Mark.OK: "green", Mark.NOTE: "yellow", Mark.PROBLEM: "red"}
_INDENT = " " * 9


def verdict(diagnosis: Diagnosis) -> str:
    """Say in one line how the registry is."""
    problems, notes = diagnosis.count(Mark.PROBLEM), diagnosis.count(Mark.NOTE)
    text = f"Doctor: {counted(problems, 'problem')}" if problems else "Doctor: no problem"
    if notes:
        text += f", {counted(notes, 'note')}"
    return text + ("; the rest could not be looked at." if diagnosis.ended_by is not None else ".")


def doctor_text(diagnosis: Diagnosis, style: Style = PLAIN) -> str:
    """Write a diagnosis group by group, what to do below each finding, the verdict as the last line."""
    lines = [style.paint(f"reconciler doctor · registry {inert(diagnosis.registry, 60)}", "bold"), ""]
    for group in diagnosis.groups:
        lines += _group(group, style)
    return "\n".join([*lines, "", style.paint(verdict(diagnosis), "bold")]) + "\n"


def doctor_json(diagnosis: Diagnosis) -> dict[str, Json]:
    """Write a diagnosis as a JSON document."""
    return {
        "format_version": FORMAT_VERSION,
        "registry": diagnosis.registry,
        "problems": diagnosis.count(Mark.PROBLEM),
        "notes": diagnosis.count(Mark.NOTE),
        "complete": diagnosis.ended_by is None,
        "groups": [
            {"title": group.title, "remarks": [_remark_json(remark) for remark in group.remarks]}
            for group in diagnosis.groups
        ],
    }


def _group(group: Group, style: Style) -> Iterator[str]:
    yield style.paint(f"  {group.title}", "bold")
    for remark in group.remarks:
        part = f"  {inert(remark.part)}" if remark.part else ""
        sign = style.paint(_SIGNS[remark.mark], _COLOURS[remark.mark])
        yield f"    {sign} {inert(remark.subject, 60)}{part}: {inert(remark.text)}"
        if remark.hint:
            yield f"{_INDENT}→ {inert(remark.hint)}"


def _remark_json(remark: Remark) -> dict[str, Json]:
    return {
        "mark": remark.mark.value,
        "subject": remark.subject,
        "part": remark.part,
        "text": remark.text,
        "hint": remark.hint,
    }
