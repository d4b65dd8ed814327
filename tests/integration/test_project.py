"""A project's dependencies, not itself: from its pyproject.toml, at the versions of its uv.lock, by the real uv."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uv

from reconciler.builders.unsupported import refuse
from reconciler.errors import ManifestError, ResolveError
from reconciler.manifest.desired import Desired
from reconciler.ports import Resolution
from reconciler.resolvers.uv import UvResolver
from tests.reached import Files, desired
from tests.simple_index import SimpleIndex, chosen, manifest

HEAD = "[project]\nname = 'My.App'\nversion = '1'\nrequires-python = '>=3.9'\n"
PROJECT = (
    HEAD
    + """dependencies = ["alpha>=1"]
[project.optional-dependencies]
plot = ["beta"]
all = ["my-app[plot]", "gamma"]
[dependency-groups]
dev = ["delta", {include-group = "lint"}]
lint = ["gamma"]
"""
)
LOCK = "version = 1\nrevision = 3\n"


@pytest.fixture
def index(tmp_path: Path) -> SimpleIndex:
    found = SimpleIndex(tmp_path / "index")
    for name in ("alpha", "beta", "gamma", "delta"):
        for version in ("1", "2"):
            found.wheel(name, version, ["shared"] if name == "alpha" else [])
    found.wheel("shared", "1")
    return found


def wanted(text: str = PROJECT, lock: str = LOCK, *pip: str, **python: Any) -> Desired:  # noqa: ANN401  # whatever the test says
    """Declare an environment of a project in the folder ``app``."""
    files = Files({"app/pyproject.toml": text.encode(), "app/uv.lock": lock.encode()})
    one = manifest(*pip, project="../app", **python)
    return desired(replace(one, lines={**one.lines, "python.project": (5, 3), "python.version": (6, 3)}), files)


def solved(index: SimpleIndex, asked: Desired, **rest: object) -> dict[str, str]:
    resolution = Resolution(desired=asked, **rest)  # type: ignore[arg-type]  # whatever the test says
    assert refuse(asked) is None
    return chosen(UvResolver(environ=index.environ()).resolve(resolution))


def pinned(**versions: str) -> str:
    """Write a uv.lock of these versions."""
    return LOCK + "".join(
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://h.invalid/" }}\n'
        for name, version in versions.items()
    )


def locked_by_uv(index: SimpleIndex, folder: Path) -> str:
    """Let uv itself lock the project."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    subprocess.run(
        [uv.find_uv_bin(), "lock", "--default-index", index.address, "--no-python-downloads"],
        check=True,
        cwd=folder,
        env=index.environ(),
        capture_output=True,
    )
    return (folder / "uv.lock").read_text()


def test_the_dependencies_are_locked_and_the_project_is_not(index: SimpleIndex) -> None:
    assert solved(index, wanted()) == {"alpha": "2", "shared": "1"}


def test_what_uv_locked_stays(index: SimpleIndex, tmp_path: Path) -> None:
    lock = locked_by_uv(index, tmp_path / "app")
    before = solved(index, wanted(lock=lock, groups=("dev",), extras=("all",)))
    for name in ("alpha", "beta", "gamma", "delta", "shared"):
        index.wheel(name, "3")
    assert solved(index, wanted(lock=lock, groups=("dev",), extras=("all",))) == before
    assert set(before.values()) == {"1", "2"}


@pytest.mark.parametrize("upgrade", [frozenset[str](), None, frozenset(["alpha"])])
def test_the_projects_lock_counts_above_everything_else(index: SimpleIndex, upgrade: frozenset[str] | None) -> None:
    before = UvResolver(environ=index.environ()).resolve(Resolution(desired=wanted())).lock
    asked = wanted(lock=pinned(alpha="1"))
    assert solved(index, asked, preference=before, upgrade=upgrade) == {"alpha": "1", "shared": "1"}


def test_one_of_several_locked_versions_is_taken(index: SimpleIndex) -> None:
    index.wheel("alpha", "3")
    lock = pinned(alpha="1") + pinned(alpha="2").removeprefix(LOCK)
    assert solved(index, wanted(lock=lock))["alpha"] in {"1", "2"}


@pytest.mark.parametrize(
    ("python", "names"),
    [
        ({"extras": ("plot",)}, {"beta"}),
        ({"extras": ("ALL",)}, {"beta", "gamma"}),
        ({"groups": ("dev",)}, {"delta", "gamma"}),
        ({"groups": ("lint",)}, {"gamma"}),
        ({"extras": ("plot",), "groups": ("lint",)}, {"beta", "gamma"}),
    ],
)
def test_extras_and_groups_bring_what_they_name(index: SimpleIndex, python: dict[str, Any], names: set[str]) -> None:
    assert set(solved(index, wanted(**python))) == {"alpha", "shared", *names}


