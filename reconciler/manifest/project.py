"""A project's own files by meaning: what ``pyproject.toml`` asks for, and what ``uv.lock`` settled (PEP 621, 735)."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.values import pep
from reconciler.values.canonical import Json, digest_of

MAX_DEPTH = 40


def parse_project(pyproject: bytes, lock: bytes) -> Json:
    """Give what a project depends on; comments, order of requirements and form are no part of it.

    ``requires_python``, ``dependencies``, ``optional`` (extra to requirements), ``groups`` (PEP 735, as written),
    ``uv`` (the tool's table), ``lock`` (the digest of ``uv.lock`` by value). A file that can't be read is a ValueError.
    """
    document, locked = _load(pyproject, "pyproject.toml"), _load(lock, "uv.lock")
    project, tool = _table(document, "project"), _table(document, "tool")
    return {
        "requires_python": _plain(project.get("requires-python")),
        "dependencies": _requirements(project.get("dependencies", []), "project.dependencies"),
        "optional": {
            pep.normalise(extra): _requirements(listed, f"project.optional-dependencies.{extra}")
            for extra, listed in _table(project, "optional-dependencies").items()
        },
        "groups": {pep.normalise(name): _plain(group) for name, group in _table(document, "dependency-groups").items()},
        "uv": _plain(tool.get("uv")),
        "lock": str(digest_of(_plain(locked))),
    }


def _load(data: bytes, name: str) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415  # few have a project

    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = (
            str(error).splitlines()[0][:200] if isinstance(error, tomllib.TOMLDecodeError) else "not UTF-8, or too deep"
        )
        raise ValueError(f"{name} can't be read: {reason}") from None


def _table(parent: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = parent.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not a table")  # noqa: TRY004  # what a file holds, not what code passed
    return value


def _requirements(listed: object, name: str) -> Json:
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"{name} is not a list of requirements")
    return [*sorted({pep.canonical_requirement(text) for text in listed})]


def _plain(value: object, depth: int = 0) -> Json:
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    return f"{type(value).__name__}:{value}"
