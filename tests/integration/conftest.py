"""What tests of images share: one environment that was registered, and an engine that holds it."""

from __future__ import annotations

import pytest

from tests.conftest import Required
from tests.container_case import Containers, Machine, Registered, register
from tests.debian import Debian
from tests.services import EngineService, RegistryService


@pytest.fixture(scope="session")
def notebook(
    required: Required, debian: Debian, reference_registry: RegistryService, tmp_path_factory: pytest.TempPathFactory
) -> Registered:
    """An environment for two platforms, with a hundred packages, in the reference registry."""
    required.index()
    machine = Machine(tmp_path_factory.mktemp("notebook") / "clone", debian)
    packages = ("numpy", "pandas", "scikit-learn", "matplotlib", "jupyterlab")
    return register(machine, reference_registry, "notebook", *packages)


@pytest.fixture(scope="session")
def containers(
    notebook: Registered, docker_engine: EngineService, tmp_path_factory: pytest.TempPathFactory
) -> Containers:
    """The same in an engine, which pulled it by its record."""
    config = tmp_path_factory.mktemp("docker")
    pulled = docker_engine.docker("pull", "--quiet", f"{notebook.reference}:v1", config=config)
    assert pulled.returncode == 0, pulled.stderr
    return Containers(engine=docker_engine, image=f"{notebook.reference}:v1", config=config)
