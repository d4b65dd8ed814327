"""Clocks that are wrong, jump, or stand in another zone: the plan and every byte of the registry stay the same.

In full (40 clocks): ``RECONCILER_CASES=full pytest tests/hostile/test_clock.py``.
"""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import PROGRAM, Repository
from tests.standing import standing

FULL = os.environ.get("RECONCILER_CASES") == "full"
OFFSETS = (
    *("-50y", "-20y", "-10y", "-1y", "-30d", "-1d", "-3600", "-1"),
    *("+1", "+3600", "+1d", "+30d", "+1y", "+5y", "+10y", "+60y"),
)
MOMENTS = (
    *("@1970-01-01 00:00:01", "@1999-12-31 23:59:59", "@2000-02-29 12:00:00", "@2024-02-29 23:59:58"),
    *("@2026-03-29 01:59:59", "@2026-10-25 02:59:59", "@2038-01-19 03:14:06", "@2100-02-28 23:59:59"),
)
SPEEDS = ("+0 x3", "+0 x0.5", "-10y x2", "@2016-12-31 23:59:59 x0.5")
ZONES = (
    *("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "America/St_Johns", "Europe/Lisbon"),
    *("No/Such_Zone", "XYZ-14:59", ""),
)
JUMPS = (("+5y", "-5y"), ("+0", "-1d"), ("-20y", "+20y"))
CASES = [*((clock, "UTC") for clock in (*OFFSETS, *MOMENTS, *SPEEDS)), *(("+0", zone) for zone in ZONES)]
CHOSEN = CASES if FULL else CASES[::7]


class Skewed(Repository):
    """A repository whose commands, and what they start, see another clock.

    With ``clock`` each process takes its time from that file when it starts. (That a clock jumps under a process that
    runs can't be shown so: the one that waiting goes by would jump too, which it does on no machine.)
    """

    def __init__(self, root: Path, faketime: Path, *, wheels: Path, cache: Path) -> None:
        super().__init__(root, wheels=wheels, cache=cache)
        bare = {"PATH": os.environ["PATH"]}
        seen = subprocess.run(
            [faketime, "-f", "+0", "env"], capture_output=True, text=True, check=True, env=bare
        ).stdout
        self.library = next(line for line in seen.splitlines() if line.startswith("LD_PRELOAD=")).partition("=")[2]
        self.spec = "+0"
        self.zone = "UTC"
        self.clock: Path | None = None

    @property
    def environ(self) -> dict[str, str]:
        values = {"LD_PRELOAD": self.library, "TZ": self.zone}
        if self.clock is not None:
            return {
                **super().environ,
                **values,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "86400",
            }
        return {**super().environ, **values, "FAKETIME": self.spec}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    required.python("3.11")
    repository = Repository(tmp_path_factory.mktemp("clock") / "clone")
    repository.release("alpha", "1.0")
    repository.release("beta", "1.0", "alpha")
    repository.declare("first", "beta", extra="environment_variables: {A: '1'}\n")
    repository.declare("plain")
    repository.commit()
    return repository


@pytest.fixture
def skewed(template: Repository, required: Required, tmp_path: Path) -> Skewed:
    faketime = required.program("faketime")
    subprocess.run(["git", "clone", "-q", template.root, tmp_path / "clone"], check=True)
    return Skewed(tmp_path / "clone", faketime, wheels=template.wheels, cache=template.cache)


@pytest.fixture(scope="module")
def expected(template: Repository) -> tuple[str, dict[str, object]]:
    plan = template("plan", "-o", "json").out
    template("apply")
    return plan, standing(template.root)


def check(repository: Repository, expected: tuple[str, dict[str, object]]) -> None:
    plan, registered = expected
    assert repository("plan", "-o", "json").out == plan
    repository("apply")
    assert standing(repository.root) == registered
    assert '"unchanged":2' in repository("plan", "-o", "json").out
    repository("drift")


@pytest.mark.threat("F7")
@pytest.mark.parametrize(("clock", "zone"), CHOSEN)
def test_a_clock_that_is_wrong_changes_no_plan_and_no_byte(
    skewed: Skewed, expected: tuple[str, dict[str, object]], clock: str, zone: str
) -> None:
    skewed.spec, skewed.zone = clock, zone
    check(skewed, expected)


@pytest.mark.threat("F7")
@pytest.mark.parametrize("jump", JUMPS if FULL else JUMPS[:1])
def test_a_clock_that_jumps_to_and_fro_between_processes_changes_no_plan_and_no_byte(
    skewed: Skewed, expected: tuple[str, dict[str, object]], tmp_path: Path, jump: tuple[str, str]
) -> None:
    skewed.clock = tmp_path / "time"
    skewed.clock.write_text(jump[0])
    stop = threading.Event()

    def swing() -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            (tmp_path / "next").write_text(jump[number % 2])
            (tmp_path / "next").replace(tmp_path / "time")

    thread = threading.Thread(target=swing)
    thread.start()
    try:
        check(skewed, expected)
    finally:
        stop.set()
        thread.join()


def test_the_clock_of_these_tests_is_really_another_one(skewed: Skewed) -> None:
    skewed.spec = "@2001-02-03 04:05:06"
    python = PROGRAM.parent / "python"
    done = subprocess.run(
        [python, "-c", "import time; print(time.gmtime().tm_year)"],
        env=skewed.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2001\n"
