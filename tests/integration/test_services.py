"""The servers that other integration tests run against: what we write goes into each, and an engine takes it out."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Protocol

import pytest

from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.image import ImageConfig, to_image
from reconciler.oci.tar import to_tar
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.services import EngineService, RegistryService


class Required(Protocol):
    def program(self, name: str) -> Path: ...


@pytest.fixture
def program(required: Required) -> Path:
    return required.program("skopeo")


@pytest.fixture
def image(tmp_path: Path) -> tuple[str, Digest]:
    """Where skopeo finds an image of ours, and its digest."""
    registry = LayoutRegistry(tmp_path / "registry", store=ContentStore(tmp_path / "store"))
    layer = Content(media_type=media.LAYER_TAR, data=to_tar({"opt/app/run": (0o755, b"#!/bin/sh\n")}))
    config = ImageConfig(platform=Platform("linux", "amd64"), diff_ids=(layer.digest,), environment={"A": "1"})
    made = to_image(config, (layer,))
    for blob in made.blobs:
        registry.push_blob("training", blob)
    registry.push("training", made.manifest, tags=["v1"])
    return f"oci:{tmp_path}/registry/training:v1", made.manifest.digest


def skopeo(program: Path, *arguments: str) -> bytes:
    run = subprocess.run([program, *arguments], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def access(service: RegistryService, side: str = "") -> list[str]:
    """Tell skopeo whom to trust and who we are; ``side`` is ``src-`` or ``dest-`` where it copies."""
    trust = [f"--{side}cert-dir={service.ca.parent}"] if service.ca else [f"--{side}tls-verify=false"]
    return trust + ([f"--{side}creds={service.username}:{service.password}"] if service.username else [])


def push(program: Path, source: str, service: RegistryService) -> str:
    """Copy an image into a repository of its own, and name it there."""
    reference = f"{service.prefix()}/training:v1"
    skopeo(
        program,
        *(
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            *access(service, "dest-"),
            source,
            f"docker://{reference}",
        ),
    )
    return reference


def test_skopeo_copies_an_image_into_a_reference_registry(
    program: Path, any_reference_registry: RegistryService, image: tuple[str, Digest]
) -> None:
    reference = push(program, image[0], any_reference_registry)
    raw = skopeo(program, "inspect", "--raw", *access(any_reference_registry), f"docker://{reference}")
    assert Digest.of(raw) == image[1]
    algorithm, _, value = str(image[1]).partition(":")
    stored = any_reference_registry.storage / "docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"
    assert stored.read_bytes() == raw


def test_an_engine_pulls_an_image(
    program: Path,
    any_reference_registry: RegistryService,
    docker_engine: EngineService,
    image: tuple[str, Digest],
    tmp_path: Path,
) -> None:
    service = any_reference_registry
    reference = push(program, image[0], service)
    if service.username:
        assert docker_engine.docker("pull", reference, config=tmp_path).returncode != 0
        arguments = ["login", "--username", service.username, "--password-stdin", service.address]
        assert docker_engine.docker(*arguments, config=tmp_path, given=service.password).returncode == 0
    pulled = docker_engine.docker("pull", "--quiet", reference, config=tmp_path)
    assert pulled.returncode == 0, pulled.stderr
    inspected = docker_engine.docker("image", "inspect", reference, config=tmp_path)
    (read,) = json.loads(inspected.stdout)
    assert (read["Architecture"], read["Config"]["Env"]) == ("amd64", ["A=1"])
    assert f"{reference.removesuffix(':v1')}@{image[1]}" in read["RepoDigests"]


def test_a_registry_with_accounts_lets_nobody_else_in(reference_registry_login: RegistryService) -> None:
    context = ssl.create_default_context(cafile=reference_registry_login.ca)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(f"{reference_registry_login.url}/v2/")
    with refused.value as answer:
        assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="test"')


def test_prefixes_are_never_the_same(reference_registry: RegistryService) -> None:
    assert len({reference_registry.prefix() for _ in range(100)}) == 100
