"""The laws of every builder."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.builders.choice import choose
from reconciler.builders.table import BUILDERS
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError
from reconciler.lock.model import Package
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import BaseImageRegistry, Build, Conda, Docker, Manifest, Python
from reconciler.oci.descriptor import Image
from reconciler.oci.manifest import parse_image
from reconciler.ports import Builder, Task
from reconciler.store.hosts import Hosts
from reconciler.values.digest import Digest
from tests import host_case
from tests.conftest import Required

every_builder = pytest.mark.parametrize("name", ["host", "user-managed"])
"""Those whose artifact describes an environment; what is assembled is in tests/integration/test_assemble.py."""


@dataclass
class Tools:
    """What these builders are made of; nothing else is asked for."""

    hosts: Hosts
    uv: Uv
    index_addresses: dict[str, str] = field(default_factory=dict)


def make(name: str, root: Path) -> Builder:
    tools = Tools(hosts=Hosts(root), uv=Uv(environ=dict(os.environ)))
    return BUILDERS[name](tools)  # type: ignore[arg-type]  # the others are not asked for


def declared(builder: str, **fields: object) -> Manifest:
    if builder == "user-managed":
        return host_case.manifest(
            python=Python(user_managed_dependencies=True, interpreter_path=sys.executable), **fields
        )
    return host_case.manifest(**fields)


def described(builder: str, **fields: object) -> Task:
    """Ask for a platform that is not this machine's, so that nothing is made."""
    packages = () if builder == "user-managed" else (host_case.SIX,)
    return host_case.task(declared(builder, **fields), host_case.lock(*packages), host_case.ELSEWHERE)


def files(image: Image) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(image.blobs[-1].data)) as archive:
        members = [member for member in archive if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in members}  # type: ignore[union-attr]


# -- the port ---------------------------------------------------------------------------------------------------


@every_builder
def test_a_builder_goes_by_the_name_in_the_table(name: str, tmp_path: Path) -> None:
    builder = make(name, tmp_path)
    assert builder.name == name
    assert builder.recipe >= 1


@every_builder
def test_a_manifest_chooses_a_builder_that_does_not_refuse_it(name: str, tmp_path: Path) -> None:
    desired = described(name).desired
    assert choose(desired.manifest) == name
    assert make(name, tmp_path).refusal(desired) is None


@every_builder
def test_the_artifact_is_an_image_whose_manifest_names_every_blob(name: str, tmp_path: Path) -> None:
    image = make(name, tmp_path).build(described(name))
    parsed = parse_image(image.manifest)
    assert [parsed.config.digest, *[layer.digest for layer in parsed.layers]] == [blob.digest for blob in image.blobs]
    config = json.loads(image.blobs[0].data)
    assert config["rootfs"]["diff_ids"] == [str(layer.digest) for layer in parsed.layers]
    assert f"{config['os']}/{config['architecture']}" == str(host_case.ELSEWHERE)


@every_builder
def test_another_platform_needs_no_machine_of_it(name: str, tmp_path: Path) -> None:
    builder = make(name, tmp_path / "hosts")
    asked = described(name, platforms=(host_case.ELSEWHERE,))
    builder.prepare(asked.desired)
    builder.build(asked)
    assert not (tmp_path / "hosts").exists()


@every_builder
@pytest.mark.threat("F21")
@pytest.mark.parametrize("seed", ["0", "1", "77"])
def test_the_artifact_is_the_same_bytes_whatever_the_process(name: str, seed: str, tmp_path: Path) -> None:
    program = (
        "import os, pathlib; os.umask(0o077)\n"
        "from tests.contract.test_builders import described, make\n"
        f"image = make({name!r}, pathlib.Path({str(tmp_path)!r})).build(described({name!r}, {FIELDS}))\n"
        "print(image.manifest.digest)"
    )
    environ = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONPATH": str(Path.cwd())}
    other = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    fields = {"environment_variables": {"B": "2", "A": "1", "C": "3"}}
    assert other.stdout.strip() == str(make(name, tmp_path).build(described(name, **fields)).manifest.digest)


FIELDS = "environment_variables={'B': '2', 'A': '1', 'C': '3'}"


@every_builder
def test_the_artifact_knows_nothing_of_name_description_or_commit(name: str, tmp_path: Path) -> None:
    builder = make(name, tmp_path)
    plain = builder.build(described(name))
    renamed = builder.build(described(name, name="other", path="x/other.yaml", description="text", tags={"a": "b"}))
    assert plain == renamed


