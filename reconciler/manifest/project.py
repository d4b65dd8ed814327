"""A project's own files by meaning: what ``pyproject.toml`` asks for, and what ``uv.lock`` settled (PEP 621, 735)."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.values import pep
from reconciler.values.canonical import Json, digest_of

MAX_DEPTH = 40
_COMPUTED = ("dependencies", "optional-dependencies")


def parse_project(pyproject: bytes, lock: bytes) -> Json:
    """Give what a project depends on; comments, order of requirements and form are no part of it.

    ``name``, ``requires_python``, ``dependencies``, ``optional`` (extra to requirements), ``groups`` (PEP 735, as
    written), ``uv`` (the tool's table), ``pins`` (the versions that ``uv.lock`` has from indexes, by package), ``lock``
    (its digest by value). A file that can't be read is a ValueError.
    """
    document, locked = _load(pyproject, "pyproject.toml"), _load(lock, "uv.lock")
    project, tool = _table(document, "project"), _table(document, "tool")
    dynamic = project.get("dynamic", [])
    computed = [name for name in _COMPUTED if isinstance(dynamic, list) and name in dynamic]
    if computed:
        raise ValueError(f"project.{computed[0]} is dynamic, and no code of a project is run to read it")
    return {
        "name": pep.normalise(str(project["name"])) if "name" in project else None,
        "requires_python": _plain(project.get("requires-python")),
        "dependencies": _requirements(project.get("dependencies", []), "project.dependencies"),
        "optional": {
            pep.normalise(extra): _requirements(listed, f"project.optional-dependencies.{extra}")
            for extra, listed in _table(project, "optional-dependencies").items()
        },
        "groups": {pep.normalise(name): _plain(group) for name, group in _table(document, "dependency-groups").items()},
        "uv": _plain(tool.get("uv")),
        "pins": _pins(locked.get("package", [])),
        "lock": str(digest_of(_plain(locked))),
    }


def _pins(packages: object) -> Json:
    """Read uv.lock's packages that are from an index; one may have several versions, for several platforms."""
    if not isinstance(packages, list):
        raise ValueError("uv.lock: package is not a list")  # noqa: TRY004  # what a file holds
    found: dict[str, set[str]] = {}
    for package in packages:
        if not isinstance(package, dict) or not isinstance(package.get("name"), str):
            raise ValueError("uv.lock: a package has no name")  # noqa: TRY004  # what a file holds
        source, version = package.get("source"), package.get("version")
        if isinstance(source, dict) and "registry" in source and isinstance(version, str):
            found.setdefault(pep.normalise(package["name"]), set()).add(version)
    return {name: [*sorted(versions)] for name, versions in sorted(found.items())}


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
