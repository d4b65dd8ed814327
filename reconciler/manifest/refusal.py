"""Why an environment can't be made, at the field that asks for it; what no solver of this version can lock. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.manifest.dependencies import HONOURED_SETTINGS, UnknownPartError, dependencies_of, fits_python
from reconciler.manifest.desired import Desired
from reconciler.manifest.requirement import parse_line
from reconciler.values.canonical import Json

_LISTS = {"requirements": ("pip", "pip_file"), "constraints": ("constraints",), "overrides": ("overrides",)}
"""Parts of the ``packages`` component, and the fields under ``python`` that bring them."""
_INSTEAD = {
    "sources": "name them under python.sources of the manifest",
    "index": "list its alias under python.indexes of the manifest",
    "exclude-newer": "write python.exclude_newer in the manifest",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A field's path, and one line that begins with the field and says what to write instead."""

    field: str
    message: str


def unsolvable(desired: Desired) -> Refusal | None:
    """Give the first field that asks for packages which no solver of this version can lock, or nothing."""
    return next(_unsolvable(desired), None)


def _unsolvable(desired: Desired) -> Iterator[Refusal]:
    python = desired.manifest.python
    if python.conda is not None:
        yield Refusal(
            field="python.conda", message="python.conda is not in this version; name the packages in python.pip"
        )
    if python.conda_file is not None:
        yield Refusal(
            field="python.conda_file",
            message="python.conda_file is not in this version; name the packages in python.pip",
        )
    if python.local:
        yield Refusal(
            field="python.local",
            message="python.local is not in this version; publish the project as a wheel and name it in python.pip",
        )
    packages = desired.components.get("packages")
    project = packages.get("project") if isinstance(packages, dict) else None
    if isinstance(project, dict):
        yield from _of_project(desired, project)
    for part, fields in _LISTS.items():
        for requirement in _texts(packages, part):
            kind = _kind(requirement)
            if kind is not None:
                field = _field_of(desired, requirement, fields)
                yield Refusal(field=field, message=_message(field, requirement, kind))


def _of_project(desired: Desired, project: Mapping[str, Json]) -> Iterator[Refusal]:
    """Refuse what a project says that would be left out, or that its Python is another one."""
    python = desired.manifest.python
    try:
        dependencies = dependencies_of(project, python.extras, python.groups)
    except UnknownPartError as error:
        yield Refusal(field=error.field, message=f"{error.field}: {error}")
        return
    except ValueError as error:
        yield Refusal(field="python.project", message=f"python.project: {error}")
        return
    for requirement in (*dependencies.requirements, *dependencies.constraints, *dependencies.overrides):
        _, separator, address = requirement.partition(" @ ")
        kind = _kind(requirement) or (
            "an address without its sha256" if separator and "#sha256=" not in address else ""
        )
        if kind:
            yield Refusal(field="python.project", message=_message("python.project", requirement, kind))
    for key in sorted({*dependencies.settings} - HONOURED_SETTINGS):
        message = f"python.project: tool.uv.{key} is not in this version; {_INSTEAD.get(key, 'remove it there')}"
        yield Refusal(field="python.project", message=message)
    if not fits_python(project, python.version):
        needed = project["requires_python"]
        message = f"python.version: the project needs Python {needed}, and {python.version} is not all of that"
        yield Refusal(field="python.version", message=message)


def _texts(packages: Json, part: str) -> tuple[str, ...]:
    found = packages.get(part) if isinstance(packages, dict) else None
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def _kind(requirement: str) -> str | None:
    """Say what a requirement comes from that can't be locked: nothing where it is an index or an https address."""
    name, separator, address = requirement.partition(" @ ")
    if not separator:
        return "a git repository" if name.startswith("git+") else None
    if address.startswith("https://"):
        return None
    return "a git repository" if address.startswith("git+") else "a wheel of this repository"


def _message(field: str, requirement: str, kind: str) -> str:
    name = requirement.partition(" @ ")[0]
    return (
        f"{field}: {name[:100]} comes from {kind}, which is not in this version; "
        "require a release of it, or write NAME @ https://HOST/FILE.whl#sha256=DIGEST"
    )


def _field_of(desired: Desired, requirement: str, fields: tuple[str, ...]) -> str:
    """Find the line of the manifest that brings a requirement: its own, else that of the file that holds it."""
    python = desired.manifest.python
    for name in fields:
        listed = getattr(python, name)
        for index, text in enumerate(listed if isinstance(listed, tuple) and name != "pip_file" else ()):
            if _means(text, requirement):
                return f"python.{name}[{index}]"
    if python.pip_file and "pip_file" in fields:
        return "python.pip_file"
    return f"python.{fields[0]}"


def _means(text: str, requirement: str) -> bool:
    try:
        line = parse_line(text)
    except ValueError:
        return False
    if line.requirement is None:
        return False
    # A wheel's path is written relative to the manifest in one spelling; its package tells it well enough.
    own, wanted = (value.partition(" @ ")[0] for value in (line.requirement, requirement))
    return line.requirement == requirement or (line.wheel is not None and own == wanted)
