"""Problems for people, for programs and for GitHub. Pure: who calls prints."""

from __future__ import annotations

import json
from collections.abc import Iterable

from reconciler.manifest.problem import Problem
from reconciler.reports.inert import inert
from reconciler.reports.wording import counted
from reconciler.values.canonical import Json

FORMAT_VERSION = 1


def render_text(problems: Iterable[Problem]) -> str:
    """Give :func:`to_text` as it is printed; nothing where nothing is wrong."""
    return "".join(f"{line}\n" for line in to_text(problems))


def render_json(problems: Iterable[Problem]) -> str:
    """Give :func:`to_json` as it is printed, in ASCII, so that no character of a file reaches a terminal."""
    return json.dumps(to_json(problems), indent=2) + "\n"


def render_github(problems: Iterable[Problem]) -> str:
    """Give :func:`to_annotations` as it is printed."""
    return "".join(f"{line}\n" for line in to_annotations(problems))


def to_text(problems: Iterable[Problem]) -> tuple[str, ...]:
    """Write a line each, ``file:line:column: error: message (hint)``, sorted, each once."""
    return tuple(_line(problem) for problem in sorted(set(problems)))


def to_json(problems: Iterable[Problem]) -> Json:
    """Give ``{"format_version": 1, "problems": [...]}``; line and column are 0 for a file as a whole."""
    found: list[Json] = [
        {
            "path": problem.location.path,
            "line": problem.location.line,
            "column": problem.location.column,
            "severity": problem.severity,
            "message": problem.message,
            "hint": problem.hint,
        }
        for problem in sorted(set(problems))
    ]
    return {"format_version": FORMAT_VERSION, "problems": found}


def to_annotations(problems: Iterable[Problem]) -> tuple[str, ...]:
    """Write workflow commands, a line each (GitHub, "Workflow commands": ``error`` and ``warning``)."""
    return tuple(_annotation(problem) for problem in sorted(set(problems)))


def count_text(problems: Iterable[Problem]) -> str:
    """Say how many problems there are, in how many files."""
    found = set(problems)
    files = {problem.location.path for problem in found}
    return f"{counted(len(found), 'problem')} in {counted(len(files), 'file')}"


def _line(problem: Problem) -> str:
    hint = f" ({problem.hint})" if problem.hint else ""
    message = problem.message.removeprefix(f"{problem.location.path} ")
    return inert(f"{problem.location}: {problem.severity}: {message}{hint}")


def _annotation(problem: Problem) -> str:
    where = problem.location
    properties = [f"file={_property(inert(where.path))}"]
    if where.line:
        properties.append(f"line={where.line}")
    if where.line and where.column:
        properties.append(f"col={where.column}")
    text = "\n".join(inert(part) for part in (problem.message, problem.hint) if part)
    command = "warning" if problem.severity == "warning" else "error"
    return f"::{command} {','.join(properties)}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
