"""Which packages the variants of the catalog begin with."""

from __future__ import annotations

import pytest

from reconciler.debian.suites import SLIM, STANDARD, SUITES, Suite
from reconciler.debian.variants import packages_of


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_standard_has_what_slim_has_and_a_shell_with_its_tools(suite: Suite) -> None:
    standard, slim = (set(packages_of(suite.distribution, suite.name, variant)) for variant in (STANDARD, SLIM))
    assert slim < standard
    assert {"bash", "coreutils", "procps", "tar"} <= standard - slim
    assert {"ca-certificates", "dash", "tzdata"} <= slim


def test_older_names_of_time_zones_come_with_a_suite_that_has_them_apart() -> None:
    assert "tzdata-legacy" in packages_of("debian", "trixie", SLIM)
    assert "tzdata-legacy" not in packages_of("debian", "bookworm", STANDARD)
