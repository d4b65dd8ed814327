"""Why uv found no solution, as an error with the manifest's line and what could help."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from reconciler.errors import ReconcilerError, ResolveError, UnavailableError
from reconciler.lock.model import ENVIRONMENT
from reconciler.manifest.desired import Desired
from reconciler.resolvers.question import Question, name_of
from reconciler.resolvers.target import Target
from reconciler.values.location import Location

_WIDTH = 110
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s`'\"<>)]+", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"Request failed after|error sending request|dns error|Connection refused|tcp connect error|timed out"
    r"|Failed to fetch|status code|certificate",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"\b(?:401|403)\b|Unauthorized|Forbidden")
_WHEELS_REQUIRED = re.compile(r"Wheels are required for `([A-Za-z0-9._-]+)`")
_NEEDS_PYTHON = re.compile(r"Python>=?([0-9.]+)")


def failure(said: str, *, desired: Desired, question: Question, target: Target, alias: str) -> ReconcilerError:
    """Turn what uv said into an error; nothing in it names a host."""
    if "No solution found" not in said and _NO_ANSWER.search(said):
        return _unavailable(said, alias)
    detail = to_detail(said)
    named = sorted(mentioned(detail, question.names))
    names = ", ".join(named) if named else "these packages"
    return ResolveError(
        f"no versions of {names} go together on {target.platform} with Python {target.interpreter.version}",
        where=locate(desired, named[0]) if named else desired.manifest.locate("python"),
        hint=_held(detail, target) or _unfit(detail, target) or _hint(detail, question, source_only(said)),
        detail=detail,
    )


def mentioned(said: str, names: Iterable[str]) -> set[str]:
    """Give those of the packages that uv's text names."""
    return {name for name in names if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", said)}


def source_only(said: str) -> tuple[str, ...]:
    """Give the packages that uv would have to build, and was not allowed to."""
    return tuple(sorted(set(_WHEELS_REQUIRED.findall(said))))


def to_detail(said: str) -> str:
    """Give uv's explanation, wrapped, without addresses and without its own advice on options."""
    text = _ADDRESS.sub("<index>", said)
    kept = text.split("\nhint:", 1)[0].removeprefix("error: ").strip()
    return "\n".join(
        textwrap.fill(line, _WIDTH, subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2))
        for line in kept.splitlines()
    )


def locate(desired: Desired, name: str) -> Location:
    """Say where the manifest requires a package: its own line, else the field that brings it."""
    python = desired.manifest.python
    for index, requirement in enumerate(python.pip):
        if name_of(requirement) == name:
            return desired.manifest.locate(f"python.pip[{index}]")
    fallback = "python.pip_file" if python.pip_file else "python.project" if python.project else "python.pip"
    return desired.manifest.locate(fallback)


def _unavailable(said: str, alias: str) -> UnavailableError:
    if _REFUSED.search(said):
        return UnavailableError(
            f"the package index {alias} refuses us", hint="check its user name and password on this machine"
        )
    return UnavailableError(
        f"the package index {alias} does not answer", hint="try again later, or check the machine's index settings"
    )


def _held(detail: str, target: Target) -> str:
    """Say what the base brings and keeps of the packages that don't go together; empty where that is none of them."""
    held = sorted(mentioned(detail, target.installed))
    if not held or target.base is None:
        return ""
    said = " ".join(detail.split())
    lacking = [name for name in held if f"{name} was not found in" in said or f"no version of {name}==" in said]
    there = " and ".join(f"{name} {target.installed[name]}" for name in lacking or held)
    base = target.base.image.removeprefix(ENVIRONMENT)
    if lacking:
        return f"{base} brings {there}, which is not on the indexes here: name one that has it in python.indexes"
    is_stacked = target.base.image.startswith(ENVIRONMENT)
    instead = "ignore" if is_stacked else "replace (ours instead) or ignore (none of the base's)"
    return f"{base} brings {there}: ask for what goes with it, or write python.base_packages: {instead}"


def _unfit(detail: str, target: Target) -> str:
    """Say which C library no wheel fits; empty where it is not about that, or not about an image's."""
    if target.base is None or "no wheels with a matching platform tag" not in " ".join(detail.split()):
        return ""
    return f"{target.base.image.removeprefix(ENVIRONMENT)} has {target.libc}: take a newer base, or an older release"


def _hint(detail: str, question: Question, unbuilt: tuple[str, ...]) -> str:
    if unbuilt:
        return f"allow what exists as source only, under python: build_from_source: [{', '.join(unbuilt)}]"
    if "was not found in the" in detail:
        return "check how the name is written, or name the index that has it in python.indexes"
    python = _NEEDS_PYTHON.search(detail)
    if python and "does not satisfy Python" in detail:
        return f"set python.version to {python[1]} or newer, or require an older release"
    pinned = [text for text in question.requirements if "==" in text or "<" in text]
    return f"loosen {pinned[0]}" if pinned else "loosen one of the requirements, or choose another python.version"
