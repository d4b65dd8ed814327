"""An explanation for a terminal and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from reconciler.plan.document import change_to_json, package_to_json
from reconciler.plan.explanation import ComponentView, Explanation
from reconciler.reports.inert import cells, inert, pad
from reconciler.reports.style import PLAIN, Style
from reconciler.reports.wording import change_symbol, change_text, package_text, packages_summary, value_text
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest

FORMAT_VERSION = 1
_MAX_PACKAGES = 10
_SHOWN = len("sha256:") + 12
"""How much of a digest tells it from the others of one environment."""


def explain_text(explanation: Explanation, style: Style = PLAIN) -> str:
    """Write an explanation: what is asked, what was filled in, what is registered, and the verdict as the last line."""
    lines = [
        style.paint(f"{inert(explanation.name)}  {inert(str(explanation.location))}", "bold"),
        f"  request   {explanation.request}",
        f"  lock      {_lock(explanation)}",
        f"  builder   {inert(explanation.builder)}",
        f"  registry  {inert(explanation.seen)}",
        "  components",
        *(_component(view, style) for view in explanation.components),
    ]
    if explanation.filled:
        lines += ["  defaults that were filled in", *_defaults(explanation.filled, style)]
    lines += [*_why(explanation, style), *_packages(explanation, style)]
    lines.append(style.paint(f"Verdict: {explanation.verdict}.", "bold"))
    return "\n".join(lines) + "\n"


def explain_json(explanation: Explanation) -> dict[str, Json]:
    """Write an explanation as a JSON document."""
    location = explanation.location
    return {
        "format_version": FORMAT_VERSION,
        "name": explanation.name,
        "location": {"path": location.path, "line": location.line, "column": location.column},
        "request": str(explanation.request),
        "recorded_request": _text(explanation.recorded_request),
        "components": [
            {"name": view.name, "digest": _text(view.digest), "recorded": _text(view.recorded), "same": view.same}
            for view in explanation.components
        ],
        "defaults": dict(explanation.filled),
        "lock": {"state": explanation.lock_state, "digest": _text(explanation.lock)},
        "builder": explanation.builder,
        "registered": explanation.seen,
        "action": explanation.step.action.value,
        "changes": [change_to_json(change) for change in explanation.step.changes],
        "packages": [package_to_json(package) for package in explanation.step.packages or ()],
        "note": explanation.step.note,
        "verdict": explanation.verdict,
    }


def _lock(explanation: Explanation) -> str:
    if explanation.lock is not None:
        return f"{explanation.lock_state}  {explanation.lock}"
    if explanation.recorded_request == explanation.request:
        return "none committed; the registered one stays"
    near = "" if explanation.recorded_request is None else ", near the registered one"
    return f"none committed; packages resolve at apply{near}"


def _defaults(filled: Mapping[str, Json], style: Style) -> list[str]:
    """List what the defaults say, a line each; those that say "nothing" by their names alone, unless all is wanted."""
    telling = {path: value for path, value in filled.items() if style.verbose or value or value is False}
    width = max(map(len, telling), default=0)
    lines = [f"    {pad(inert(path), width)}  {value_text(value, style.width)}" for path, value in telling.items()]
    empty = [inert(path) for path in filled if path not in telling]
    if not empty:
        return lines
    return [
        *lines,
        *textwrap.wrap(
            f"empty: {', '.join(empty)}",
            max(style.width, 40),
            initial_indent="    ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        ),
    ]


def _component(view: ComponentView, style: Style) -> str:
    name = pad(inert(view.name), 12)
    now = "gone" if view.digest is None else str(view.digest) if style.verbose else str(view.digest)[:_SHOWN]
    if view.recorded is None:
        return style.paint(f"    + {name}  {now}", "green")
    if view.same:
        return f"      {name}  {now}"
    return style.paint(f"    ~ {name}  {now}  was {str(view.recorded)[:_SHOWN]}", "yellow")


def _why(explanation: Explanation, style: Style) -> list[str]:
    step = explanation.step
    if not step.changes and not step.note:
        return []
    lines = [f"  action: {step.action.value}"]
    for change in step.changes:
        text = f"{change_symbol(change)} {change.reason.value} {inert(change.path)}"
        line, where = f"    {text}  {change_text(change, max(style.width // 4, 20))}", change.location
        place = f"  {inert(str(where))}" if where else ""
        if where and cells(line + place) > style.width:
            place = f"  :{where.line}"  # the file stands in the first line
        lines.append(f"{line}{place}")
    return [*lines, f"    {inert(step.note)}"] if step.note else lines


def _packages(explanation: Explanation, style: Style) -> list[str]:
    """List what moves with another lock; where all of it comes anew, the lock says it better."""
    packages = explanation.step.packages or ()
    if not packages or not explanation.step.changes:
        return []
    shown = packages if style.verbose else packages[:_MAX_PACKAGES]
    more = [f"    … {len(packages) - len(shown)} more"] if len(shown) < len(packages) else []
    return [f"  packages  {packages_summary(packages)}", *(f"    {package_text(one)}" for one in shown), *more]


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)
