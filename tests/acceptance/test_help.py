"""Help: every command has an example that parses, explains every option, and fits a screen."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from reconciler.cli.main import cli
from tests.repository import PROGRAM

ROOT = Path(__file__).parents[2]
COMMANDS = tuple(cli.list_commands(click.Context(cli)))
WIDTH = 100
SHARED = {
    "--output": ("-o", "--output"),
    "--directory": ("-C", "--directory"),
    "--verbose": ("-v", "--verbose"),
    "--registry": ("--registry",),
    "--tag": ("--tag",),
    "--at": ("--at",),
}
"""Options that mean the same wherever they are, and how they are spelled there."""
APART = frozenset({("export", "--output")})
"""A command's own option of a shared name: what is exported goes to a file, and nothing is printed in two forms."""


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), *arguments], capture_output=True, text=True, check=False, cwd="/")


def examples(name: str) -> list[str]:
    lines = (command(name).epilog or "").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("reconciler ")]


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_its_width_and_ends_well(name: str, option: str) -> None:
    done = run(*([name] if name else []), option)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= WIDTH
    assert "Example:" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained_and_every_argument_named(name: str) -> None:
    found = command(name)
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.help
        else:
            assert parameter.make_metavar(click.Context(found))


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_of_many_commands_is_spelled_alike_and_says_the_same(name: str) -> None:
    for parameter in command(name).params:
        if not isinstance(parameter, click.Option):
            continue
        long = next(option for option in parameter.opts if option.startswith("--"))
        if long in SHARED and (name, long) not in APART:
            assert tuple(parameter.opts) == SHARED[long]
            others = [
                other.help
                for one in COMMANDS
                for other in command(one).params
                if isinstance(other, click.Option) and long in other.opts and (one, long) not in APART
            ]
            assert len(set(others)) == 1, long


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_parses(name: str) -> None:
    found = examples(name)
    assert found
    for example in found:
        words = shlex.split(example)
        assert words[1] == name
        command(name).make_context(name, words[2:])


def test_every_command_of_the_list_can_be_called_and_has_one_summary() -> None:
    listed = run("--help").stdout
    for name in COMMANDS:
        assert re.search(rf"^  {name} +[A-Z].*\.$", listed, re.MULTILINE), name


def test_without_arguments_the_help_is_shown_and_the_command_line_is_wrong() -> None:
    done = run()
    assert done.returncode == 64
    assert done.stdout == ""
    assert done.stderr == run("--help").stdout


def test_the_version_is_that_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run("--version").stdout == f"reconciler {version}\n"


def test_help_of_the_whole_loads_no_command() -> None:
    code = (
        "import sys; from reconciler.cli.main import cli; cli.main(['--help'], standalone_mode=False); "
        "print([name for name in sys.modules if name.startswith('reconciler.cli.')])"
    )
    done = subprocess.run([str(PROGRAM.parent / "python"), "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    assert "reconciler.cli.main" in loaded
    assert "wiring" not in loaded
    assert importlib.import_module("reconciler.cli.wiring")


def test_the_readme_knows_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in COMMANDS:
        assert f"reconciler {name}" in readme or f"`{name}`" in readme, name
