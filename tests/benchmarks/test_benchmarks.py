"""Keeps the benchmark alive; a timing is never a pass or a failure."""

from __future__ import annotations

import re

from tests.benchmarks.registries import main as registries
from tests.benchmarks.run import main
from tests.conftest import Required


def test_the_benchmark_runs_and_every_row_has_a_time() -> None:
    table = main(["--sizes", "10", "--rounds", "1"])
    rows = [line for line in table.splitlines() if re.match(r"\| .+ \| [0-9.]+ s \|", line)]
    assert len(rows) == 9
    assert "| plan, 10 environments, warm |" in table


def test_the_benchmark_of_registries_runs_and_every_row_has_a_time(required: Required) -> None:
    required.program("docker-registry")
    table = registries(["--sizes", "5", "--layers", "4", "--megabytes", "1", "--rounds", "1"])
    rows = [line for line in table.splitlines() if re.match(r"\| .+ \| [0-9.]+ s \|", line)]
    assert len(rows) == 4
    assert "| one of 4 layers changed |" in table
