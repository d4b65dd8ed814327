"""Manifests with what they reach, every way to write the same one, and every way to mean another.

A world is a context (fields that go together) and, for each field that may vary, values of which any two mean
different things. A path in the value tells whether the field is the manifest's or, after ``@``, a reached file's.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reconciler.manifest.config import Config, SystemRepository
from reconciler.manifest.model import Manifest
from reconciler.manifest.parse import parse_manifest
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from tests.reached import Files, desired

ABSENT: Json = "\0absent"
SHA = "a" * 64
COMMIT = "b" * 40
Fields = dict[str, Json]
REPOSITORY = SystemRepository(url="https://archive.invalid", suite="x", key="key.asc")
CONFIG = Config(
    system_repositories={"tools": REPOSITORY, "more": REPOSITORY},
    defaults={"none": {}},
)


@dataclass(frozen=True)
class Context:
    """Fields that are always there, reached files by path, and the alternatives of each field or file."""

    fixed: Mapping[str, Json]
    files: Mapping[str, str]
    varied: Mapping[str, tuple[Json, ...]]


PIP: tuple[Json, ...] = (["numpy"], ["numpy>=2"], ["numpy", "pandas"], ["numpy[x]"], ["numpy; os_name == 'nt'"], ABSENT)
ALIASES: tuple[Json, ...] = (ABSENT, ["one"], ["two"], ["one", "two"], ["two", "one"])
TEXTS: tuple[Json, ...] = (ABSENT, "one", "two")
LISTS: tuple[Json, ...] = (ABSENT, ["a"], ["a", "b"], ["b", "a"])
MAPS: tuple[Json, ...] = (ABSENT, {"A": "1"}, {"A": "2"}, {"B": "1"}, {"A": "1", "B": "1"}, {"A": ""})
ANY: dict[str, tuple[Json, ...]] = {
    "python.version": (ABSENT, "3.10", "3.12", "3.11.7"),
    "python.bytecode": (ABSENT, False),
    "environment_variables": (*MAPS, {"A": "${HOME}"}),
}
IMAGE: dict[str, tuple[Json, ...]] = {
    **ANY,
    "docker.user": TEXTS,
    "docker.workdir": (ABSENT, "/one", "/two"),
    "docker.entrypoint": LISTS,
    "docker.command": LISTS,
    "docker.labels": (ABSENT, {"a": "1"}, {"a": "2"}, {"b": "1"}),
    "system_packages": (ABSENT, ["libgomp1"], ["libgomp1", "git"], ["git=1:2.39"]),
    "system_repositories": (ABSENT, ["tools"], ["more"], ["more", "tools"], ["tools", "more"]),
    "files": (ABSENT, {"/a": "a.ini"}, {"/b": "a.ini"}, {"/a": "b.ini"}, {"/a/": "a.ini"}, {"/a": "../lib"}),
    "python.base_packages": (ABSENT, "replace", "ignore"),
}
REACHED = {
    "environments/a.ini": "a",
    "environments/b.ini": "b",
    "lib/setup.cfg": "x",
    "lib/pkg/__init__.py": "pass",
    "lib2/pkg/__init__.py": "pass",
}
PROJECT = """[project]
name = "x"
version = "1"
dependencies = ["numpy>=2", "pandas"]
[project.optional-dependencies]
gpu = ["torch"]
[dependency-groups]
dev = ["pytest"]
"""
CONTEXTS = {
    "pip": Context(
        fixed={},
        files=REACHED,
        varied={
            **IMAGE,
            "compute": (ABSENT, "gpu"),
            "builder": (ABSENT, "assemble", "docker"),
            "docker.base": (ABSENT, "slim"),
            "python.provider": (ABSENT, "debian", "standalone", "conda", "image"),
            "python.pip": PIP,
            "python.constraints": (ABSENT, ["a<2"], ["a<3"], ["a<2", "b<1"]),
            "python.overrides": (ABSENT, ["a==2"], ["a==3"]),
            "python.indexes": ALIASES,
            "python.sources": (ABSENT, {"numpy": "one"}, {"numpy": "two"}, {"pandas": "one"}),
            "python.build_from_source": (ABSENT, ["fusepy"], ["x"], ["x", "fusepy"]),
            "python.exclude_newer": (ABSENT, "2025-06-30", "2025-07-01"),
            "python.local": (ABSENT, ["../lib"], ["../lib2"], ["../lib", "../lib2"]),
        },
    ),
    "files": Context(
        fixed={"python": {"pip_file": "../req/main.txt", "constraints": "../req/limits.txt", "overrides": "o.txt"}},
        files={**REACHED, "req/w/x-1-py3-none-any.whl": "wheel"},
        varied={
            **ANY,
            "@req/main.txt": (
                "",
                "numpy\n",
                "numpy>=2\n",
                "numpy\npandas\n",
                "numpy[x]\n",
                "numpy; os_name == 'nt'\n",
                f"numpy --hash=sha256:{SHA}\n",
                f"numpy --hash=sha256:{'b' * 64}\n",
                f"numpy @ git+https://host/numpy@{COMMIT}\n",
                f"numpy @ git+https://host/numpy@{'c' * 40}\n",
                f"https://host/numpy-1-py3-none-any.whl#sha256={SHA}\n",
                "./w/x-1-py3-none-any.whl\n",
                "-c more-limits.txt\nnumpy\n",
            ),
            "@req/more-limits.txt": ("z<1\n",),
            "@req/limits.txt": ("", "a<2\n", "a<3\n", "a<2\nb<1\n"),
            "@environments/o.txt": ("", "a==2\n", "a==3\n"),
        },
    ),
    "conda": Context(
        fixed={},
        files=REACHED,
        varied={
            **IMAGE,
            "python.conda": (
                {"channels": ["one", "two"], "dependencies": ["numpy"]},
                {"channels": ["two", "one"], "dependencies": ["numpy"]},
                {"channels": ["one"], "dependencies": ["numpy"]},
                {"channels": ["one"], "dependencies": ["numpy=1.26"]},
                {"channels": ["one"], "dependencies": ["numpy 1.26"]},
                {"channels": ["one"], "dependencies": ["two::numpy"]},
                {"channels": ["one"], "dependencies": ["numpy", "git"]},
                {"channels": ["one"], "dependencies": ["numpy", {"pip": ["x"]}]},
                {"channels": ["one"], "dependencies": ["numpy", {"pip": ["x==1"]}]},
            ),
        },
    ),
    "project": Context(
        fixed={"python": {"project": "../proj"}},
        files={**REACHED, "proj/uv.lock": "version = 1\n"},
        varied={
            **ANY,
            "python.extras": (ABSENT, ["gpu"], ["x"], ["x", "gpu"]),
            "python.groups": (ABSENT, ["dev"], ["x"]),
            "@proj/pyproject.toml": (
                PROJECT,
                PROJECT.replace("numpy>=2", "numpy>=1"),
                PROJECT.replace(', "pandas"', ""),
                PROJECT.replace("torch", "jax"),
                PROJECT.replace("gpu", "cuda"),
                PROJECT.replace("pytest", "tox"),
                PROJECT + '[tool.uv.sources]\nnumpy = { index = "one" }\n',
                PROJECT.replace('version = "1"', 'version = "1"\nrequires-python = ">=3.11"'),
            ),
            "@proj/uv.lock": ("version = 1\n", "version = 2\n"),
        },
    ),
    "image": Context(
        fixed={},
        files=REACHED,
        varied={
            **IMAGE,
            "docker.base_image": ("debian:12", "debian:13", f"debian@sha256:{SHA}"),
            "docker.base_image_registry": (
                ABSENT,
                {"address": "one.invalid"},
                {"address": "two.invalid"},
                {"address": "one.invalid", "credential": "x"},
            ),
        },
    ),
    "chain": Context(fixed={}, files=REACHED, varied={**IMAGE, "docker.base_environment": ("one", "two")}),
    "dockerfile": Context(
        fixed={"docker": {"base_dockerfile": "Dockerfile", "build": {"context": "../ctx"}}},
        files=REACHED,
        varied={
            **ANY,
            "docker.build.target": TEXTS,
            "docker.build.args": MAPS[:4],
            "docker.build.secrets": (ABSENT, ["one"], ["two"], ["one", "two"]),
            "@environments/Dockerfile": ("FROM a\n", "FROM b\n", "FROM a\n# comment\n", "FROM a\r\n"),
            "@ctx/x": ("1", "2", "1\n"),
            "@ctx/y": (ABSENT, "1", "2"),
            "@ctx/sub/y": (ABSENT, "1"),
        },
    ),
    "host": Context(fixed={"docker": {"enabled": False}}, files={}, varied={**ANY, "python.pip": PIP}),
    "managed": Context(
        fixed={"docker": {"enabled": False}, "python": {"user_managed_dependencies": True}},
        files={},
        varied={**ANY, "python.interpreter_path": (ABSENT, "/usr/bin/python3", "/opt/python")},
    ),
}
NEUTRAL: dict[str, tuple[Json, ...]] = {
    "description": TEXTS,
    "owner": TEXTS,
    "tags": (ABSENT, {"a": "1"}, {"b": "1"}),
    "protected": (ABSENT, True),
    "renamed_from": (ABSENT, "old"),
    "extends": (ABSENT, "none"),
    "checks": (ABSENT, {"imports": ["x"]}, {"command": ["x"]}),
    "platforms": (ABSENT, ["linux/arm64"], ["linux/amd64", "linux/arm64"]),
}
NEUTRAL_IMAGE: dict[str, tuple[Json, ...]] = {
    "docker.shm_size": (ABSENT, "1g", "2g"),
    "docker.arguments": (ABSENT, ["--gpus=all"]),
}
Choices = Mapping[str, int]


def choose(context: Context, draw: random.Random) -> dict[str, int]:
    """Choose one alternative of every field."""
    return {field: draw.randrange(len(values)) for field, values in context.varied.items()}


def request(context: Context, choices: Choices, form: random.Random) -> Digest:
    """Write a world down in some form, read it and give its request."""
    value, files = _value(context, choices, form)
    content = {path: _write_file(path, text, form) for path, text in files.items()}
    manifest = parse(_yaml(value, form))
    return desired(manifest, Files({path: text.encode() for path, text in content.items()})).request


def parse(text: str) -> Manifest:
    """Read a manifest of the environment ``x``."""
    return parse_manifest(text.encode(), "environments/x.yaml", _schema(), CONFIG)


@cache
def _schema() -> str:
    return (Path(__file__).parent.parent / "schemas" / "environment.schema.json").read_text(encoding="utf-8")


def _value(context: Context, choices: Choices, form: random.Random) -> tuple[Fields, dict[str, str]]:
    value: Fields = {"name": "x", **copy.deepcopy(dict(context.fixed))}
    files = dict(context.files)
    for field, number in choices.items():
        chosen = context.varied[field][number]
        if chosen == ABSENT:
            continue
        if field.startswith("@"):
            files[field[1:]] = str(chosen)
        else:
            _put(value, field, chosen)
    is_image = "docker.user" in context.varied
    for field, values in {**NEUTRAL, **(NEUTRAL_IMAGE if is_image else {})}.items():
        chosen = form.choice(values)
        if chosen != ABSENT:
            _put(value, field, chosen)
    return value, files


def _put(value: Fields, field: str, chosen: Json) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        inner = value.setdefault(parent, {})
        assert isinstance(inner, dict)
        value = inner
    value[last] = copy.deepcopy(chosen)


UNORDERED = frozenset(["pip", "system_packages", "build_from_source", "extras", "groups", "constraints", "secrets"])


def _yaml(value: Fields, form: random.Random, depth: int = 0) -> str:
    lines: list[str] = []
    keys = list(value)
    form.shuffle(keys)
    for key in keys:
        if form.random() < 0.1:
            lines.append(form.choice(["", "# a comment: {x", "   # another"]))
        lines.append(" " * depth + _item(key, value[key], form, depth))
    text = "\n".join(lines) + "\n"
    if depth == 0:
        text = ("\ufeff" if form.random() < 0.1 else "") + (text.replace("\n", "\r\n") if form.random() < 0.2 else text)
    return text


def _item(key: str, value: Json, form: random.Random, depth: int) -> str:
    name = form.choice([key, json.dumps(key)])
    comment = form.choice(["", "", "  # why"])
    if isinstance(value, list) and (key in UNORDERED or (key == "dependencies")):
        value = form.sample(value, len(value))
    if isinstance(value, dict) and value and form.random() < 0.7:
        inner = _yaml(value, form, depth + form.choice([1, 2, 4])).rstrip("\n")
        return f"{name}:{comment}\n{inner}"
    if isinstance(value, list) and value and form.random() < 0.5:
        dash = "\n".join(f"{' ' * depth}- {_scalar(item, form)}" for item in value)
        return f"{name}:{comment}\n{dash}"
    return f"{name}: {_scalar(value, form)}{comment}"


def _scalar(value: Json, form: random.Random) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = value.replace(".", "").replace("-", "").isalnum() and not value.isdigit() and form.random() < 0.5
    return value if plain else form.choice([json.dumps(value), "'" + value.replace("'", "''") + "'"])


def _write_file(path: str, text: str, form: random.Random) -> str:
    if path.startswith("req/") and path.endswith(".txt"):
        return _requirements(text, form)
    if path.endswith("o.txt"):
        return _requirements(text, form)
    if path.endswith((".toml", ".lock")):
        lines = [line + form.choice(["", "  # why"]) for line in text.splitlines()]
        return form.choice(["\n", "\r\n"]).join(["# a comment", *lines, ""])
    return text


def _requirements(text: str, form: random.Random) -> str:
    lines = text.splitlines()
    lines += [line for line in lines if form.random() < 0.2]
    form.shuffle(lines)
    written: list[str] = []
    for line in lines:
        if form.random() < 0.3:
            written.append(form.choice(["# a comment \\", "", "   "]))
        written.append(_respelled(line, form))
    return form.choice(["", "\ufeff"]) + form.choice(["\n", "\r\n"]).join([*written, form.choice(["", "# end"])])


def _respelled(line: str, form: random.Random) -> str:
    if line.startswith("numpy"):
        line = form.choice(["numpy", "Numpy", "NUMPY"]) + line[5:]
    if "@" not in line and "--" not in line:
        line = line.replace(">=", form.choice([">=", " >= ", ">= "]))
    line = form.choice(["", "  "]) + line
    if " " in line.strip() and not line.strip().startswith("-") and form.random() < 0.3:
        head, _, rest = line.strip().partition(" ")
        line = f"{head} \\\n  {rest}"
    return line + form.choice(["", "  # why", " "])
