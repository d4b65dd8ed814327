"""`copy` as users run it: between folders, to a registry over HTTP and back, read by a tool that is not ours."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.plan.observed import Present
from reconciler.reconcile.observe import Depth, observe
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from tests.conftest import Required
from tests.repository import Repository
from tests.wheelhouse import write_wheel

CREATED, SAME = "Copied training v2.", "Nothing to do: training v2 is there."


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Path:
    """A repository with two versions of one environment, the second restated with another description."""
    required.python("3.11")
    found = Repository(tmp_path_factory.mktemp("template") / "clone")
    write_wheel(found.wheels, "alpha", "1.0")
    (found.root / "reconciler.yaml").write_text("manager: team\n")
    for extra in (
        "",
        "environment_variables: {A: '1'}\n",
        "environment_variables: {A: '1'}\ndescription: said later\n",
    ):
        found.declare("training", "alpha", extra=extra)
        found.commit()
        found("apply")
    return found.root.parent


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Repository:
    shutil.copytree(template, tmp_path / "world")
    return Repository(tmp_path / "world" / "clone")


@pytest.fixture
def distribution(required: Required, tmp_path: Path) -> Iterator[str]:
    """The reference registry on loopback; its address."""
    program = required.program("docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = tmp_path / "registry.yml"
    settings.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path / 'held'}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    server = subprocess.Popen([program, "serve", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def opened(folder: Path) -> LayoutRegistry:
    return LayoutRegistry(folder, store=ContentStore(folder / ".store"))


def digest(repository: Repository, registry: str, reference: str = "training") -> str:
    return repository("get", reference, "--registry", registry, "--format", "{digest}").out.strip()


def facts(repository: Repository, registry: str, reference: str = "training") -> dict[str, object]:
    """Give what `get` says, but for digests of manifests and where it was read."""
    found = json.loads(repository("get", reference, "--registry", registry, "-o", "json").out)
    assert not found["missing"]
    assert not found["tampered"]
    keys = {platform: entry["build_key"] for platform, entry in found.pop("artifacts").items()}
    return {key: value for key, value in found.items() if key not in ("digest", "reference")} | {"keys": keys}


def skopeo(required: Required, *arguments: str) -> bytes:
    run = subprocess.run([required.program("skopeo"), *arguments], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout


def test_a_version_goes_over_byte_for_byte_and_a_second_copy_writes_nothing(
    repository: Repository, required: Required
) -> None:
    first = repository("copy", "training", "--to", "../shared")
    assert first.out.splitlines()[-1] == CREATED
    assert first.err == ""
    shared = repository.root.parent / "shared"
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*") if path.is_file()}
    assert repository("copy", "training", "--to", "../shared").out.splitlines()[-1] == SAME
    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*") if path.is_file()} == before
    for reference in ("training", "training:2"):
        assert digest(repository, "../shared", reference) == digest(repository, ".reconciler/registry", reference)
    assert facts(repository, "../shared") == facts(repository, ".reconciler/registry")
    ours = [f"oci:{repository.root}/.reconciler/registry/training:{tag}" for tag in ("v2", "current")]
    theirs = [f"oci:{shared}/training:{tag}" for tag in ("v2", "current")]
    for one, other in zip(ours, theirs, strict=True):
        assert skopeo(required, "inspect", "--raw", one) == skopeo(required, "inspect", "--raw", other)
    found = observe(opened(shared), "training", depth=Depth.BLOBS)
    assert isinstance(found, Present)
    assert (found.missing, found.tampered, found.recovered) == ((), (), False)


def test_a_copy_is_listed_run_and_explained_where_it_went(repository: Repository) -> None:
    repository("copy", "training", "--to", "../shared")
    assert "said later" in repository("list", "--registry", "../shared").out
    assert "1 version." in repository("history", "training", "--registry", "../shared").out
    answer = repository("run", "training", "--registry", "../shared", "--", "python", "-c", "import alpha")
    assert answer.code == 0


def test_a_version_by_its_number_leaves_what_is_current_alone(repository: Repository) -> None:
    repository("copy", "training", "--to", "../shared")
    answer = repository("copy", "training:1", "--to", "../shared", "-o", "json")
    said = json.loads(answer.out)
    assert (said["version"], said["current"], said["changed"]) == (1, None, True)
    assert said["blobs"]["copied"] + said["blobs"]["there"] >= 6
    assert digest(repository, "../shared") == digest(repository, ".reconciler/registry")
    assert "2 versions." in repository("history", "training", "--registry", "../shared").out


def test_what_is_current_never_goes_back(repository: Repository) -> None:
    repository("copy", "training", "--to", "../shared")
    repository("copy", "training:1", "--to", "../old")
    answer = repository("copy", "training", "--registry", "../old", "--to", "../shared")
    assert "current  stays at v2, which is newer" in answer.out
    assert digest(repository, "../shared") == digest(repository, ".reconciler/registry")


def test_an_archived_environment_stays_one(repository: Repository) -> None:
    (repository.root / "environments" / "training.yaml").unlink()
    repository.declare("other", "alpha")
    repository.commit()
    repository("apply")
    answer = repository("copy", "training", "--to", "../shared")
    assert "note: training is archived" in answer.out
    assert "training" not in repository("list", "--registry", "../shared").out
    assert "training" in repository("list", "--archived", "--registry", "../shared").out


def test_what_another_manager_registered_is_refused_unless_it_is_adopted(repository: Repository) -> None:
    repository("copy", "training:1", "--to", "../shared")
    repository("copy", "training", "--registry", "../shared", "--to", "../mine")
    (repository.root / "reconciler.yaml").write_text("manager: other\n")
    repository("apply", "--adopt")
    answer = repository("copy", "training", "--to", "../mine", expect=6)
    assert "registered by team" in answer.err
    assert "--adopt" in answer.err
    assert "current  names v2, was v1" in repository("copy", "training", "--to", "../mine", "--adopt").out
    assert facts(repository, "../mine")["manager"] == "other"


def test_a_number_that_names_something_else_is_refused_with_both_digests(repository: Repository) -> None:
    other = Repository(repository.root.parent / "second")
    (other.root / "reconciler.yaml").write_text("manager: team\nregistry: ../shared\n")
    other.declare("training", "alpha", extra="environment_variables: {B: '2'}\n")
    other.commit()
    other("apply")
    before = digest(repository, "../shared")
    answer = repository("copy", "training:1", "--to", "../shared", expect=6)
    assert digest(repository, ".reconciler/registry", "training:1") in answer.err
    assert before in answer.err
    assert digest(repository, "../shared") == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("training",), 64, "--to"),
        (("trainig", "--to", "../shared"), 1, "did you mean `training`?"),
        (("training:9", "--to", "../shared"), 1, "versions 2, 1"),
        (("training:x", "--to", "../shared"), 64, "names no version"),
        (("training", "--to", ".reconciler/registry"), 64, "copied from"),
        (("training", "--to", "https://me:secret@registry.example.org"), 1, "registry.example.org"),
        (("training", "--to", ""), 64, "names no registry"),
        (("training", "--to", "../shared", "--media-types", "zip"), 64, "'zip' is not one of"),
    ],
)
def test_what_can_not_be_copied_is_said_in_one_line(
    repository: Repository, arguments: tuple[str, ...], code: int, says: str
) -> None:
    answer = repository("copy", *arguments, expect=None)
    assert says in answer.err
    assert "secret" not in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert answer.code == code, answer.err
    assert not (repository.root.parent / "shared").exists()


def test_damage_in_the_source_is_found_before_anything_has_a_tag(repository: Repository) -> None:
    layout = repository.root / ".reconciler" / "registry" / "training"
    lock = json.loads((layout / "index.json").read_text())["manifests"]
    entry = next(one for one in lock if one["annotations"]["org.opencontainers.image.ref.name"] == "v2-lock")
    manifest = json.loads((layout / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).read_bytes())
    blob = layout / "blobs" / "sha256" / manifest["layers"][0]["digest"].removeprefix("sha256:")
    data = blob.read_bytes()
    blob.unlink()
    blob.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    answer = repository("copy", "training", "--to", "../shared", expect=1)
    assert blob.name in answer.err
    assert opened(repository.root.parent / "shared").tags("training") == ()
    blob.unlink()
    blob.write_bytes(data)
    repository("copy", "training", "--to", "../shared")


def test_docker_media_types_keep_every_fact_and_one_digest(repository: Repository) -> None:
    answer = repository("copy", "training", "--to", "../docker", "--media-types", "docker")
    assert "note: other tools read nothing but OCI's media types from a folder" in answer.out
    assert repository("copy", "training", "--to", "../docker", "--media-types", "docker").out.endswith(f"{SAME}\n")
    repository("copy", "training", "--to", "../again", "--media-types", "docker")
    assert digest(repository, "../docker") == digest(repository, "../again")
    assert digest(repository, "../docker") != digest(repository, ".reconciler/registry")
    assert facts(repository, "../docker") == facts(repository, ".reconciler/registry")
    assert "1 version." in repository("history", "training", "--registry", "../docker").out
    repository("run", "training", "--registry", "../docker", "--", "python", "-c", "import alpha")
    repository("copy", "training", "--registry", "../docker", "--to", "../back", "--media-types", "oci")
    assert digest(repository, "../back") == digest(repository, ".reconciler/registry")
    assert "number is given once" in repository("copy", "training", "--to", "../docker", expect=6).err


def test_a_registry_over_http_has_what_a_folder_had_and_gives_it_back(
    repository: Repository, distribution: str, required: Required
) -> None:
    there, other = f"{distribution}/team", f"{distribution}/promoted"
    repository("copy", "training", "--to", there)
    assert repository("copy", "training", "--to", there).out.endswith(f"{SAME}\n")
    repository("copy", "training", "--registry", there, "--to", other)
    repository("copy", "training", "--registry", other, "--to", "../back")
    for registry in (there, other, "../back"):
        assert digest(repository, registry) == digest(repository, ".reconciler/registry")
        assert facts(repository, registry) == facts(repository, ".reconciler/registry")
        assert "said later" in repository("list", "--registry", registry).out
    raw = skopeo(required, "inspect", "--tls-verify=false", "--raw", f"docker://{there}/training:current")
    assert raw == opened(repository.root.parent / "back").fetch("training", "current").data


def test_others_read_what_was_copied_with_docker_media_types(
    repository: Repository, distribution: str, required: Required, tmp_path: Path
) -> None:
    there = f"{distribution}/team"
    repository("copy", "training", "--to", there, "--media-types", "docker")
    assert facts(repository, there) == facts(repository, ".reconciler/registry")
    reference = f"docker://{there}/training"
    raw = json.loads(skopeo(required, "inspect", "--tls-verify=false", "--raw", f"{reference}:current"))
    assert raw["mediaType"] == "application/vnd.docker.distribution.manifest.list.v2+json"
    kinds = {entry["mediaType"] for entry in raw["manifests"]}
    assert kinds == {"application/vnd.docker.distribution.manifest.v2+json"}
    read = json.loads(skopeo(required, "inspect", "--tls-verify=false", f"{reference}:v2-linux-amd64"))
    assert read["Os"] == "linux"
    skopeo(required, "copy", "--all", "--src-tls-verify=false", f"{reference}:current", f"dir:{tmp_path / 'copy'}")
    assert json.loads((tmp_path / "copy" / "manifest.json").read_bytes()) == raw
