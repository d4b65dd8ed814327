"""What counts as a change: every edit of meaning, and no edit of form."""

# ruff: noqa: S311  # seeds make worlds here, not secrets

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.identity_worlds import CONTEXTS, choose, request

FORMS = 40
EDITS = [
    (name, field) for name, context in CONTEXTS.items() for field in context.varied if len(context.varied[field]) > 1
]
SCRIPT = """
import json, random, sys
from tests.identity_worlds import CONTEXTS, choose, request
found = {}
for name, context in CONTEXTS.items():
    for seed in range(3):
        choices = choose(context, random.Random(seed))
        found[f"{name}{seed}"] = str(request(context, choices, random.Random(int(sys.argv[1]) + seed)))
print(json.dumps(found))
"""


@pytest.mark.parametrize("name", CONTEXTS)
def test_no_edit_of_form_changes_the_request(name: str, count_cases: Callable[[str, int], None]) -> None:
    context = CONTEXTS[name]

    @settings(max_examples=FORMS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 32), st.integers(0, 1 << 32), st.integers(0, 1 << 32))
    def hold(world: int, form: int, other: int) -> None:
        choices = choose(context, random.Random(world))
        assert request(context, choices, random.Random(form)) == request(context, choices, random.Random(other))
        count_cases("F20", 1)

    hold()


@pytest.mark.parametrize(("name", "field"), EDITS)
def test_every_edit_of_meaning_changes_the_request(
    name: str, field: str, count_cases: Callable[[str, int], None]
) -> None:
    """Any two values of a field mean different things, in a random world that is otherwise the same."""
    context = CONTEXTS[name]
    draw = random.Random(f"{name} {field}")
    choices = choose(context, draw)
    requests = {}
    for number in range(len(context.varied[field])):
        requests[number] = request(context, {**choices, field: number}, draw)
    pairs = len(requests) * (len(requests) - 1) // 2
    assert len(set(requests.values())) == len(requests)
    count_cases("F20", pairs)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C.UTF-8"},
        {"PYTHONHASHSEED": "4242", "TZ": "America/New_York", "LANG": "tr_TR.UTF-8"},
        {"PYTHONHASHSEED": "random", "PYTHONUTF8": "0", "LC_ALL": "POSIX", "USER": "other", "HOME": "/nonexistent"},
    ],
)
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_request_depends_on_nothing_of_the_machine(
    environment: dict[str, str], umask: int, tmp_path: Path, count_cases: Callable[[str, int], None]
) -> None:
    expected = {
        f"{name}{seed}": str(request(context, choose(context, random.Random(seed)), random.Random(7)))
        for name, context in CONTEXTS.items()
        for seed in range(3)
    }
    root = str(Path(__file__).parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(umask)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": root, **environment},
        cwd=tmp_path,
        umask=umask,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == expected
    count_cases("F21", len(expected))
