"""A team's repository with its origin, clones of it, and a registry over HTTP that they register in.

Environments are interpreters that somebody else manages: nothing is solved or installed, so that a command is quick.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Repository as Stored
from tests.registry_store import Settings, Store
from tests.repository import Repository
from tests.stocked import copied

Json = dict[str, Any]
PREFIX = "team"
MANIFEST = """\
name: {name}
python: {{user_managed_dependencies: true, interpreter_path: {python}}}
docker: {{enabled: false}}
environment_variables: {{MODE: '{mode}'}}
{extra}"""


class Clone(Repository):
    """A clone; ``registry`` is what it registers in, ``variables`` are set for its commands beside a user's own."""

    def __init__(self, root: Path, python: Path, registry: str) -> None:
        super().__init__(root)
        self.python = python
        self.variables = {"RECONCILER_REGISTRY": registry}

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "HOME": str(self.root.parent), **self.variables}

    def manage(self, name: str, mode: str = "1", extra: str = "") -> Path:
        """Write a manifest; another mode is another environment."""
        path = self.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(MANIFEST.format(name=name, python=self.python, mode=mode, extra=extra))
        return path

    def push(self, message: str = "change", *arguments: str) -> str:
        """Commit all, and push it."""
        commit = self.commit(message)
        self.git("push", "-q", *arguments, "origin", "HEAD")
        return commit

    def json(self, *arguments: str, expect: int | None = 0) -> Json:
        answer: Json = json_of(self(*arguments, "-o", "json", expect=expect).out)
        return answer

    def outcomes(self, *arguments: str, expect: int | None = 0) -> dict[str, Json]:
        """Apply, and give what became of each environment."""
        return {one["name"]: one for one in self.json("apply", *arguments, expect=expect)["environments"]}

    def built(self, *arguments: str, expect: int | None = 0) -> dict[str, int]:
        """Apply, and say how many artifacts were made of each environment of which any was."""
        found = self.outcomes(*arguments, expect=expect).items()
        return {name: one["built"] for name, one in found if one["built"]}


def json_of(text: str) -> Any:  # noqa: ANN401  # whatever a document holds
    """Read what a command printed."""
    import json  # noqa: PLC0415  # the method above has its name

    return json.loads(text)


@dataclass
class World:
    """An origin, the clones that were made of it, and the server."""

    folder: Path
    python: Path
    server: RegistryServer
    clones: list[Clone] = field(default_factory=list)

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def registry(self) -> str:
        return f"{self.server.address}/{PREFIX}"

    def clone(self, *arguments: str) -> Clone:
        """Clone the origin, as ``git clone`` with these arguments does it."""
        root = self.folder / f"machine-{len(self.clones)}" / "clone"
        root.parent.mkdir()
        command = ["git", "clone", "-q", *arguments, self.origin.as_uri(), str(root)]
        subprocess.run(command, check=True, capture_output=True)
        self.clones.append(Clone(root, self.python, self.registry))
        return self.clones[-1]

    def stored(self, name: str) -> Stored:
        """Give what the registry holds of an environment."""
        return self.server.store.repositories[f"{PREFIX}/{name}"]

    def versions(self, name: str) -> list[str]:
        return sorted(tag for tag in self.stored(name).tags if tag[0] == "v" and tag[1:].isdigit())

    @property
    def currents(self) -> dict[str, str]:
        """Say what each environment's ``current`` names."""
        found = self.server.store.repositories.items()
        return {name.removeprefix(f"{PREFIX}/"): held.tags["current"] for name, held in found if "current" in held.tags}


@dataclass(frozen=True, kw_only=True)
class Applied:
    """An origin, the interpreter that its manifests name, and a registry to which its first commit was applied."""

    origin: Path
    python: Path
    store: Store

    @contextlib.contextmanager
    def world(self, folder: Path, settings: Settings | None = None, *, empty: bool = False) -> Iterator[World]:
        """Serve a registry that holds what this one does, with a copy of the origin in ``folder``."""
        shutil.copytree(self.origin, folder / "origin.git")
        with serving_registry(settings, store=Store() if empty else copied(self.store)) as server:
            yield World(folder, self.python, server)


def apply_first(folder: Path) -> Applied:
    """Make an origin, and apply its first commit."""
    python = begin(folder)
    with serving_registry() as server:
        World(folder, python, server).clone()("apply")
        return Applied(origin=folder / "origin.git", python=python, store=server.store)


def begin(folder: Path) -> Path:
    """Make an origin with ``first`` and ``second``, whose manager is ``team``; give the interpreter they have."""
    python = folder / "interpreter" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(python.parents[1])], check=True)
    origin = folder / "origin.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(origin)], check=True)
    clone = Clone(folder / "seed" / "clone", python, "")
    (clone.root / "reconciler.yaml").write_text("manager: team\n")
    clone.manage("first")
    clone.manage("second")
    clone.git("remote", "add", "origin", origin.as_uri())
    clone.push("begin")
    return python
