"""The configuration of an image that others build on, read strictly (image-spec 1.1, config.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Content
from reconciler.oci.document import as_array, as_object, as_text, as_texts, refuse_lookalikes
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

_FIELDS = frozenset({"architecture", "os", "config", "rootfs", "variant"})
_START = frozenset(
    {"Env", "User", "WorkingDir", "Entrypoint", "Cmd", "Labels", "ExposedPorts", "Volumes", "StopSignal"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseConfig:
    """What is taken over from a base: its platform, the digests of its uncompressed layers, how a container starts."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""


def parse_config(content: Content) -> BaseConfig:
    """Read a configuration; one that is malformed is a CorruptError with the field's path.

    What Docker writes beside the specification is passed over, and a null is as if nothing stood there. Of a variable
    that is set twice the last counts, as it does where a container starts.
    """
    try:
        value = content.document
        refuse_lookalikes(value, _FIELDS, "configuration")
        start = as_object(_or(value.get("config"), {}), "config")
        refuse_lookalikes(start, _START, "config")
        return BaseConfig(
            platform=Platform(as_text(value.get("os"), "os"), as_text(value.get("architecture"), "architecture")),
            diff_ids=_diff_ids(as_object(value.get("rootfs"), "rootfs")),
            environment=dict(map(_variable, _texts(start, "Env"))),
            user=_text(start, "User"),
            workdir=_text(start, "WorkingDir"),
            entrypoint=_texts(start, "Entrypoint"),
            command=_texts(start, "Cmd"),
            labels=as_texts(_or(start.get("Labels"), {}), "config.Labels"),
            ports=_keys(start, "ExposedPorts"),
            volumes=_keys(start, "Volumes"),
            stop_signal=_text(start, "StopSignal"),
        )
    except ValueError as error:
        raise CorruptError(f"image configuration {content.digest}: {error}") from error


def _diff_ids(value: Mapping[str, Json]) -> tuple[Digest, ...]:
    if value.get("type") != "layers":
        raise ValueError("rootfs.type is not `layers`")
    found = enumerate(as_array(value.get("diff_ids"), "rootfs.diff_ids"))
    return tuple(Digest.parse(as_text(item, f"rootfs.diff_ids[{place}]")) for place, item in found)


def _or(value: Json, otherwise: Json) -> Json:
    return otherwise if value is None else value


def _text(value: Mapping[str, Json], name: str) -> str:
    return _clean(as_text(_or(value.get(name), ""), f"config.{name}"), f"config.{name}")


def _texts(value: Mapping[str, Json], name: str) -> tuple[str, ...]:
    found = as_array(_or(value.get(name), []), f"config.{name}")
    return tuple(
        _clean(as_text(item, f"config.{name}[{place}]"), f"config.{name}[{place}]") for place, item in enumerate(found)
    )


def _keys(value: Mapping[str, Json], name: str) -> tuple[str, ...]:
    """Read a set, which Go writes as an object of empty objects."""
    found = as_object(_or(value.get(name), {}), f"config.{name}")
    return tuple(sorted(_clean(key, f"config.{name}") for key in found))


def _clean(text: str, path: str) -> str:
    if "\0" in text:
        raise ValueError(f"{path}: a NUL")
    return text


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise ValueError(f"config.Env: {text[:60]!a} sets no variable")
    return name, value
