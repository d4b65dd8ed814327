"""The configuration of a base image: what Docker and others write is read, what is malformed refused."""

from __future__ import annotations

import json

import pytest

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.configuration import BaseConfig, parse_config
from reconciler.oci.descriptor import Content
from reconciler.oci.image import ImageConfig
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LAYER = Digest.of(b"layer")
AMD64 = Platform("linux", "amd64")
WHOLE = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2024-01-01T00:00:00Z",
    "docker_version": "20.10",
    "history": [{"created_by": "RUN x"}],
    "config": {
        "Env": ["PATH=/usr/bin", "A=1=2", "PATH=/bin", "EMPTY="],
        "User": "1000:1000",
        "WorkingDir": "/work",
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": None,
        "Labels": {"a": "b"},
        "OnBuild": None,
        "Image": "sha256:0",
    },
    "rootfs": {"type": "layers", "diff_ids": [str(LAYER)]},
}


def parsed(value: object) -> BaseConfig:
    return parse_config(Content(media_type=media.CONFIG, data=json.dumps(value).encode()))


def spoiled(path: str, value: object) -> dict[str, object]:
    copy = json.loads(json.dumps(WHOLE))
    *folders, last = path.split(".")
    place = copy
    for folder in folders:
        place = place[folder]
    place[last] = value
    return dict(copy)


def test_what_docker_writes_is_read() -> None:
    assert parsed(WHOLE) == BaseConfig(
        platform=AMD64,
        diff_ids=(LAYER,),
        environment={"PATH": "/bin", "A": "1=2", "EMPTY": ""},
        user="1000:1000",
        workdir="/work",
        entrypoint=("/bin/sh", "-c"),
        labels={"a": "b"},
    )


@pytest.mark.parametrize("config", [None, {}, {"Env": None, "Labels": None, "Entrypoint": None, "User": None}])
def test_what_is_not_said_is_empty(config: object) -> None:
    assert parsed(spoiled("config", config)) == BaseConfig(platform=AMD64, diff_ids=(LAYER,))


def test_what_we_write_we_read() -> None:
    written = ImageConfig(
        platform=AMD64,
        diff_ids=(LAYER,),
        environment={"B": "2", "A": "1"},
        user="1:1",
        command=("x",),
        labels={"l": ""},
    )
    found = parse_config(written.to_content())
    assert (found.environment, found.user, found.command, found.labels) == (
        written.environment,
        written.user,
        written.command,
        written.labels,
    )


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("os", None),
        ("architecture", 5),
        ("config", []),
        ("config.Env", "PATH=/bin"),
        ("config.Env", ["PATH"]),
        ("config.Env", ["=x"]),
        ("config.Env", ["A=\0"]),
        ("config.Env", [1]),
        ("config.User", ["root"]),
        ("config.User", "a\0b"),
        ("config.WorkingDir", {"x": "y"}),
        ("config.Entrypoint", "sh -c"),
        ("config.Cmd", [None]),
        ("config.Labels", {"a": 1}),
        ("config.env", ["A=1"]),
        ("Config", {}),
        ("rootfs", None),
        ("rootfs.type", "tar"),
        ("rootfs.diff_ids", None),
        ("rootfs.diff_ids", ["sha256:x"]),
        ("rootfs.diff_ids", [5]),
    ],
)
def test_what_is_malformed_is_refused_in_one_line(path: str, value: object) -> None:
    with pytest.raises(CorruptError, match="image configuration sha256:") as refused:
        parsed(spoiled(path, value))
    assert "\n" not in refused.value.message


@pytest.mark.threat("T9")
@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"os": "a", "os": "b"}', b'{"os": 1.5}', b"\xff"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptError, match="image configuration"):
        parse_config(Content(media_type=media.CONFIG, data=data))
