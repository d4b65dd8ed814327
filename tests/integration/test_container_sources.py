"""Packages that are built from source, in a real registry and a real engine."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.clients.interpreter import this_platform
from reconciler.lock.requirements import is_built
from tests.conftest import Required
from tests.container_case import Containers, Machine
from tests.debian import Debian
from tests.services import EngineService, RegistryService
from tests.simple_index import SimpleIndex
from tests.wheelhouse import write_extension

ANOTHER = {"linux/amd64": "linux/arm64", "linux/arm64": "linux/amd64"}[str(this_platform())]
BUILT = "  build_from_source: [speedy, fusepy]\n  sources: {speedy: team}\n"


class Compiling(Machine):
    """A machine with an index of its own, beside those that it has anyway."""

    team: str = ""

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "RECONCILER_INDEX_TEAM": self.team}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, required: Required) -> SimpleIndex:
    required.index()
    required.program("gcc")
    asked = "import sysconfig; print(sysconfig.get_path('include'))"
    folder = subprocess.run([required.python("3.11"), "-c", asked], check=True, capture_output=True, text=True)
    if not (Path(folder.stdout.strip()) / "Python.h").is_file():
        required.refuse("Python's headers are not installed")
    found = SimpleIndex(tmp_path_factory.mktemp("team") / "index")
    found.add("speedy", write_extension(found.root / "files"))
    return found


def machine_of(root: Path, debian: Debian, index: SimpleIndex) -> Compiling:
    machine = Compiling(root, debian)
    machine.team = index.address
    return machine


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A registry, the machine that put something there, and how to get another one with nothing in its caches."""

    prefix: str
    first: Compiling
    debian: Debian
    index: SimpleIndex

    def another(self, root: Path) -> Compiling:
        self.first.git("clone", "--quiet", str(self.first.root), str(root))
        return machine_of(root, self.debian, self.index)


@pytest.fixture(scope="module")
def registered(
    tmp_path_factory: pytest.TempPathFactory, debian: Debian, index: SimpleIndex, reference_registry: RegistryService
) -> Shared:
    prefix = reference_registry.prefix()
    machine = machine_of(tmp_path_factory.mktemp("one") / "clone", debian, index)
    (machine.root / "reconciler.yaml").write_text(f"registry: {prefix}\nmanager: tests\n")
    machine.containers("compiled", "speedy", "fusepy", platforms=[str(this_platform())], python=BUILT)
    machine.commit()
    machine("apply")
    return Shared(prefix=prefix, first=machine, debian=debian, index=index)


def test_what_was_compiled_here_runs_in_a_container(
    registered: Shared, docker_engine: EngineService, tmp_path: Path
) -> None:
    image = f"{registered.prefix}/compiled:v1"
    pulled = docker_engine.docker("pull", "--quiet", image, config=tmp_path)
    assert pulled.returncode == 0, pulled.stderr
    container = Containers(engine=docker_engine, image=image, config=tmp_path)
    assert container.python("import speedy; print(speedy.answer(), speedy.__file__.rpartition('/')[0])") == (
        "42 /opt/venv/lib/python3.11/site-packages"
    )
    listed = {one["name"]: one["version"] for one in json.loads(container.run("pip", "list", "--format=json"))}
    assert {"speedy": "1", "fusepy": "3.0.1"}.items() <= listed.items()
    assert container.run("pip", "check").strip() == "No broken requirements found."


def test_another_machine_takes_what_was_built_from_the_registry(registered: Shared, tmp_path: Path) -> None:
    machine, first = registered.another(tmp_path / "clone"), registered.first
    machine.containers("again", "speedy", "fusepy", "idna", platforms=[str(this_platform())], python=BUILT)
    machine.commit()
    machine("apply", "again")
    sources = {one.sha256 for one in first.lock_of("compiled").platforms[this_platform()].packages if is_built(one)}
    fetched = {path.stem for path in (machine.root / ".reconciler/wheels").glob("*.whl")}
    assert len(sources) == len(["speedy", "fusepy"])
    assert not sources & fetched
    assert len({path.stem for path in (first.root / ".reconciler/wheels").glob("*.whl")} & fetched) >= len(sources)


def test_compiled_code_is_refused_for_another_platform_by_name(registered: Shared, tmp_path: Path) -> None:
    machine = registered.another(tmp_path / "clone")
    machine.containers("foreign", "speedy", platforms=[ANOTHER], python=BUILT.replace(", fusepy", ""))
    machine.commit()
    answer = machine("apply", "foreign", expect=1)
    said = " ".join((answer.out + answer.err).split())
    assert f"speedy 1 has compiled code, and can't be built for {ANOTHER} here: this machine is" in said
    assert "`docker` builder" in said


def test_pure_packages_are_for_every_platform(registered: Shared, tmp_path: Path) -> None:
    machine = registered.another(tmp_path / "clone")
    python = "  build_from_source: [fusepy]\n"
    machine.containers("everywhere", "fusepy", platforms=["linux/amd64", "linux/arm64"], python=python)
    machine.commit()
    assert "2 built" in machine("apply", "everywhere").out
