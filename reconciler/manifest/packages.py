"""The ``packages`` component: what is installed for Python, by meaning (defined in ``manifest.identity``)."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.manifest.conda import CondaFile, parse_conda_file, parse_match
from reconciler.manifest.model import Python
from reconciler.manifest.project import parse_project
from reconciler.manifest.reach import Reach
from reconciler.manifest.requirements import Reader
from reconciler.values import paths, pep
from reconciler.values.canonical import Json


def packages(reach: Reach, python: Python) -> Json:
    """Give the component, reading every file that it is made of."""
    reader, overrides = Reader(reach.read, reach.folder), Reader(reach.read, reach.folder)
    _add_lines(reach, reader, "python.pip", python.pip)
    _add_files(reach, reader, "python.pip_file", python.pip_file)
    _add_listed(reach, reader, "python.constraints", python.constraints)
    _add_listed(reach, overrides, "python.overrides", python.overrides)
    conda = _conda(reach, reader, python)
    reach.problems += reader.collected.problems
    reach.problems += overrides.collected.problems
    found = reader.collected
    wheels = {**found.wheels, **overrides.collected.wheels}
    return {
        "requirements": [*sorted(found.requirements)],
        "constraints": [*sorted(found.constraints)],
        "overrides": [*sorted(overrides.collected.constraints)],
        "wheels": {name: reach.sha256("python.pip", path) for name, path in wheels.items()},
        "hashes": {name: [*sorted(hashes)] for name, hashes in found.hashes.items()},
        "indexes": [*python.indexes],
        "sources": {pep.normalise(name): alias for name, alias in python.sources.items()},
        "build_from_source": _names(python.build_from_source),
        "exclude_newer": python.exclude_newer,
        "extras": _names(python.extras),
        "groups": _names(python.groups),
        "project": None if python.project is None else _project(reach, python.project),
        "local": _local(reach, python.local),
        "conda": conda,
    }


def _names(names: Iterable[str]) -> list[Json]:
    return [*sorted({pep.normalise(name) for name in names})]


def _add_lines(reach: Reach, reader: Reader, field: str, lines: tuple[str, ...], kind: str = "requirements") -> None:
    for number, line in enumerate(lines):
        reader.add(line, kind=kind, where=reach.manifest.locate(f"{field}[{number}]"))


def _add_files(reach: Reach, reader: Reader, field: str, files: tuple[str, ...], kind: str = "requirements") -> None:
    for number, file in enumerate(files):
        at = f"{field}[{number}]"
        path = reach.path(at, file)
        if path is not None:
            reader.read_file(path, kind=kind, where=reach.manifest.locate(at))


def _add_listed(reach: Reach, reader: Reader, field: str, listed: str | tuple[str, ...] | None) -> None:
    if isinstance(listed, str):
        _add_files(reach, reader, field, (listed,), "constraints")
    elif listed:
        _add_lines(reach, reader, field, listed, "constraints")


def _conda(reach: Reach, reader: Reader, python: Python) -> Json:
    file = CondaFile()
    where = reach.manifest.locate("python.conda_file" if python.conda_file else "python.conda")
    if python.conda_file is not None:
        if python.conda is not None:
            reach.refuse(where, "python.conda and python.conda_file stand side by side", "keep one of them")
        path = reach.path("python.conda_file", python.conda_file)
        data = None if path is None else reach.bytes_of("python.conda_file", path)
        if path is not None and data is not None:
            file = parse_conda_file(data, path)
            reach.problems += file.problems
    elif python.conda is None:
        return None
    for line, location in file.pip:
        reader.add(line, where=location)
    channels, dependencies = [*file.channels], {*file.dependencies}
    if python.conda is not None:
        _add_lines(reach, reader, "python.conda.dependencies", python.conda.pip)
        channels += python.conda.channels
        for text in python.conda.dependencies:
            try:
                dependencies.add(parse_match(text))
            except ValueError as error:
                reach.refuse(reach.manifest.locate("python.conda.dependencies"), str(error))
    return {"channels": [*dict.fromkeys(channels)], "dependencies": [*sorted(dependencies)]}


def _local(reach: Reach, folders: tuple[str, ...]) -> Json:
    trees: dict[str, Json] = {}
    for number, folder in enumerate(folders):
        field = f"python.local[{number}]"
        path = reach.path(field, folder)
        if path is not None:
            trees[paths.relative(path, reach.folder)] = reach.tree(field, folder)
    return trees


def _project(reach: Reach, text: str) -> Json:
    field = "python.project"
    path = reach.path(field, text)
    if path is None:
        return None
    file = path if path.endswith(".toml") else f"{path}/pyproject.toml".lstrip("/")
    folder = paths.folder_of(file)
    data = reach.bytes_of(field, file)
    lock = reach.bytes_of(field, f"{folder}/uv.lock".lstrip("/"), limit=1 << 24)
    if data is None or lock is None:
        return None
    try:
        return parse_project(data, lock)
    except ValueError as error:
        reach.refuse(reach.manifest.locate(field), f"{file}: {error}")
        return None
