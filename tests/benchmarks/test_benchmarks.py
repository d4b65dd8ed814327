"""Keeps the benchmark alive; a timing is never a pass or a failure."""

from __future__ import annotations

import os
import re

from tests.benchmarks.bases import main as bases
from tests.benchmarks.images import main as images
from tests.benchmarks.memory import main as memory
from tests.benchmarks.registries import main as registries
from tests.benchmarks.run import main
from tests.conftest import Required
from tests.debian import Debian
from tests.services import EngineService


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


def test_the_benchmark_of_images_runs_and_every_row_has_a_time(
    required: Required, debian: Debian, docker_engine: EngineService
) -> None:
    """The engine of the session is not used: where one starts, another does."""
    required.index()
    if os.geteuid() != 0:
        required.refuse("an engine for a benchmark needs root")
    options = ["--packages", "packaging,idna", "--changed", "idna", "--rounds", "1"]
    table = images([*options, "--bytecode", "without", "--base", str(debian.layout)])
    rows = [line for line in table.splitlines() if re.match(r"\| .+ \| [0-9.]+ s \| [0-9.]+ s \|", line)]
    assert len(rows) == 4
    assert docker_engine.driver


def test_the_benchmark_of_bases_runs_and_every_row_has_a_time(required: Required) -> None:
    required.index()
    required.program("mmdebstrap")
    if os.geteuid() != 0:
        required.refuse("mmdebstrap needs root")
    table = bases(["--base", "debian:bookworm-slim", "--more", "libgomp1", "--rounds", "1"])
    rows = [line for line in table.splitlines() if re.match(r"\| .+ \| [0-9.]+ s \| [0-9.]+ s \|", line)]
    assert len(rows) == 3


def test_the_benchmark_of_memory_runs(required: Required) -> None:
    required.program("docker-registry")
    assert re.match(r"8 MB in 2 packages: \d+ s, at most \d+ MB", memory(["--megabytes", "8", "--packages", "2"]))
