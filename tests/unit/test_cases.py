"""``tests/cases``: manifests that are valid, and manifests with what is expected to be found in them.

A line ``# expect: LINE:COLUMN TEXT`` stands for one finding; there are no others.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.parse import parse_manifest
from reconciler.manifest.problem import Problem
from reconciler.reports.problems import to_text
from reconciler.sources.schemas import read_schema

CASES = Path(__file__).parent.parent / "cases"
VALID = sorted((CASES / "valid").glob("*.yaml"))
INVALID = sorted((CASES / "invalid").glob("*.yaml"))
_EXPECTED = re.compile(r"^# expect: ([0-9]+:[0-9]+) (.+)$", re.MULTILINE)


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_a_valid_manifest_is_read(file: Path) -> None:
    manifest = parse_manifest(file.read_bytes(), f"environments/{file.name}", read_schema("environment"))
    assert manifest.name == file.stem


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_every_problem_is_found_at_its_place_and_no_other(file: Path) -> None:
    expected = _EXPECTED.findall(file.read_text(encoding="utf-8"))
    path = f"environments/{file.name}"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(file.read_bytes(), path, read_schema("environment"))
    problems = [problem for problem in caught.value.problems if isinstance(problem, Problem)]
    lines = to_text(problems)
    assert len(lines) == len(expected), lines
    for place, text in expected:
        start = f"{path}:{place}: error: "
        assert any(line.startswith(start) and text in line for line in lines), (place, text, lines)


def test_there_are_cases() -> None:
    assert len(VALID) > 8
    assert len(INVALID) > 30
