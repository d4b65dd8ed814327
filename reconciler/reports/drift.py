"""Drift for a terminal, as JSON, and as Markdown for an issue or a job summary."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.plan.drift import DriftReport, Finding, Kind, Stale
from reconciler.reports.inert import inert, pad
from reconciler.reports.markdown import LIMIT, code, table
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import counted
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

FORMAT_VERSION = 1
_RESERVE = 300
_MAX_NAMES = 6
_MENDS = "`reconciler apply NAME` mends what is declared"
_MEANING = {
    Kind.MOVED: "moved",
    Kind.MISSING: "content missing",
    Kind.TAMPERED: "content changed",
    Kind.DELETED: "deleted",
    Kind.FOREIGN: "taken by another manager",
    Kind.RECOVERED: "`current` gone",
}


def verdict(report: DriftReport) -> str:
    """Say in one line whether there is drift, what is pending apart from it, and what could not be read."""
    names = len({finding.name for finding in report.findings})
    text = f"Drift: {counted(names, 'environment')} of {report.checked} drifted" if names else "No drift"
    if report.pending:
        text += f"; {len(report.pending)} pending in git"
    behind = sum(bool(one.packages) for one in report.stale)
    if behind:
        text += f"; {behind} stale"
    if report.unreadable:
        text += f"; {len(report.unreadable)} could not be read"
    return text + "."


def drift_text(report: DriftReport, style: Style = PLAIN) -> str:
    """Write drift for a terminal, the verdict as the last line."""
    lines = [style.paint(f"reconciler drift · registry {inert(report.registry, 60)}", "bold"), ""]
    width = max((len(inert(finding.name, 40)) for finding in report.findings), default=0)
    for finding in report.findings:
        head = f"  ! {pad(inert(finding.name, 40), width)}  {_MEANING[finding.kind]}: {inert(finding.path, 48)}"
        lines.append(style.paint(f"{head}  {inert(finding.note)}".rstrip(), "red"))
        lines += _digests(finding)
    lines += [f"  ? {inert(name)}  could not be read: {inert(reason)}" for name, reason in report.unreadable]
    if report.drifted:
        lines.append(f"  {_MENDS}")
    if report.pending:
        lines.append(f"  pending, which is no drift: {', '.join(map(inert, report.pending))}")
    lines += [f"  stale, which is no drift: {inert(one.name)}: {_stale(one)}" for one in report.stale]
    return "\n".join([*lines, style.paint(verdict(report), "bold")]) + "\n"


def drift_json(report: DriftReport) -> dict[str, Json]:
    """Write drift as a JSON document."""
    return {
        "format_version": FORMAT_VERSION,
        "registry": report.registry,
        "drifted": report.drifted,
        "checked": report.checked,
        "findings": [_finding_json(finding) for finding in report.findings],
        "pending": list(report.pending),
        "unreadable": [{"name": name, "reason": reason} for name, reason in report.unreadable],
        "stale": [
            {"name": one.name, "packages": list(one.packages), "reason": one.reason or None} for one in report.stale
        ],
    }


def drift_markdown(report: DriftReport, limit: int = LIMIT) -> str:
    """Write drift as Markdown of at most ``limit`` bytes, the verdict first."""
    head = f"### {verdict(report)}\n\nRegistry {code(report.registry, 120)}\n"
    total = len(report.findings) + len(report.unreadable)
    rows = _rows(report)
    body = table(
        ("Environment", "Drift", "What", "Applied", "Found"), rows, limit - len(head.encode()) - _RESERVE, total=total
    )
    text = f"{head}\n{body}" if total else head
    text += f"\n{_MENDS}.\n" if report.drifted else ""
    for one in report.stale:
        line = f"\nStale, which is no drift: {code(one.name, 100)}: {code(_stale(one), 400)}\n"
        text += line if len((text + line).encode()) <= limit else ""
    waiting = f"\nPending, which is no drift: {', '.join(code(name, 100) for name in report.pending)}\n"
    return text + waiting if report.pending and len((text + waiting).encode()) <= limit else text


def _stale(one: Stale) -> str:
    if one.reason:
        return f"its archives could not be read: {inert(one.reason)}"
    names = ", ".join(map(inert, one.packages[:_MAX_NAMES])) + (", …" if len(one.packages) > _MAX_NAMES else "")
    moves = f"lock --upgrade-base {inert(one.name)}, or apply --refresh {inert(one.name)}"
    return f"{counted(len(one.packages), 'Debian package')} newer in the archives ({names}); {moves}"


def _rows(report: DriftReport) -> Iterator[tuple[str, ...]]:
    for one in report.findings:
        meaning = _MEANING[one.kind].replace("`", "")
        yield code(one.name, 40), meaning, code(one.path, 48), _code(one.expected), _code(one.found)
    for name, reason in report.unreadable:
        yield code(name, 40), "could not be read", code(reason, 120), "", ""


def _finding_json(finding: Finding) -> dict[str, Json]:
    return {
        "name": finding.name,
        "kind": finding.kind.value,
        "path": finding.path,
        "expected": None if finding.expected is None else str(finding.expected),
        "found": None if finding.found is None else str(finding.found),
        "note": finding.note,
    }


def _digests(finding: Finding) -> list[str]:
    """Write the digests that are known; that nothing is there is known too."""
    lines = [f"      applied {finding.expected}"] if finding.expected is not None else []
    if finding.found is not None:
        return [*lines, f"      found   {finding.found}"]
    return [*lines, "      found   nothing"] if finding.kind in {Kind.DELETED, Kind.MISSING} else lines


def _code(digest: Digest | None) -> str:
    return "" if digest is None else code(digest.short)
