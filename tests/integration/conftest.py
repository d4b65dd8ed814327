"""What tests of images share: environments that were registered, and an engine that holds them."""

from __future__ import annotations

import pytest

from tests.based_case import BasedMachine, make_based
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


@pytest.fixture(scope="session")
def bases(required: Required, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BasedMachine:
    """Environments on bases of Debian packages, locked and applied once a session for all of its processes."""
    required.index()
    base = tmp_path_factory.getbasetemp()
    return make_based(required, (base.parent if hasattr(request.config, "workerinput") else base) / "bases")
