"""The whole cycle on reference registries, and what other tools read of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.clients.registry.session import Settings
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.oci.tar import to_tar
from reconciler.ports import Task
from reconciler.reconcile.outcome import Status
from reconciler.record import parse_record
from reconciler.values.digest import Digest
from tests.conftest import Required
from tests.remote import logged_in, opened
from tests.remote_world import Applied, Clone, apply_first
from tests.services import EngineService, RegistryService
from tests.world import ARM, LINUX, Factory, World, wanted

TEXT = b"#!/bin/sh\n"


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Applied:
    required.python("3.11")
    return apply_first(tmp_path_factory.mktemp("remote"))


@dataclass(frozen=True)
class Site:
    """A clone that registers in a prefix of its own of a reference registry."""

    service: RegistryService
    address: str
    clone: Clone

    def configure(self, *lines: str) -> None:
        (self.clone.root / "reconciler.yaml").write_text("\n".join(["manager: team", *lines, ""]))

    def tag(self, name: str, tag: str) -> str:
        """Ask skopeo what a tag names."""
        return str(Digest.of(self.skopeo("inspect", "--raw", *self.access(), f"docker://{self.address}/{name}:{tag}")))

    def access(self, side: str = "") -> list[str]:
        trust = [f"--{side}cert-dir={self.service.ca.parent}"] if self.service.ca else [f"--{side}tls-verify=false"]
        account = f"{self.service.username}:{self.service.password}"
        return [*trust, *([f"--{side}creds={account}"] if self.service.username else [])]

    @staticmethod
    def skopeo(*arguments: str) -> bytes:
        done = subprocess.run(["skopeo", *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def made(applied: Applied, service: RegistryService, folder: Path) -> Site:
    address = service.prefix()
    root = folder / "machine" / "clone"
    root.parent.mkdir()
    subprocess.run(["git", "clone", "-q", applied.origin.as_uri(), str(root)], check=True)
    clone = Clone(root, applied.python, address)
    site = Site(service, address, clone)
    if service.ca:
        (root / "ca.crt").write_bytes(service.ca.read_bytes())
        site.configure(f"registries: {{'{service.address}': {{certificate_authority: ca.crt}}}}")
    if service.username:
        folder = logged_in(folder / "docker", service.address, service.username, service.password)
        clone.variables["DOCKER_CONFIG"] = str(folder)
    clone.commit()
    return site


@pytest.fixture
def site(applied: Applied, any_reference_registry: RegistryService, tmp_path: Path, required: Required) -> Site:
    required.program("skopeo")
    return made(applied, any_reference_registry, tmp_path)


def test_the_whole_cycle_on_a_reference_registry(site: Site) -> None:
    clone = site.clone
    assert clone.built() == {"first": 1, "second": 1}
    assert "Nothing to do" in clone("apply").out
    clone.manage("first", "2")
    clone.commit()
    assert clone.built() == {"first": 1}
    clone.git("revert", "--no-edit", "HEAD")
    assert clone.built() == {}
    assert [one["version"] for one in clone.json("history", "first")["versions"]] == [3, 2, 1]
    assert [one["name"] for one in clone.json("list")["environments"]] == ["first", "second"]
    assert clone("run", "first", "--", "python", "-c", "").code == 0
    assert "first  version 2" in clone("explain", "first:2").out
    assert clone("drift", "--deep").code == clone("doctor").code == 0
    assert "Copied first v3." in clone("copy", "first", "--to", f"{site.address}/copies").out
    assert site.tag("copies/first", "current") == site.tag("first", "current")
    clone.git("rm", "-q", "environments/first.yaml")
    clone.commit()
    assert clone.outcomes()["first"]["action"] == "archive"
    assert "Nothing to do" in clone("apply").out


@pytest.mark.threat("F13")
def test_what_is_moved_is_named_and_mended(
    applied: Applied, reference_registry: RegistryService, tmp_path: Path, required: Required
) -> None:
    required.program("skopeo")
    site = made(applied, reference_registry, tmp_path)
    clone = site.clone
    clone("apply")
    ours, other = site.tag("first", "current"), site.tag("first", "v1-lock")
    folder = reference_registry.storage / "docker/registry/v2/repositories" / site.address.partition("/")[2]
    link = folder / "first/_manifests/tags/current/current/link"
    assert link.read_text() == ours
    link.write_text(other)
    answer = clone("drift", "-o", "json", expect=3)
    assert ours in answer.out
    assert other in answer.out
    assert clone.built("first") == {}
    assert site.tag("first", "current") == ours
    assert clone("drift").code == clone("doctor").code == 0


def test_skopeo_reads_and_copies_what_was_registered(site: Site, tmp_path: Path) -> None:
    site.clone("apply")
    record = Content(
        media_type=media.INDEX,
        data=site.skopeo("inspect", "--raw", *site.access(), f"docker://{site.address}/first:current"),
    )
    assert parse_record(record).facts.name == "first"
    for tag, platform in (("v1-linux-amd64", "linux"), ("v1-lock", "unknown"), ("v1-request", "unknown")):
        read = json.loads(site.skopeo("inspect", *site.access(), f"docker://{site.address}/first:{tag}"))
        assert read["Os"] == platform
    target = tmp_path / "copy"
    source = f"docker://{site.address}/first:current"
    arguments = ("--insecure-policy", "copy", "--all", "--preserve-digests", *site.access("src-"))
    site.skopeo(*arguments, source, f"oci:{target}:current")
    raw = site.skopeo("inspect", "--raw", f"oci:{target}:current")
    assert raw == record.data


def test_an_authority_is_trusted_that_the_environment_names(
    applied: Applied, reference_registry_tls: RegistryService, tmp_path: Path
) -> None:
    site = made(applied, reference_registry_tls, tmp_path)
    site.configure()
    site.clone.commit()
    answer = site.clone("apply", expect=69)
    assert "certificate" in answer.err
    site.clone.variables["SSL_CERT_FILE"] = str(reference_registry_tls.ca)
    assert site.clone.built() == {"first": 1, "second": 1}


def test_who_has_no_login_is_told_so_and_nothing_is_built(
    applied: Applied, reference_registry_login: RegistryService, tmp_path: Path
) -> None:
    site = made(applied, reference_registry_login, tmp_path)
    address = reference_registry_login.address
    for account in (tmp_path / "nothing", logged_in(tmp_path / "wrong", address, "tester", "wrong")):
        site.clone.variables["DOCKER_CONFIG"] = str(account)
        answer = site.clone("apply", expect=77)
        assert "building" not in answer.err
        assert address in answer.err


# -- an engine --------------------------------------------------------------------------------------------------


class Shell(Factory):
    """A builder whose artifacts have a layer with a file in it."""

    def build(self, task: Task) -> Image:
        super().build(task)
        layer = Content(media_type=media.LAYER_TAR, data=to_tar({"opt/app/run": (0o755, TEXT)}))
        config = ImageConfig(
            platform=task.platform,
            diff_ids=(layer.digest,),
            environment=dict(_variables(task)),
            command=("/opt/app/run",),
        )
        return to_image(config, (layer,))


def _variables(task: Task) -> Mapping[str, str]:
    return task.desired.manifest.environment_variables


def test_an_engine_pulls_a_platform_s_image_and_what_a_version_has_for_it(
    any_reference_registry: RegistryService, docker_engine: EngineService, tmp_path: Path
) -> None:
    service = any_reference_registry
    address = service.prefix()
    settings = Settings(authorities=(str(service.ca),) if service.ca else ())
    config = tmp_path / "docker"
    config.mkdir()
    if service.username:
        logged_in(config, service.address, service.username, service.password)
    registry = opened(service.address, address.partition("/")[2], config=config, settings=settings)
    world = World(registry, factory=Shell())
    (outcome,) = world.apply([wanted("training", platforms=(LINUX, ARM), variables={"A": "1"})])
    assert outcome.status is Status.APPLIED, outcome.error
    for tag in ("v1-linux-amd64", "v1", "current"):
        reference = f"{address}/training:{tag}"
        pulled = docker_engine.docker("pull", "--quiet", reference, config=config)
        assert pulled.returncode == 0, pulled.stderr
        (read,) = json.loads(docker_engine.docker("image", "inspect", reference, config=config).stdout)
        assert (read["Architecture"], read["Config"]["Env"]) == ("amd64", ["A=1"])
        container = docker_engine.docker("create", "--network=none", reference, config=config).stdout.strip()
        target = tmp_path / tag
        copied = docker_engine.docker("cp", f"{container}:/opt/app/run", str(target), config=config)
        assert copied.returncode == 0, copied.stderr
        assert target.read_bytes() == TEXT
        assert docker_engine.docker("rm", container, config=config).returncode == 0
        assert docker_engine.docker("image", "rm", "--force", reference, config=config).returncode == 0
