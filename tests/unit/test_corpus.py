"""Real environment definitions are read, or refused with a reason; never a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.errors import SourceError
from reconciler.manifest.conda import parse_conda_file
from reconciler.manifest.problem import Problem
from reconciler.manifest.requirements import Reader
from reconciler.sources.tree import WorkingTree
from reconciler.values.location import Location

# At import: a fixture takes the reconciler's own variables away from every test.
CORPUS = Path(os.environ.get("RECONCILER_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


def found(*suffixes: str) -> list[str]:
    if not CORPUS.is_dir():
        pytest.skip("no corpus of real environment definitions here")
    files = (path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file())
    return sorted(path for path in files if path.endswith(suffixes))


def check(problems: tuple[Problem, ...], folder: str) -> None:
    for problem in problems:
        assert problem.message
        assert problem.message.isprintable()
        assert problem.location.path.startswith(folder)


def read_requirements(path: str) -> Reader:
    reader = Reader(WorkingTree(CORPUS).read)
    reader.read_file(path, where=Location(path))
    return reader


@pytest.mark.parametrize("suffixes", [(".txt",), (".yml", ".yaml", ".md", ".toml", ".lock", ".json", "Dockerfile")])
def test_every_file_is_read_as_requirements_or_refused(suffixes: tuple[str, ...]) -> None:
    for path in found(*suffixes):
        collected = read_requirements(path).collected
        check(tuple(collected.problems), path.split("/")[0])


def test_every_file_is_read_as_a_conda_environment_or_refused() -> None:
    tree = WorkingTree(CORPUS)
    for path in found(".yml", ".yaml", ".txt", ".toml"):
        try:
            file = parse_conda_file(tree.read(path), path)
        except SourceError as error:
            assert "larger" in error.message  # noqa: PT017  # the other outcome is as good
            continue
        check(file.problems, path)
        assert file.problems or file.channels or file.dependencies or file.pip or b"[]" in tree.read(path)


def test_most_real_conda_environments_are_read_whole() -> None:
    tree = WorkingTree(CORPUS)
    files = found("conda.yaml", "conda.yml", "environment.yml", "environment.yaml", "env.yml")
    good = [path for path in files if not parse_conda_file(tree.read(path), path).problems]
    assert len(good) > len(files) // 2


def test_most_real_requirement_files_are_read_whole() -> None:
    files = found("requirements.txt")
    good = [path for path in files if not read_requirements(path).collected.problems]
    assert len(good) > len(files) // 2


def test_a_changed_line_end_or_comment_changes_nothing_in_a_real_file(count_cases: Callable[[str, int], None]) -> None:
    tree = WorkingTree(CORPUS)
    for path in found("requirements.txt"):
        text = tree.read(path).replace(b"\r\n", b"\n")
        whole = read_requirements(path).collected
        reader = Reader(lambda other, path=path, text=text: _edited(text) if other == path else tree.read(other))  # type: ignore[misc]  # bound now
        reader.read_file(path, where=Location(path))
        assert reader.collected.requirements == whole.requirements
        count_cases("F20", 1)


def _edited(text: bytes) -> bytes:
    return b"# a comment \\\r\n\r\n" + text.replace(b"\n", b"\r\n") + b"\r\n# end"
