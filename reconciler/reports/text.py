"""A plan for the terminal, in the shape that users of Terraform know: symbol, name, action, why and where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.lock.difference import PackageChange
from reconciler.plan.change import Action, Change, Plan, Step
from reconciler.reports.inert import cells, cut, inert, pad
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import (
    SYMBOLS,
    change_symbol,
    change_text,
    counted,
    package_text,
    packages_summary,
    place_text,
    reasons,
    summary,
    why,
)
from reconciler.values.location import Location

_COLOURS = {
    Action.CREATE: "green",
    Action.REBUILD: "yellow",
    Action.REBASE: "yellow",
    Action.REUSE: "cyan",
    Action.METADATA: "blue",
    Action.ARCHIVE: "red",
    Action.UNCHANGED: "dim",
    Action.BLOCKED: "magenta",
}
_CHANGE_COLOURS = {"+": "green", "-": "red", "~": "yellow", "!": "magenta"}
_MAX_NAME = 40
_WIDEST = 140
_MAX_CHANGES = 20
_MAX_PACKAGES = 10
_RESOLVES = frozenset({Action.CREATE, Action.REBUILD, Action.REBASE})


def plan_text(plan: Plan, style: Style = PLAIN, *, command: str = "plan") -> str:
    """Write a plan: a heading, what changes with its differences, notes, and the summary as the last line."""
    shown = [step for step in plan.steps if style.verbose or step.action is not Action.UNCHANGED]
    names = min(max((cells(inert(step.name)) for step in shown), default=0), _MAX_NAME)
    column = _column(shown, style)
    lines = [style.paint(_heading(plan, command), "bold"), ""]
    for step in shown:
        lines.extend(_step(step, names, column, style))
    if shown:
        lines.append("")
    lines.extend(f"note: {inert(note)}" for note in plan.notes)
    lines.append(style.paint(summary(plan), "bold"))
    return "\n".join(lines) + "\n"


def _heading(plan: Plan, command: str) -> str:
    commit, dirty = plan.revision.commit, " (dirty)" if plan.revision.dirty else ""
    where = f"commit {commit.short}{dirty}" if commit is not None else "no commit"
    return f"reconciler {command} · registry {inert(plan.registry, 60)} · {where}"


def _column(steps: Sequence[Step], style: Style) -> int:
    """Say in which column places stand: as far right as the longest allows, and never so far that the eye is lost."""
    places = [place_text(step.location) for step in steps]
    return min(style.width, _WIDEST) - min(max(map(cells, places), default=0), style.width // 2)


def _step(step: Step, names: int, column: int, style: Style) -> Iterator[str]:
    colour = _COLOURS[step.action]
    head = f"  {SYMBOLS[step.action]} {pad(cut(inert(step.name), names), names)}  {step.action.value:9}  "
    below = bool(step.note) and cells(head) + cells(inert(step.note)) > column - 2
    reason = reasons(step) if below else why(step)
    yield style.paint(_placed(f"{head}{reason}", step.location, column), colour)
    if below:
        yield style.paint(f"      {inert(step.note)}", colour)
    limit = None if style.verbose else _MAX_CHANGES
    details = step.changes if any(change.path for change in step.changes) else ()
    for change in details[:limit]:
        yield _change(change, step.location, column, style)
    if limit is not None and len(details) > limit:
        yield f"      … {counted(len(details) - limit, 'more change')}"
    if step.packages:
        yield _packages(step.packages, style)
    elif step.packages is None and step.action in _RESOLVES and step.lock is None:
        yield style.paint("      packages resolve at apply", "dim")


def _change(change: Change, step: Location, column: int, style: Style) -> str:
    symbol = change_symbol(change)
    text = f"{symbol} {pad(inert(change.path, 48), 24)}  {change_text(change, max(2 * style.width // 5, 20))}"
    line, where = _placed(f"      {text}", change.location, column), change.location
    if where is not None and where.path == step.path and cells(line) > style.width:
        line = f"      {text}  :{where.line}"  # the file stands above, at the step
    return style.paint(line, _CHANGE_COLOURS[symbol])


def _packages(packages: tuple[PackageChange, ...], style: Style) -> str:
    limit = len(packages) if style.verbose else _MAX_PACKAGES
    text = "  ".join(package_text(package) for package in packages[:limit])
    if len(packages) <= limit:
        return f"      packages: {text}"
    return f"      packages: {packages_summary(packages)}: {text}  … {len(packages) - limit} more"


def _placed(text: str, location: Location | None, column: int) -> str:
    """Put a place at the right: in one column where there is room, else two spaces after the text."""
    place = place_text(location)
    return f"{pad(text, column - 2)}  {place}" if place else text.rstrip()