@every_builder
def test_a_variable_of_the_environment_changes_the_artifact(name: str, tmp_path: Path) -> None:
    builder = make(name, tmp_path)
    plain, other = (builder.build(described(name, environment_variables={"A": value})) for value in "12")
    assert plain.manifest.digest != other.manifest.digest


@every_builder
@pytest.mark.threat("T13")
def test_a_reference_to_a_secret_stands_in_the_artifact_as_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2-the-secret")
    image = make(name, tmp_path).build(described(name, environment_variables={"KEY": "${TOKEN}"}))
    everything = b"".join(blob.data for blob in (image.manifest, *image.blobs))
    assert b"${TOKEN}" in everything
    assert b"hunter2" not in everything


def test_the_requirements_pin_every_package_by_hash(tmp_path: Path) -> None:
    image = make("host", tmp_path).build(described("host"))
    assert files(image)["requirements.txt"] == f"six==1.16.0 --hash=sha256:{host_case.SIX.sha256}\n".encode()


def test_the_requirements_of_a_source_distribution_pin_its_own_digest(tmp_path: Path) -> None:
    source = "1" * 64
    package = replace(host_case.SIX, source=f"built:six-1.16.0.tar.gz@sha256:{source}")
    asked = host_case.task(locked=host_case.lock(package), platform=host_case.ELSEWHERE)
    assert files(make("host", tmp_path).build(asked))["requirements.txt"].endswith(f"sha256:{source}\n".encode())


def test_a_user_managed_interpreter_is_described_without_requirements(tmp_path: Path) -> None:
    locked = host_case.lock(provider="user", observed={"numpy": "2.0"})
    asked = host_case.task(host_case.user_managed("/opt/python"), locked, host_case.ELSEWHERE)
    image = make("user-managed", tmp_path).build(asked)
    assert list(files(image)) == ["environment.json"]
    written = json.loads(files(image)["environment.json"])
    assert (written["interpreter_path"], written["observed"]) == ("/opt/python", {"numpy": "2.0"})


# -- a lock that lies -------------------------------------------------------------------------------------------

ODD = [
    "\n",
    "\r",
    " --index-url=http://x",
    "; sys_platform",
    "#",
    "\\\n-r x",
    "${HOME}",
    "\0",
    "é",
    "-",
    "",
    "a b",
    "@",
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["name", "version", "sha256", "source"])
@pytest.mark.threat("T10")
def test_nothing_in_a_lock_becomes_an_option_or_another_line(field: str, odd: str, tmp_path: Path) -> None:
    for value in (odd, f"-{odd}", f"{getattr(host_case.SIX, field)}{odd}\n"):
        broken = Package(**{**host_case.SIX.to_json(), field: value})  # type: ignore[arg-type]  # what a lock may say
        asked = host_case.task(locked=host_case.lock(broken), platform=host_case.ELSEWHERE)
        if field == "source" and value.startswith("index:"):
            assert files(make("host", tmp_path).build(asked))["requirements.txt"].count(b"\n") == 1
            continue
        with pytest.raises(BuildError, match="lock can't be installed"):
            make("host", tmp_path).build(asked)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(), version=st.text(), source=st.text())
def test_any_lock_is_one_line_a_package_or_refused(
    name: str, version: str, source: str, count_cases: Callable[[str, int], None]
) -> None:
    count_cases("T10", 1)
    package = Package(name=name, version=version, file="x", size=1, sha256="0" * 64, source=f"index:{source}")
    asked = host_case.task(locked=host_case.lock(package), platform=host_case.ELSEWHERE)
    try:
        text = files(make("host", Path("/nonexistent")).build(asked))["requirements.txt"].decode()
    except (BuildError, ValueError):
        return
    assert text == f"{name}=={version} --hash=sha256:{'0' * 64}\n"
    assert name[0].isascii()
    assert name[0].isalnum()
    assert not set(name + version) & set(" \t\r\n\\#;$[]@,")


# -- what can't be made -----------------------------------------------------------------------------------------

