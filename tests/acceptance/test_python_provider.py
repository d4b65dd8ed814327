"""A standalone Python over an image, from the command line: locked, laid, found again, and moved only when asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reconciler.assembly.key import LAYER_PART
from reconciler.lock.document import parse_lock
from reconciler.lock.model import Interpreter
from reconciler.values.platform import Platform
from tests.base_case import write_base
from tests.repository import Repository
from tests.standalone import Archive, Mirror, pack, small

BASE, AMD64 = "bases/small", Platform("linux", "amd64")
MANIFEST = """\
name: {name}
python: {{version: "{version}", provider: {provider}, pip: [alpha], bytecode: false}}
docker: {{{docker}}}
"""


class Machine(Repository):
    """A clone beside a mirror that uv is set up with, and a base image with a Python of its own, 3.11.2."""

    @property
    def mirror(self) -> Mirror:
        return Mirror(folder=self.root.parent / "mirror")

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.mirror.variables}

    def image(self, name: str, version: str = "3.12", provider: str = "standalone", docker: str = "") -> None:
        path = self.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        base = docker or f'base_image: "oci:{BASE}"'
        path.write_text(MANIFEST.format(name=name, version=version, provider=provider, docker=base))

    def interpreter(self, name: str) -> Interpreter:
        path = f"environments/{name}.lock.json"
        return parse_lock((self.root / path).read_bytes(), path).platforms[AMD64].interpreter

    def layers(self, name: str) -> list[dict[str, Any]]:
        """Give the layers of the newest artifact that is registered."""
        folder = self.root / ".reconciler/registry" / name
        index = json.loads((folder / "index.json").read_text())

        def read(digest: str) -> dict[str, Any]:
            return dict(json.loads((folder / "blobs" / digest.replace(":", "/")).read_bytes()))

        names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in index["manifests"]}
        return list(read(names[f"v{max(self.numbers(names))}-linux-amd64"]["digest"])["layers"])

    @staticmethod
    def numbers(names: dict[str, Any]) -> list[int]:
        return [int(name[1:]) for name in names if name[0] == "v" and name[1:].isdecimal()]

    def put(self, version: str) -> Archive:
        return self.mirror.put(Archive(version=version, architecture="amd64", data=pack(small(version))))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path / "clone")
    (found.root / ".gitignore").write_text(".reconciler/\nbases/\n")
    found.mirror.folder.mkdir()
    write_base(found.root / BASE)
    found.release("pip", "26.0")
    found.release("alpha", "1")
    found.put("3.12.1")
    return found


def test_a_standalone_python_is_one_layer_between_an_image_and_its_packages(machine: Machine) -> None:
    machine.image("one")
    machine.commit()
    machine("apply")
    base, python, *others = machine.layers("one")
    assert (base.get("annotations"), python["annotations"][LAYER_PART]) == (None, "python")
    assert all(LAYER_PART not in layer["annotations"] for layer in others)
    machine("lock")
    found = machine.interpreter("one")
    assert (found.provider, found.version, found.abi) == ("standalone", "3.12.1", "cp312")
    assert found.build is not None
    assert found.build.source == "python:20240107"
    assert "Nothing to do" in machine("apply").out


def test_environments_share_the_layer_of_their_python(machine: Machine) -> None:
    machine.image("one")
    machine.image("two", "3.12.1")
    machine.commit()
    machine("apply")
    assert machine.layers("one")[1] == machine.layers("two")[1]


def test_a_newer_build_is_taken_when_it_or_the_base_may_move_and_not_before(machine: Machine) -> None:
    machine.image("one")
    machine("lock")
    machine.put("3.12.4")
    machine("lock")
    assert machine.interpreter("one").version == "3.12.1"
    machine("lock", "--upgrade-package", "alpha", "one")
    assert machine.interpreter("one").version == "3.12.1"
    assert "1 changed" in machine("lock", "--upgrade-package", "cpython", "one").out
    assert machine.interpreter("one").version == "3.12.4"
    machine.put("3.12.5")
    assert "1 changed" in machine("lock", "--upgrade-base", "one").out
    assert machine.interpreter("one").version == "3.12.5"


def test_what_a_record_has_is_built_again_without_the_mirror(machine: Machine) -> None:
    machine.image("one")
    machine("lock")
    machine.commit()
    machine("apply")
    for folder in (machine.mirror.folder, machine.root / ".reconciler/pythons", machine.root / ".reconciler/layers"):
        shutil.rmtree(folder)
    machine.image("two")
    shutil.copy(machine.root / "environments/one.lock.json", machine.root / "environments/two.lock.json")
    machine.commit()
    machine("apply")
    assert machine.layers("one")[1] == machine.layers("two")[1]


def test_an_environment_over_another_has_its_python_once(machine: Machine) -> None:
    machine.image("lower")
    machine.image("upper", provider="auto", docker="base_environment: lower")
    machine.commit()
    machine("apply")
    parts = [layer.get("annotations", {}).get(LAYER_PART) for layer in machine.layers("upper")]
    assert parts.count("python") == 1


def test_an_image_without_that_python_is_refused_with_both_remedies_in_one_line(machine: Machine) -> None:
    machine.image("one", provider="auto")
    said = machine("lock", expect=1).err
    assert "the base image oci:bases/small has no Python 3.12: /usr/bin/python3.11 is 3.11.2" in said
    assert "change python.version or the base image, or write python.provider: standalone" in said
    assert len(said.splitlines()) == 1
