"""Every field of the schema, written in a manifest of a host environment: honoured, or refused at its line."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import venv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import yaml

from reconciler.cli.planning import Quiet, Wishes, derive
from reconciler.cli.wiring import Workspace
from reconciler.errors import BuildError, ReconcilerError
from reconciler.lock.model import Package, PlatformLock
from reconciler.manifest.desired import Desired, build_key
from reconciler.oci.descriptor import Image
from reconciler.plan.change import Action, Step
from reconciler.plan.metadata import metadata_of
from reconciler.ports import Resolution, Task
from reconciler.resolvers.notes import notes_on
from reconciler.sources.schemas import read_schema
from reconciler.values.canonical import Json
from tests.host_case import HERE
from tests.servers import serving
from tests.simple_index import SimpleIndex
from tests.wheelhouse import write_wheel

PLAIN: dict[str, Json] = {"name": "probe", "docker": {"enabled": False}, "platforms": [str(HERE)]}
GIT = f"alpha @ git+https://host.invalid/alpha@{'a' * 40}"
CUDA = Package(name="nvidia-all", version="1", file="x", size=10**9, sha256="0" * 64)


def leaves(schema: Mapping[str, Json], prefix: str = "") -> Iterator[str]:
    """Give the path of every field that holds no fields of its own."""
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        assert isinstance(inner, dict)
        if "properties" in inner:
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


FIELDS = tuple(leaves(json.loads(read_schema("environment"))))


class Seen:
    """What comes of a manifest: the plan's step, the lock, the artifact."""

    def __init__(self, root: Path, manifest: Mapping[str, Json]) -> None:
        self.text = yaml.safe_dump(dict(manifest), sort_keys=False)
        path = root / "environments" / "probe.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text)
        self.workspace = Workspace(root=root)

    def line(self, field: str) -> int:
        """Say on which line a field stands, by its last names."""
        lines = self.text.splitlines()
        start = 0
        for name in field.split("."):
            start = next(i for i in range(start, len(lines)) if lines[i].strip(" -").startswith(f"{name}:"))
        return start + 1

    @cached_property
    def problems(self) -> list[tuple[str, int]]:
        return [(problem.message, problem.location.line) for problem in self.workspace.declared.errors]

    @cached_property
    def desired(self) -> Desired:
        return self.workspace.desired[0]

    @cached_property
    def step(self) -> Step:
        return derive(self.workspace, Wishes()).plan.steps[0]

    @cached_property
    def lock(self) -> PlatformLock:
        assert self.step.action is not Action.BLOCKED, self.step.note
        resolver = self.workspace.means(Quiet()).resolvers[self.desired.builder]
        return resolver.resolve(Resolution(desired=self.desired)).lock.platforms[HERE]

    @cached_property
    def chosen(self) -> dict[str, str]:
        return {package.name: package.version for package in self.lock.packages}

    @cached_property
    def image(self) -> Image:
        builder = self.workspace.means(Quiet()).builders[self.desired.builder]
        key = build_key(self.desired.request, HERE, self.lock.digest, (builder.name, builder.recipe))
        return builder.build(Task(desired=self.desired, platform=HERE, lock=self.lock, key=key))

    @property
    def failed_check(self) -> str:
        try:
            return f"{self.image and 'none'}"
        except BuildError as error:
            return f"{error.message} at {error.where}"


@dataclass(frozen=True)
class Honoured:
    """What a field's value shows itself in; the same must not hold of the manifest without the field."""

    value: Json
    shows: Callable[[Seen], bool]
    besides: Mapping[str, Json] | None = None


@dataclass(frozen=True)
class Refused:
    """A value that is refused, by ``validate`` already or in the plan, at ``at`` (the field itself)."""

    value: Json
    at: str | None = None
    besides: Mapping[str, Json] | None = None
    invalid: bool = False


def user(**python: Json) -> dict[str, Json]:
    return {"python": {"user_managed_dependencies": True, **python}}


def pip(*requirements: str, **python: Json) -> dict[str, Json]:
    return {"python": {"pip": [*requirements], **python}}


