"""Bases of all kinds: what fits is found, and what does not fit is an error before anything is built."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.assembly.account import account_of
from reconciler.assembly.config import DEFAULT_PATH, configure
from reconciler.errors import CorruptError, ReconcilerError, ResolveError
from reconciler.lock.model import Base, Interpreter
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.oci import media
from reconciler.oci.configuration import BaseConfig, parse_config
from reconciler.oci.conversion import Family, convert_image
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.image import ImageConfig, to_manifest
from reconciler.oci.manifest import parse_image
from reconciler.oci.member import Member, file_of, link_of
from reconciler.ports import Registry
from reconciler.registries.bases import ImageBases
from reconciler.registries.layout import LayoutRegistry
from reconciler.resolvers.explanation import failure
from reconciler.resolvers.profile import Profile, profile
from reconciler.resolvers.question import Question
from reconciler.resolvers.target import Target
from reconciler.store.cache import Cache
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.base_case import AMD64, elf, root, write_base
from tests.debs import COMPRESS

LIBC = file_of("lib/x86_64-linux-gnu/libc.so.6", elf("amd64", b"GNU C Library (X) stable release version 2.36."))


def no_registry(address: str, credential: str | None) -> Registry:
    raise AssertionError(address, credential)


def look(folder: Path, version: str | None = "3.11", path: str | None = None, platform: Platform = AMD64) -> Profile:
    base = ImageBases(connect=no_registry, root=folder).open("oci:small", platform)
    return profile(base, interpreter_path=path, version=version, cache=Cache(folder / "cache"), platform=platform)


def found(folder: Path, files: Sequence[Member], path: str | None = None, **config: object) -> Profile:
    write_base(folder / "small", files, **config)  # type: ignore[arg-type]  # as given
    return look(folder, path=path)


# -- interpreters -----------------------------------------------------------------------------------------------


def test_an_interpreter_that_is_a_shell_around_its_library_is_found(tmp_path: Path) -> None:
    files = [
        LIBC,
        file_of("usr/local/bin/python3.11", elf("amd64"), mode=0o755),
        link_of("usr/local/bin/python3", "python3.11"),
        file_of("usr/local/lib/libpython3.11.so.1.0", elf("amd64", b"3.11.9"), mode=0o755),
        file_of("usr/local/lib/python3.11/site-packages/idna-3.3.dist-info/RECORD", b""),
    ]
    read = found(tmp_path, files, environment={"PATH": "/usr/local/bin:/usr/bin"})
    assert (read.python, read.version, read.packages) == ("usr/local/bin/python3.11", "3.11.9", {"idna": "3.3"})


def test_an_interpreter_of_conda_is_found_with_its_packages(tmp_path: Path) -> None:
    files = [
        LIBC,
        file_of("opt/conda/bin/python3.11", elf("amd64", b"3.11.8"), mode=0o755),
        link_of("opt/conda/bin/python", "python3.11"),
        file_of("opt/conda/lib/python3.11/site-packages/idna-3.6.dist-info/RECORD", b""),
    ]
    read = found(tmp_path, files)
    assert (read.python, read.packages) == ("opt/conda/bin/python3.11", {"idna": "3.6"})
    assert look(tmp_path, path="/opt/conda/bin/python").python == "opt/conda/bin/python3.11"


@pytest.mark.parametrize("path", ["/usr/bin/python3.12", "/etc/passwd", "/usr/bin"])
def test_a_path_to_no_interpreter_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ResolveError, match=f"has no Python 3.11 at {path}"):
        found(tmp_path, root(), path=path)


def test_a_base_without_a_path_has_the_usual_one(tmp_path: Path) -> None:
    assert found(tmp_path, root(), environment={"LANG": "C"}).python == "usr/bin/python3.11"


def test_another_python_is_refused(tmp_path: Path) -> None:
    write_base(tmp_path / "small", root())
    with pytest.raises(ResolveError, match=r"has no Python 3\.12: /usr/bin/python3.11 is 3\.11\.2"):
        look(tmp_path, "3.12")


# -- the C library and the machine ------------------------------------------------------------------------------


def test_musl_is_refused(tmp_path: Path) -> None:
    files = [member for member in root() if "libc" not in member.path]
    with pytest.raises(ResolveError, match="has musl, and wheels are chosen for glibc"):
        found(tmp_path, [*files, file_of("usr/lib/ld-musl-x86_64.so.1", elf("amd64"))])


@pytest.mark.parametrize(
    ("glibc", "asked"), [((2, 17), "2_17"), ((2, 27), "2_17"), ((2, 36), "2_36"), ((2, 60), "2_40")]
)
def test_no_wheel_is_chosen_that_needs_a_newer_c_library(glibc: tuple[int, int], asked: str) -> None:
    target = Target(platform=AMD64, interpreter=None, glibc=glibc)  # type: ignore[arg-type]  # not looked at
    assert target.uv_platform == f"x86_64-manylinux_{asked}"


def test_wheels_that_need_a_newer_c_library_are_an_error_that_names_the_bases() -> None:
    said = "No solution found\n  cause: Because a==1.0 has no wheels with a\n  matching platform tag, a can't be used."
    interpreter = Interpreter(implementation="cpython", version="3.11.2", abi="cp311", provider="image")
    base = Base(image="oci:small", digest=str(Digest.of(b"")), python="usr/bin/python3.11")
    target = Target(platform=AMD64, interpreter=interpreter, glibc=(2, 36), base=base)
    manifest = Manifest(name="a", path="environments/a.yaml")
    desired = Desired(manifest=manifest, components={}, filled={})
    question = Question(requirements=("a",), sources={}, hashes={})
    error = failure(said, desired=desired, question=question, target=target, alias="default")
    assert error.hint == "oci:small has glibc 2.36: take a newer base, or an older release"


def test_a_platform_that_an_index_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    digest = write_base(tmp_path / "small", root())
    registry = LayoutRegistry(tmp_path, store=ContentStore(tmp_path / ".store"))
    image = registry.fetch("small", digest)
    entry = image.describe(platform=AMD64).to_json()
    index = {"schemaVersion": 2, "mediaType": media.INDEX, "manifests": [entry]}
    registry.push("small", Content(media_type=media.INDEX, data=json.dumps(index).encode()), tags=["latest"])
    assert look(tmp_path).version == "3.11.2"
    with pytest.raises(ResolveError, match="is not there for linux/arm64") as refused:
        look(tmp_path, platform=Platform("linux", "arm64"))
    assert "it is for linux/amd64" in str(refused.value)


# -- layers and manifests ---------------------------------------------------------------------------------------


def rewrite(folder: Path, media_type: str, family: Family = Family.OCI) -> None:
    """Say of the base's layer that it is of another media type, or of the whole image that it is another family's."""
    digest = write_base(folder / "small", root())
    registry = LayoutRegistry(folder, store=ContentStore(folder / ".store"))
    image = parse_image(registry.fetch("small", digest))
    layers = [Descriptor(media_type=media_type, digest=one.digest, size=one.size) for one in image.layers]
    config = Content(media_type=media.CONFIG, data=b"".join(registry.fetch_blob("small", image.config)))
    made = to_manifest(config, layers)
    registry.push("small", made if family is Family.OCI else convert_image(made, family), tags=["latest"])


def test_an_image_with_dockers_media_types_is_read(tmp_path: Path) -> None:
    rewrite(tmp_path, media.LAYER_TAR_GZIP, Family.DOCKER)
    assert look(tmp_path).version == "3.11.2"


@pytest.mark.parametrize("media_type", [media.LAYER_TAR_ZSTD, media.DOCKER_LAYER_TAR_ZSTD])
def test_layers_of_zstd_are_read(tmp_path: Path, media_type: str) -> None:
    digest = write_base(tmp_path / "small", root())
    registry = LayoutRegistry(tmp_path, store=ContentStore(tmp_path / ".store"))
    image = parse_image(registry.fetch("small", digest))
    plain = gzip.decompress(b"".join(registry.fetch_blob("small", image.layers[0])))
    layer = Content(media_type=media_type, data=COMPRESS[".zst"](plain))
    config = Content(media_type=media.CONFIG, data=b"".join(registry.fetch_blob("small", image.config)))
    registry.push_blob("small", layer)
    registry.push("small", to_manifest(config, [layer.describe()]), tags=["latest"])
    assert look(tmp_path).version == "3.11.2"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
def test_a_layer_that_can_not_be_unpacked_says_how_to_convert_it(tmp_path: Path, media_type: str) -> None:
    rewrite(tmp_path, media_type)
    with pytest.raises(CorruptError, match="can't be unpacked") as refused:
        look(tmp_path)
    assert "skopeo copy --dest-compress-format gzip" in str(refused.value)


def test_what_is_where_the_environment_goes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResolveError, match="has something in /opt/venv already") as refused:
        found(tmp_path, [*root(), file_of("opt/venv/lib/python3.11/site-packages/old.py", b"")])
    assert "docker.base_environment" in str(refused.value)


# -- the configuration ------------------------------------------------------------------------------------------


def test_what_a_base_says_of_its_containers_is_kept() -> None:
    start = {
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGQUIT",
        "Healthcheck": {"Test": ["CMD", "true"]},
        "Labels": {"a": "b"},
    }
    value = {"os": "linux", "architecture": "amd64", "config": start, "rootfs": {"type": "layers", "diff_ids": []}}
    below = parse_config(Content(media_type=media.CONFIG, data=json.dumps(value).encode()))
    account = account_of(Base(image="x", digest=str(Digest.of(b"")), python="usr/bin/python3.11"), None)
    made = configure(below, Manifest(name="a", path="environments/a.yaml"), AMD64, account, []).to_content()
    kept = json.loads(made.data)["config"]
    for name in ("ExposedPorts", "Volumes", "StopSignal", "Labels"):
        assert kept[name] == start[name]
    assert f"PATH=/opt/venv/bin:{DEFAULT_PATH}" in kept["Env"]


NVIDIA = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
OF_DRIVERS = "cuda>=12.4 brand=tesla,driver>=470,driver<471"


@pytest.mark.parametrize(
    ("inherited", "said", "expected"),
    [
        ({}, {}, {}),
        ({}, {"compute": "gpu"}, NVIDIA),
        ({}, {"compute": "gpu", "cuda": "12.4"}, {**NVIDIA, "NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}),
        ({}, {"compute": "gpu", "cuda": "12.4.1"}, {**NVIDIA, "NVIDIA_REQUIRE_CUDA": "cuda>=12.4"}),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, {"compute": "gpu"}, {**NVIDIA, "NVIDIA_VISIBLE_DEVICES": "void"}),
        (
            {},
            {"compute": "gpu", "environment_variables": {"NVIDIA_DRIVER_CAPABILITIES": "all"}},
            {**NVIDIA, "NVIDIA_DRIVER_CAPABILITIES": "all"},
        ),
        (
            {"NVIDIA_REQUIRE_CUDA": OF_DRIVERS},
            {"compute": "gpu", "cuda": "12.4"},
            {**NVIDIA, "NVIDIA_REQUIRE_CUDA": OF_DRIVERS},
        ),
        (
            {"NVIDIA_REQUIRE_CUDA": OF_DRIVERS},
            {"compute": "gpu", "cuda": "12.6"},
            {**NVIDIA, "NVIDIA_REQUIRE_CUDA": "cuda>=12.6"},
        ),
        ({"NVIDIA_REQUIRE_CUDA": OF_DRIVERS}, {}, {"NVIDIA_REQUIRE_CUDA": OF_DRIVERS}),
    ],
)
def test_an_image_for_gpus_tells_the_container_runtime_what_it_needs(
    inherited: dict[str, str], said: dict[str, object], expected: dict[str, str]
) -> None:
    base = BaseConfig(platform=AMD64, diff_ids=(), environment=inherited)
    account = account_of(Base(image="x", digest=str(Digest.of(b"")), python="usr/bin/python3.11"), None)
    manifest = Manifest(name="a", path="environments/a.yaml", **said)  # type: ignore[arg-type]
    found = configure(base, manifest, AMD64, account, []).environment
    assert {name: text for name, text in found.items() if name.startswith("NVIDIA_")} == expected


@pytest.mark.parametrize("value", [{"ExposedPorts": []}, {"Volumes": "x"}, {"StopSignal": 1}, {"volumes": {}}])
def test_a_malformed_configuration_is_refused(value: dict[str, object]) -> None:
    document = {"os": "linux", "architecture": "amd64", "config": value, "rootfs": {"type": "layers", "diff_ids": []}}
    with pytest.raises(ReconcilerError, match="image configuration"):
        parse_config(Content(media_type=media.CONFIG, data=json.dumps(document).encode()))


def test_what_says_nothing_of_it_has_none() -> None:
    written = json.loads(ImageConfig(platform=AMD64).to_content().data)
    assert written["config"] == {}