OFF = Docker(enabled=False)
REFUSED: dict[str, tuple[Manifest, str]] = {
    "containers": (host_case.manifest(docker=Docker()), "the host builder"),
    "builder: assemble": (host_case.manifest(builder="assemble"), "builder"),
    "builder: docker": (host_case.manifest(builder="docker"), "builder"),
    "system_packages": (host_case.manifest(system_packages=("libgomp1",)), "system_packages"),
    "system_repositories": (host_case.manifest(system_repositories=("x",)), "system_repositories"),
    "files": (host_case.manifest(files={"/a": "b"}), "files"),
    **{
        f"docker.{field}": (host_case.manifest(docker=replace(OFF, **{field: value})), f"docker.{field}")  # type: ignore[arg-type]
        for field, value in {
            "base": "slim",
            "base_image": "python:3.11",
            "base_image_registry": BaseImageRegistry(address="x"),
            "base_environment": "other",
            "base_dockerfile": "Dockerfile",
            "build": Build(target="x"),
            "user": "me",
            "workdir": "/w",
            "entrypoint": ("x",),
            "command": ("x",),
            "labels": {"a": "b"},
            "shm_size": "2g",
            "arguments": ("x",),
        }.items()
    },
    **{
        f"python.{field}": (host_case.manifest(python=Python(**{field: value})), f"python.{field}")  # type: ignore[arg-type]
        for field, value in {
            "conda": Conda(),
            "conda_file": "conda.yml",
            "local": ("lib",),
            "base_packages": "replace",
            "interpreter_path": "/usr/bin/python3",
        }.items()
    },
    **{
        f"provider {provider}": (host_case.manifest(python=Python(provider=provider)), "python.provider")
        for provider in ("debian", "standalone", "conda", "image")
    },
    "relative interpreter": (host_case.user_managed("bin/python"), "python.interpreter_path"),
    "user-managed with packages": (
        host_case.manifest(python=Python(user_managed_dependencies=True, pip=("six",))),
        "python.pip",
    ),
}


@pytest.mark.parametrize(("manifest", "field"), REFUSED.values(), ids=REFUSED.keys())
@every_builder
def test_what_can_not_be_made_is_refused_in_one_line_that_names_the_field(
    name: str, manifest: Manifest, field: str, tmp_path: Path
) -> None:
    reason = make(name, tmp_path).refusal(Desired(manifest=manifest, components={}, filled={}))
    assert reason is not None
    assert reason.startswith(field)
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, "host"),
        ({"docker": Docker()}, "assemble"),
        ({"docker": Docker(base_dockerfile="Dockerfile")}, "docker"),
        ({"docker": Docker(), "builder": "host"}, "host"),
        ({"builder": "docker"}, "docker"),
        ({"python": Python(user_managed_dependencies=True)}, "user-managed"),
    ],
)
def test_the_choice_follows_the_manifest_alone(fields: dict[str, object], chosen: str) -> None:
    assert choose(host_case.manifest(**fields)) == chosen


# -- before anything is built -----------------------------------------------------------------------------------


def test_a_missing_interpreter_is_named_with_remedies(tmp_path: Path) -> None:
    desired = host_case.task(host_case.manifest(python=Python(version="3.11.99"))).desired
    with pytest.raises(BuildError, match=r"no Python 3\.11\.99") as caught:
        make("host", tmp_path).prepare(desired)
    assert "uv python install 3.11.99" in (caught.value.hint or "")
    assert "python.version" in (caught.value.hint or "")
    assert "python3.11" in (caught.value.detail or "")
    assert not list(tmp_path.iterdir())


def test_an_interpreter_is_found_beside_an_activated_environment(
    tmp_path: Path, required: Required, monkeypatch: pytest.MonkeyPatch
) -> None:
    required.python("3.11")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".python-version").write_text("2.7")
    make("host", tmp_path).prepare(host_case.task().desired)


@pytest.mark.parametrize("path", ["/nonexistent/python", "no-such-python", "/etc/passwd"])
def test_a_missing_user_managed_interpreter_is_an_error_before_anything_is_built(path: str, tmp_path: Path) -> None:
    desired = host_case.task(host_case.user_managed(path)).desired
    with pytest.raises(BuildError, match="interpreter") as caught:
        make("user-managed", tmp_path).prepare(desired)
    assert "interpreter_path" in (caught.value.hint or "")


def test_a_key_alone_says_where_an_environment_stands(tmp_path: Path) -> None:
    key = Digest.of(b"key")
    assert Hosts(tmp_path).place("tiny", key) == tmp_path / "tiny" / key.hex