TABLE: dict[str, Honoured | Refused] = {
    "name": Honoured("other", lambda seen: seen.step.name == "other", {"renamed_from": "x"}),
    "description": Honoured("text", lambda seen: metadata_of(seen.desired.manifest).description == "text"),
    "tags": Honoured({"a": "b"}, lambda seen: metadata_of(seen.desired.manifest).tags == {"a": "b"}),
    "owner": Honoured("me", lambda seen: metadata_of(seen.desired.manifest).owner == "me"),
    "protected": Honoured(value=True, shows=lambda seen: metadata_of(seen.desired.manifest).protected),
    "renamed_from": Honoured("old", lambda seen: metadata_of(seen.desired.manifest).renamed_from == "old"),
    "extends": Honoured("team", lambda seen: metadata_of(seen.desired.manifest).owner == "the team"),
    "compute": Honoured("gpu", lambda seen: not [*notes_on(seen.desired, [CUDA])]),
    "cuda": Refused("12.4", besides={"compute": "gpu"}),
    "platforms": Honoured(["linux/amd64", "linux/arm64"], lambda seen: len(seen.step.platforms) == 2),
    "builder": Honoured("host", lambda seen: seen.desired.components["builder"] == {"builder": "host"}),
    "python.version": Honoured("3.12", lambda seen: seen.lock.interpreter.version == "3.12"),
    "python.provider": Refused("standalone"),
    "python.pip": Honoured(["alpha"], lambda seen: seen.chosen == {"alpha": "2"}),
    "python.pip_file": Honoured("requirements.txt", lambda seen: seen.chosen == {"alpha": "1"}),
    "python.project": Honoured("../app", lambda seen: seen.chosen == {"alpha": "1"}),
    "python.extras": Honoured(["x"], lambda seen: "inner" in seen.chosen, {"python": {"project": "../app"}}),
    "python.groups": Honoured(["x"], lambda seen: "inner" in seen.chosen, {"python": {"project": "../app"}}),
    "python.local": Refused(["../app"]),
    "python.conda.channels": Refused(["conda-forge"], at="python.conda"),
    "python.conda.dependencies": Refused(["numpy"], at="python.conda"),
    "python.conda_file": Refused("../app/conda.yml"),
    "python.constraints": Honoured(["alpha<2"], lambda seen: seen.chosen["alpha"] == "1", pip("alpha")),
    "python.overrides": Honoured(["alpha==1"], lambda seen: seen.chosen["alpha"] == "1", pip("alpha>=2")),
    "python.indexes": Honoured(["team"], lambda seen: seen.chosen["inner"] == "9", pip("inner")),
    "python.sources": Honoured({"inner": "team"}, lambda seen: seen.chosen["inner"] == "9", pip("inner")),
    "python.build_from_source": Honoured(["gamma"], lambda seen: seen.chosen["gamma"] == "1", pip("gamma")),
    "python.exclude_newer": Honoured("2021-01-01", lambda seen: seen.chosen["alpha"] == "1", pip("alpha")),
    "python.base_packages": Refused("replace"),
    "python.bytecode": Refused(value=True),
    "python.user_managed_dependencies": Honoured(value=True, shows=lambda seen: "pip" in seen.lock.observed),
    "python.interpreter_path": Honoured("own-python", lambda seen: not seen.lock.observed, user()),
    "docker.enabled": Honoured(value=True, shows=lambda seen: seen.desired.builder == "assemble"),
    "docker.base": Refused("slim", invalid=True),
    "docker.base_image": Refused("debian:12", invalid=True),
    "docker.base_image_registry.address": Refused("host", at="docker.base_image_registry", invalid=True),
    "docker.base_image_registry.credential": Refused(
        "name",
        at="docker.base_image_registry",
        invalid=True,
        besides={"docker": {"base_image_registry": {"address": "host"}}},
    ),
    "docker.base_environment": Refused("lower", invalid=True),
    "docker.base_dockerfile": Refused("FROM x", invalid=True),
    "docker.build.context": Refused(".", at="docker.build", invalid=True),
    "docker.build.target": Refused("x", at="docker.build", invalid=True),
    "docker.build.args": Refused({"a": "b"}, at="docker.build", invalid=True),
    "docker.build.secrets": Refused(["x"], at="docker.build", invalid=True),
    "docker.user": Refused("ml", invalid=True),
    "docker.workdir": Refused("/work", invalid=True),
    "docker.entrypoint": Refused(["x"], invalid=True),
    "docker.command": Refused(["x"], invalid=True),
    "docker.labels": Refused({"a": "b"}, invalid=True),
    "docker.shm_size": Refused("2g", invalid=True),
    "docker.arguments": Refused(["x"], invalid=True),
    "system_packages": Refused(["libgomp1"]),
    "system_repositories": Refused(["cuda"]),
    "files": Refused({"/etc/x": "../app/conda.yml"}),
    "environment_variables": Honoured({"A": "b"}, lambda seen: b'"Env":["A=b"]' in seen.image.blobs[0].data),
    "checks.imports": Honoured(["absent"], lambda seen: "checks.imports failed" in seen.failed_check),
    "checks.command": Honoured(["false"], lambda seen: "checks.command failed" in seen.failed_check),
}
HONOURED = {name: case for name, case in TABLE.items() if isinstance(case, Honoured)}
REFUSED = {name: case for name, case in TABLE.items() if isinstance(case, Refused)}
ALSO: dict[str, tuple[Mapping[str, Json], str]] = {
    "a requirement from git": (pip("beta", GIT), "python.pip"),
    "a git address without a name": (pip(GIT.partition(" @ ")[2]), "python.pip"),
    "a wheel of the repository": (pip("./beta-1-py3-none-any.whl"), "python.pip"),
    "a file with git in it": ({"python": {"pip_file": "git.txt"}}, "python.pip_file"),
    "a constraint from git": (pip("alpha", constraints=[GIT]), "python.constraints"),
    "an override from git": (pip("alpha", overrides=[GIT]), "python.overrides"),
    "an override file with git in it": (pip("alpha", overrides="git.txt"), "python.overrides"),
    "bytecode: false": ({"python": {"bytecode": False}}, "python.bytecode"),
    "bytecode of a user's interpreter": (user(bytecode=False), "python.bytecode"),
    "a provider of a user's interpreter": (user(provider="debian"), "python.provider"),
    "an extra that the project has not": ({"python": {"project": "../app", "extras": ["y"]}}, "python.extras"),
    "a group that the project has not": ({"python": {"project": "../app", "groups": ["y"]}}, "python.groups"),
    "a project of another Python": ({"python": {"version": "2.7", "project": "../app/new"}}, "python.version"),
    "a suite that nobody knows": ({"docker": {"enabled": True, "base_image": "debian:potato"}}, "docker.base_image"),
    "Debian packages over an image": (
        {"docker": {"enabled": True, "base_image": "h/a:1"}, "system_packages": ["libgomp1"]}, "system_packages",
    ),
    "a Dockerfile": ({"docker": {"enabled": True, "base_dockerfile": "FROM x"}}, "docker.base_dockerfile"),
    "the docker builder": ({"docker": {}, "builder": "docker"}, "builder"),
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a repository with what the manifests reach, on a machine with two indexes."""
    index, team = SimpleIndex(tmp_path / "index"), SimpleIndex(tmp_path / "team")
    index.wheel("alpha", "1", **{"upload-time": "2020-01-01T00:00:00Z"})
    index.wheel("alpha", "2", **{"upload-time": "2022-01-01T00:00:00Z"})
    index.wheel("inner", "1")
    team.wheel("inner", "9")
    index.buildable("gamma", "1")
    root = tmp_path / "repository"
    (root / "app").mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "app" / "pyproject.toml").write_text(
        "[project]\nname = 'app'\nversion = '1'\ndependencies = ['alpha']\n"
        "[project.optional-dependencies]\nx = ['inner']\n[dependency-groups]\nx = ['inner']\n"
    )
    (root / "app" / "uv.lock").write_text(
        "version = 1\n[[package]]\nname = 'alpha'\nversion = '1'\nsource = {registry = 'https://host.invalid'}\n"
    )
    (root / "environments" / "requirements.txt").write_text("alpha<2\n")
    (root / "environments" / "git.txt").write_text(f"{GIT}\n")
    (root / "app" / "new").mkdir()
    (root / "app" / "new" / "pyproject.toml").write_text("[project]\nname = 'new'\nrequires-python = '>=3'\n")
    (root / "app" / "new" / "uv.lock").write_text("")
    (root / "app" / "conda.yml").write_text("dependencies: [numpy]\n")
    write_wheel(root / "environments", "beta", "1")
    (root / "cuda.asc").write_text("a key\n")
    (root / "reconciler.yaml").write_text(
        "defaults: {team: {owner: the team}}\n"
        "system_repositories: {cuda: {url: 'https://host.invalid/debian', suite: stable, key: cuda.asc}}\n"
    )
    venv.create(tmp_path / "own")
    (tmp_path / "own" / "bin" / "own-python").symlink_to("python")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{tmp_path / 'own' / 'bin'}:{os.environ['PATH']}")
    with serving(index.reply) as server:
        addresses = {"PIP_INDEX_URL": f"{server.address}/simple", "RECONCILER_INDEX_TEAM": team.address}
        for name, value in index.environ(**addresses).items():
            if name != "PATH":
                monkeypatch.setenv(name, value)
        for name in ("PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "PIP_NO_INDEX"):
            monkeypatch.delenv(name, raising=False)
        yield root


def written(field: str, value: Json, besides: Mapping[str, Json] | None) -> dict[str, Json]:
    """Write a field, and what goes with it, into the plain manifest."""
    found = merged(PLAIN, besides or {})
    *above, last = field.split(".")
    inner = found
    for name in above:
        inner = inner.setdefault(name, {})  # type: ignore[assignment]  # mappings all the way
    inner[last] = value
    return found


def merged(first: Mapping[str, Json], second: Mapping[str, Json]) -> dict[str, Json]:
    """Lay one manifest over another."""
    found: dict[str, Json] = {**first, **second}
    for name in first.keys() & second.keys():
        own, other = first[name], second[name]
        if isinstance(own, dict) and isinstance(other, dict) and other:
            found[name] = merged(own, other)
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]  # a copy of what came in


def test_the_table_names_every_field_of_the_schema_once() -> None:
    assert sorted(TABLE) == sorted(FIELDS)


@pytest.mark.parametrize("field", HONOURED)
def test_a_field_that_is_taken_shows_itself(field: str, root: Path) -> None:
    case = HONOURED[field]
    seen = Seen(root, written(field, case.value, case.besides))
    assert seen.problems == [] or field == "name"
    if field == "name":
        (root / "environments" / "probe.yaml").rename(root / "environments" / "other.yaml")
        seen.workspace = Workspace(root=root)
    assert seen.step.action is not Action.BLOCKED, seen.step.note
    assert case.shows(seen)


@pytest.mark.parametrize("field", sorted(set(HONOURED) - {"name"}))
def test_without_the_field_it_does_not_show(field: str, root: Path) -> None:
    case = HONOURED[field]
    seen = Seen(root, merged(PLAIN, case.besides or {}) if field != "platforms" else PLAIN)
    with contextlib.suppress(ReconcilerError, KeyError):  # some can't even be made
        assert not case.shows(seen)


@pytest.mark.parametrize("field", REFUSED)
def test_a_field_that_can_not_be_met_is_refused_at_its_line(field: str, root: Path) -> None:
    case = REFUSED[field]
    seen = Seen(root, written(field, case.value, case.besides))
    at = case.at or field
    if case.invalid:
        assert {(at in message, line) for message, line in seen.problems} == {(True, seen.line(at))}
    else:
        check_blocked(seen, at)


@pytest.mark.parametrize("what", ALSO)
def test_what_only_some_values_of_a_field_ask_for_is_refused_at_its_line(what: str, root: Path) -> None:
    fragment, at = ALSO[what]
    check_blocked(Seen(root, merged(PLAIN, fragment)), at)


def check_blocked(seen: Seen, at: str) -> None:
    """The plan blocks it at the field's line, with one line."""
    assert seen.problems == []
    step = seen.step
    assert step.action is Action.BLOCKED
    assert at.partition(".")[0] in step.note or at == "name"
    assert at in step.note
    assert "\n" not in step.note
    first = seen.line(at)
    last = first + 3 if at.startswith("python.") else first + 1
    assert first <= step.location.line <= last
    assert (step.location.path, step.destructive) == ("environments/probe.yaml", False)


UNSOLVABLE = [what for what in ALSO if "git" in what or "wheel" in what]


@pytest.mark.parametrize("what", UNSOLVABLE)
def test_what_the_plan_refuses_no_solver_is_asked(what: str, root: Path) -> None:
    seen = Seen(root, merged(PLAIN, ALSO[what][0]))
    resolver = seen.workspace.means(Quiet()).resolvers["host"]
    with pytest.raises(ReconcilerError) as refused:
        resolver.resolve(Resolution(desired=seen.desired))
    assert (refused.value.message, refused.value.where) == (seen.step.note, seen.step.location)
