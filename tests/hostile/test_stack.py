"""Environments that build on one another without an end: told at their lines, in time, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.cli.wiring import Workspace
from reconciler.plan.order import MAX_CHAIN

COUNT = 1200
"""More than Python lets functions call one another."""
NAMES = [f"e{number:04}" for number in range(COUNT)]


def declare(root: Path, names: Sequence[str], last: str) -> Workspace:
    """Declare environments that each build on the next; ``last`` is what the last one builds on."""
    (root / "environments").mkdir()
    bases = [*(f"base_environment: {name}" for name in names[1:]), last]
    for name, base in zip(names, bases, strict=True):
        (root / "environments" / f"{name}.yaml").write_text(f"name: {name}\ndocker: {{{base}}}\n")
    return Workspace(root=root)


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1]], ids=["the highest first", "the lowest first"])
@pytest.mark.parametrize("is_circle", [False, True])
def test_a_chain_without_an_end_is_invalid(tmp_path: Path, names: list[str], *, is_circle: bool) -> None:
    last = f"base_environment: {names[0]}" if is_circle else "base_image: 'oci:base'"
    problems = declare(tmp_path, names, last).declared.errors
    assert problems
    assert {problem.message for problem in problems} == {f"it builds on more than {MAX_CHAIN} environments"}
    assert {problem.location.line for problem in problems} == {2}


@pytest.mark.parametrize("length", [MAX_CHAIN, MAX_CHAIN + 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_chain_may_be_as_long_as_it_says(tmp_path: Path, length: int, *, reverse: bool) -> None:
    names = NAMES[: length + 1]
    declared = declare(tmp_path, names[::-1] if reverse else names, "base_image: 'oci:base'").declared
    assert bool(declared.errors) == (length > MAX_CHAIN)