def test_other_requirements_stand_beside_the_project(index: SimpleIndex) -> None:
    found = solved(index, wanted(PROJECT, LOCK, "beta<2", constraints=("alpha<2",)))
    assert found == {"alpha": "1", "beta": "1", "shared": "1"}


def test_uvs_constraints_and_overrides_are_kept(index: SimpleIndex) -> None:
    settings = '[tool.uv]\nconstraint-dependencies = ["shared<2"]\noverride-dependencies = ["alpha==1"]\n'
    index.wheel("shared", "2")
    assert solved(index, wanted(PROJECT.replace("alpha>=1", "alpha>=2") + settings)) == {"alpha": "1", "shared": "1"}


def test_an_edit_of_the_projects_lock_is_a_change(index: SimpleIndex) -> None:
    del index
    assert wanted(lock=pinned(alpha="1")).inputs != wanted(lock=pinned(alpha="2")).inputs
    assert wanted(PROJECT + "# a comment\n").inputs == wanted().inputs


@pytest.mark.parametrize(
    ("text", "python", "field", "said"),
    [
        (PROJECT, {"extras": ("plot", "none")}, "python.extras[1]", "has no extra none; it has all, plot"),
        (PROJECT, {"groups": ("none",)}, "python.groups[0]", "has no dependency group none; it has dev, lint"),
        (PROJECT.replace(">=3.9", ">=3.12"), {}, "python.version", "needs Python >=3.12"),
        (PROJECT.replace(">=3.9", ">=3.11.4"), {}, "python.version", "is not all of that"),
        (PROJECT + "[tool.uv.sources]\nalpha = {workspace = true}\n", {}, "python.project", "tool.uv.sources"),
        (PROJECT + "[tool.uv]\nprerelease = 'allow'\n", {}, "python.project", "tool.uv.prerelease"),
        (PROJECT + "[[tool.uv.index]]\nurl = 'https://host.invalid'\n", {}, "python.project", "python.indexes"),
        (
            HEAD + f"dependencies = ['x @ git+https://host.invalid/x@{'a' * 40}']\n",
            {},
            "python.project",
            "git repository",
        ),
        (
            HEAD + "dependencies = ['x @ https://host.invalid/x-1-py3-none-any.whl']\n",
            {},
            "python.project",
            "its sha256",
        ),
        (HEAD + "dependencies = ['x @ file:///x-1-py3-none-any.whl']\n", {}, "python.project", "this repository"),
        (HEAD + "dependencies = ['my-app[a] ; os_name == \"nt\"']\n", {}, "python.project", "under a condition"),
        (HEAD + "dependencies = ['my-app[a]']\n", {}, "python.project", "no extra a"),
        (HEAD + "[dependency-groups]\na = [{include-group = 'a'}]\n", {"groups": ("a",)}, "python.groups[0]", "itself"),
        (HEAD + "[dependency-groups]\na = [{other = 'a'}]\n", {"groups": ("a",)}, "python.groups[0]", "neither"),
        (HEAD + "[dependency-groups]\na = ['no such thing!']\n", {"groups": ("a",)}, "python.project", "requirement"),
    ],
)
def test_what_would_be_left_out_is_refused_in_the_plan(
    text: str, python: dict[str, Any], field: str, said: str
) -> None:
    asked = wanted(text, **python)
    refusal = refuse(asked)
    assert refusal is not None
    assert said in refusal.message
    assert refusal.field == field
    assert "\n" not in refusal.message
    with pytest.raises(ResolveError, match=r"project|extra|group"):
        UvResolver(environ={}).resolve(Resolution(desired=asked))


@pytest.mark.parametrize("name", ["dependencies", "optional-dependencies"])
def test_what_only_running_the_project_would_tell_is_refused(name: str) -> None:
    with pytest.raises(ManifestError, match=f"project.{name} is dynamic"):
        wanted(f"{HEAD}dynamic = ['{name}']\n")


@pytest.mark.parametrize("lock", ["package = 1", "package = [1]", "package = [{version = '1'}]"])
def test_a_lock_that_is_none_is_refused(lock: str) -> None:
    with pytest.raises(ManifestError, match=r"uv\.lock"):
        wanted(lock=lock)
