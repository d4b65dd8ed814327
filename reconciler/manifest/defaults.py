"""Which fields a manifest leaves to their default, and the value that was filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property

from reconciler.manifest.model import Build, Docker, Manifest, Python
from reconciler.values.canonical import Json

_OWN = frozenset(["name", "path", "lines", "checks", "python", "docker"])


def _leaves() -> tuple[tuple[str, tuple[str, ...]], ...]:
    names: list[tuple[str, ...]] = [(field.name,) for field in fields(Manifest) if field.name not in _OWN]
    names += [("checks", "imports"), ("checks", "command")]
    names += [("python", field.name) for field in fields(Python)]
    names += [("docker", field.name) for field in fields(Docker) if field.name != "build"]
    names += [("docker", "build", field.name) for field in fields(Build)]
    return tuple((".".join(name), name) for name in names)


_LEAVES = _leaves()


class FilledIn(Mapping[str, Json]):
    """Every field that a file doesn't write, by its path, with its value: the default, or what ``extends`` gives.

    Worked out when it is first asked for: a plan without changes never asks.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    @cached_property
    def _values(self) -> dict[str, Json]:
        written = self._manifest.lines
        return {path: _plain(_value(self._manifest, names)) for path, names in _LEAVES if path not in written}

    def __getitem__(self, path: str) -> Json:
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _value(manifest: Manifest, names: tuple[str, ...]) -> object:
    value: object = manifest
    for name in names:
        value = getattr(value, name)
    return value


def _plain(value: object) -> Json:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not hasattr(value, "architecture"):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
