"""A base image in a registry with a password: who a manifest names reads it, and nothing tells the password."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.base_case import root, write_base
from tests.repository import PROGRAM, TIMEOUT_S, Answer, Repository
from tests.services import RegistryService

STEM = "RECONCILER_CREDENTIAL_BASES"


class Required(Protocol):
    def program(self, name: str) -> Path: ...


@dataclass
class World:
    """A repository whose environment is built on an image in a reference registry."""

    repository: Repository
    service: RegistryService
    home: Path

    @property
    def account(self) -> dict[str, str]:
        return {f"{STEM}_USERNAME": self.service.username, f"{STEM}_PASSWORD": self.service.password}

    def __call__(self, *arguments: str, variables: Mapping[str, str]) -> Answer:
        environ = {
            **self.repository.environ,
            "DOCKER_CONFIG": str(self.home),
            "SSL_CERT_FILE": str(self.service.ca),
            **variables,
        }
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=self.repository.root,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        assert self.service.password not in done.stdout + done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def world(required: Required, reference_registry_login: RegistryService, tmp_path: Path) -> World:
    service = reference_registry_login
    write_base(tmp_path / "made/small", root())
    place = f"{service.prefix()}/deep/small"
    assert service.ca is not None
    command = [str(required.program("skopeo")), "--insecure-policy", "copy", f"--dest-cert-dir={service.ca.parent}"]
    command += [f"--dest-creds={service.username}:{service.password}", f"oci:{tmp_path}/made/small:latest"]
    subprocess.run([*command, f"docker://{place}:1"], check=True, capture_output=True)
    repository = Repository(tmp_path / "clone")
    repository.release("pip", "24.0")
    host, _, name = place.partition("/")
    (repository.root / "environments").mkdir()
    (repository.root / "environments/small.yaml").write_text(
        f"name: small\npython: {{bytecode: false}}\ndocker:\n  base_image: '{name}:1'\n"
        f"  base_image_registry: {{address: '{host}', credential: bases}}\n"
    )
    repository.commit()
    (tmp_path / "docker").mkdir()
    return World(repository, service, tmp_path / "docker")


@pytest.mark.threat("T13")
def test_who_is_named_reads_the_base_and_nothing_keeps_the_password(world: World) -> None:
    answer = world("apply", variables=world.account)
    assert answer.code == 0, answer.err
    for path in (world.repository.root / ".reconciler").rglob("*"):
        assert not path.is_file() or world.service.password.encode() not in path.read_bytes(), path


def test_who_is_nowhere_is_told_which_variables_to_set(world: World) -> None:
    answer = world("lock", variables={})
    assert answer.code == 77, answer.err
    (said,) = [line for line in answer.err.splitlines() if STEM in line]
    assert f"set {STEM}_USERNAME and {STEM}_PASSWORD" in said


@pytest.mark.threat("T12")
def test_a_credential_for_another_host_is_not_sent(world: World) -> None:
    answer = world("lock", variables={**world.account, f"{STEM}_HOST": "other.example.org"})
    assert answer.code == 77
    assert "the credential bases is not for" in answer.err


@pytest.mark.threat("T13")
def test_a_wrong_password_is_denied(world: World) -> None:
    answer = world("lock", variables={**world.account, f"{STEM}_PASSWORD": "wrong-4713"})
    assert answer.code == 77
    assert "wrong-4713" not in answer.out + answer.err
