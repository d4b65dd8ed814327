"""``compute: gpu`` and ``cuda``: another base and other wheels, which the lock says, and variables for the runtime."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.base_case import write_base
from tests.simple_index import SimpleIndex
from tests.stack_case import Stacked

CATALOG = """
bases:
  cpu: {standard: "oci:bases/cpu"}
  gpu:
    standard: "oci:bases/gpu"
    cuda:
      "12.4": {index: cu124, packages: [torch, torchvision]}
      "12.6": {index: cu126, standard: "oci:bases/cuda"}
"""
NAMED = {
    "cpu": "compute: cpu",
    "gpu": "compute: gpu",
    "older": "compute: gpu\ncuda: 12.4",
    "newer": "compute: gpu\ncuda: 12.6",
}


class World(Stacked):
    """A clone on a machine with an index."""

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: text for name, text in super().environ.items() if not name.startswith("PIP_")}
        return {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": (self.root.parent / "index" / "simple").as_uri(),
        }


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Declare one stack for a CPU, for any GPU, and for two versions of CUDA."""
    repository = World(tmp_path / "clone")
    for name in ("cpu", "gpu", "cuda"):
        write_base(repository.root / "bases" / name, environment={"BASE": name})
    (repository.root / ".gitignore").write_text(".reconciler/\nbase/\nbases/\n.store/\n")
    index = SimpleIndex(tmp_path / "index")
    index.wheel("pip", "24.0")
    index.wheel("numpy", "2.0")
    index.wheel("torch", "2.5", ["numpy"])
    for alias in ("cu124", "cu126"):
        own = SimpleIndex(tmp_path / alias)
        own.wheel("torch", f"2.5+{alias}", ["numpy"])
        own.wheel("numpy", "1.0")
        monkeypatch.setenv(f"RECONCILER_INDEX_{alias.upper()}", own.address)
    (repository.root / "reconciler.yaml").write_text(CATALOG)
    for name, compute in NAMED.items():
        path = repository.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"name: {name}\n{compute}\npython: {{bytecode: false, pip: [torch]}}\n")
    repository.commit()
    return repository


def locked(repository: World, name: str) -> dict[str, Any]:
    lock = json.loads((repository.root / "environments" / f"{name}.lock.json").read_text())
    part = lock["platforms"]["linux/amd64"]
    packages = {one["name"]: (one["version"], one["source"]) for one in part["packages"] if one["name"] != "pip"}
    return {"base": part["base"]["image"], "digest": part["base"]["digest"], **packages}


def test_the_lock_says_what_a_gpu_and_a_version_of_cuda_change(repository: World) -> None:
    said = repository("lock")
    cpu, gpu, older, newer = (locked(repository, name) for name in NAMED)
    assert [one["base"] for one in (cpu, gpu, older, newer)] == [
        f"oci:bases/{name}" for name in ("cpu", "gpu", "gpu", "cuda")
    ]
    assert cpu["digest"] != gpu["digest"] == older["digest"] != newer["digest"]
    assert cpu["torch"] == gpu["torch"] == ("2.5", "index:default")
    assert older["torch"] == ("2.5+cu124", "index:cu124")
    # Of the packages that are named alone, or of everything where none is.
    assert older["numpy"] == ("2.0", "index:default")
    assert (newer["torch"], newer["numpy"]) == (("2.5+cu126", "index:cu126"), ("1.0", "index:cu126"))
    assert "torchvision" not in said.out + said.err


def test_images_tell_the_runtime_of_gpus_what_they_need(repository: World) -> None:
    repository("apply")
    environments = {name: repository.config(name).environment for name in NAMED}
    nvidia = {name: {key: text for key, text in one.items() if "NVIDIA" in key} for name, one in environments.items()}
    runtime = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    assert nvidia == {
        "cpu": {},
        "gpu": runtime,
        "older": {**runtime, "NVIDIA_REQUIRE_CUDA": "cuda>=12.4"},
        "newer": {**runtime, "NVIDIA_REQUIRE_CUDA": "cuda>=12.6"},
    }
    assert environments["newer"]["BASE"] == "cuda"


def test_a_source_that_moves_in_the_catalog_moves_what_has_that_version_alone(repository: World) -> None:
    repository("apply")
    (repository.root / "reconciler.yaml").write_text(CATALOG.replace("index: cu124", "index: cu126"))
    assert repository.actions() == {"cpu": "unchanged", "gpu": "unchanged", "newer": "unchanged", "older": "rebuild"}
