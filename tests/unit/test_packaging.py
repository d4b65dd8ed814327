"""What people install, and the two lines that README gives them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from reconciler.debian.archivekeys import ARCHIVE_KEYS

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted(path.name for path in (ROOT / "schemas").glob("*.json"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the hatchling that is here: no index is asked."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / done.stdout.splitlines()[-1]


def test_every_schema_is_in_the_wheel_as_it_is_in_the_repository(wheel: Path) -> None:
    assert {"config.schema.json", "environment.schema.json", "lock.schema.json", "plan.schema.json"} <= set(SCHEMAS)
    with zipfile.ZipFile(wheel) as archive:
        for name in SCHEMAS:
            assert json.loads(archive.read(f"reconciler/schemas/{name}")) == json.loads(
                (ROOT / "schemas" / name).read_text()
            )


def test_every_key_of_an_archive_is_in_the_wheel(wheel: Path) -> None:
    keys = sorted(path.name for path in (ROOT / "reconciler/debian/keys").iterdir())
    assert keys == sorted(key.file for known in ARCHIVE_KEYS.values() for key in known)
    with zipfile.ZipFile(wheel) as archive:
        for name in keys:
            assert (
                archive.read(f"reconciler/debian/keys/{name}") == (ROOT / "reconciler/debian/keys" / name).read_bytes()
            )


def test_the_wheel_holds_the_package_its_type_marker_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "reconciler/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"reconciler", "reconciler-0.1.0.dist-info"}


def test_tools_for_tests_are_no_dependency(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = message_from_bytes(archive.read("reconciler-0.1.0.dist-info/METADATA"))
    lines = [str(line) for line in metadata.get_all("Requires-Dist", [])]
    needed = {re.split("[<>=!~ ;]", line)[0] for line in lines if "extra ==" not in line}
    assert needed == {
        "click", "deflate", "docker", "gitpython", "jsonschema", "packaging", "pysequoia", "pyyaml", "referencing",
        "urllib3", "uv", "zstandard",
    }  # fmt: skip


def test_the_command_runs_from_the_wheel_alone(wheel: Path) -> None:
    """The wheel is imported as it is, before the checkout: what is not in it is not found."""
    code = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "import reconciler; assert '.whl' in reconciler.__file__\n"
        "from reconciler.cli.main import main; main()"
    )
    environ = {**os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", code, str(wheel), "--help"]
    done = subprocess.run(command, cwd=wheel.parent, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "plan" in done.stdout


def _shown(word: str) -> list[str]:
    """List the lines in README's code blocks that hold a word."""
    blocks = (ROOT / "README.md").read_text().split("```")[1::2]
    return [line for block in blocks for line in block.splitlines()[1:] if word in line]


def test_the_readme_shows_one_line_that_runs_all_tests_and_ci_runs_that_one() -> None:
    (line,) = _shown("pytest")
    assert "venv" in line
    assert ".[test]" in line
    text = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    code = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in code if "pytest" in line] == [
        """line="$(awk '/^```/ { code = !code; next } code && /pytest/ { print; exit }' README.md)\""""
    ]
