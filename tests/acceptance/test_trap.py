"""The trap of wheels alone, on the machine's own index and through the command line: said, mended as said, gone."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import Repository


class OnTheIndex(Repository):
    """A repository whose packages come from where this machine takes them."""

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1"}


def manifest(requirement: str, version: str, *more: str) -> str:
    lines = [
        "name: training",
        "python:",
        f"  version: '{version}'",
        "  pip:",
        "    - idna",
        f"    - {requirement}",
        *(f"  {line}" for line in more),
        "docker: {enabled: false}",
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("chosen", "version", "unbuilt"),
    [
        ("hydra-core 0.11.3", "3.11", "antlr4-python3-runtime"),
        ("deepspeed 0.3.1", "3.11", "deepspeed"),
        ("azureml-defaults 1.0.45", "3.9", "fusepy"),
    ],
)
def test_the_trap_is_said_with_its_line_and_what_is_said_mends_it(
    required: Required, tmp_path: Path, chosen: str, version: str, unbuilt: str
) -> None:
    required.index()
    requirement = chosen.partition(" ")[0]
    repository = OnTheIndex(tmp_path / "repository")
    path = repository.root / "environments" / "training.yaml"
    path.parent.mkdir()
    path.write_text(manifest(requirement, version))
    lock = path.with_name("training.lock.json")
    refused = repository("lock", "training", expect=1)
    assert refused.err.startswith(f"error: environments/training.yaml:6:7: {chosen}")
    newest = re.search(rf"instead of ([0-9.]+), the newest for Python {re.escape(version)}", refused.err)
    assert newest is not None
    assert "as source only" in refused.err
    assert f"{unbuilt}, which exists" in refused.err or unbuilt == requirement
    advice = re.search(r"add under python: `([^`]+)`", refused.err)
    assert advice is not None
    assert advice[1] == f"build_from_source: [{unbuilt}]"
    assert not lock.exists()

    path.write_text(manifest(requirement, version, advice[1]))
    repository("lock", "training")
    (locked,) = json.loads(lock.read_text())["platforms"].values()
    packages = {package["name"]: package for package in locked["packages"]}
    assert packages[requirement]["version"] == newest[1]
    assert {name for name, package in packages.items() if package["source"].startswith("built:")} == {unbuilt}
    repository("lock", "--check")
    if requirement == "hydra-core":
        check_it_runs(repository, newest[1])


def check_it_runs(repository: OnTheIndex, version: str) -> None:
    """Build what was allowed, and import it; a machine without the environment makes it from the record."""
    repository.commit()
    repository("apply", "--locked")
    code = "import hydra, antlr4; print(hydra.__version__)"
    assert repository("run", "training", "--", "python", "-c", code).out.strip() == version
    hosts = repository.root / ".reconciler" / "hosts"
    hosts.rename(hosts.with_name("gone"))
    assert repository("run", "training", "--", "python", "-c", code).out.strip() == version
    repository("plan", "--detailed-exitcode")


def test_apply_without_a_lock_says_the_same_and_registers_nothing(required: Required, tmp_path: Path) -> None:
    required.index()
    repository = OnTheIndex(tmp_path / "repository")
    path = repository.root / "environments" / "training.yaml"
    path.parent.mkdir()
    path.write_text(manifest("hydra-core", "3.11"))
    refused = repository("apply", expect=1)
    assert "environments/training.yaml:6:7: hydra-core 0.11.3 would be taken" in refused.out + refused.err
    assert "build_from_source: [antlr4-python3-runtime]" in refused.out + refused.err
    assert repository("list").out.count("training") == 0
