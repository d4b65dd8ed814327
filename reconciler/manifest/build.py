"""From a checked JSON value to the manifest's own types. Pure.

The schema has said that every field is known and has its kind; what is absent has the model's default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from reconciler.manifest.model import BaseImageRegistry, Build, Checks, Conda, Docker, Manifest, Python
from reconciler.values.canonical import Json
from reconciler.values.platform import SUPPORTED, Platform

Fields = Mapping[str, Json]
Makers = Mapping[str, Callable[[Json], object]]
_T = TypeVar("_T")
_PLATFORMS = {text: Platform.parse(text) for text in SUPPORTED}


def to_manifest(value: Fields, path: str, lines: Mapping[str, tuple[int, int]]) -> Manifest:
    """Make a manifest of a value that the schema has accepted."""
    return _make(Manifest, {**value, "path": path, "lines": lines}, _MANIFEST)


def _make(kind: type[_T], value: Mapping[str, object], makers: Makers) -> _T:
    """Make a value of one kind: what needs no other form is taken as it is."""
    arguments = dict(value)
    for name, make in makers.items():
        if name in arguments:
            arguments[name] = make(cast("Json", arguments[name]))
    return kind(**arguments)


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(cast("list[str]", value)) if isinstance(value, list) else (cast("str", value),)


def _text_or_texts(value: Json) -> Json | tuple[str, ...]:
    return _texts(value) if isinstance(value, list) else value


def _platforms(value: Json) -> tuple[Platform, ...]:
    return tuple([_PLATFORMS[text] for text in _texts(value)])


def _conda(value: Json) -> Conda:
    fields = cast("Fields", value)
    found = cast("list[str | dict[str, Json]]", fields.get("dependencies", []))
    return Conda(
        channels=_texts(fields.get("channels", [])),
        dependencies=tuple(item for item in found if isinstance(item, str)),
        pip=tuple(name for item in found if isinstance(item, dict) for name in _texts(item["pip"])),
    )


def _registry(value: Json) -> BaseImageRegistry:
    return _make(BaseImageRegistry, cast("Fields", value), {})


def _build(value: Json) -> Build:
    return _make(Build, cast("Fields", value), {"secrets": _texts})


def _checks(value: Json) -> Checks:
    return _make(Checks, cast("Fields", value), {"imports": _texts, "command": _texts})


def _python(value: Json) -> Python:
    return _make(Python, cast("Fields", value), _PYTHON)


def _docker(value: Json) -> Docker:
    return _make(Docker, cast("Fields", value), _DOCKER)


_PYTHON: Makers = {
    "pip": _texts,
    "pip_file": _texts,
    "extras": _texts,
    "groups": _texts,
    "local": _texts,
    "conda": _conda,
    "constraints": _text_or_texts,
    "overrides": _text_or_texts,
    "indexes": _texts,
    "build_from_source": _texts,
}
_DOCKER: Makers = {
    "base_image_registry": _registry,
    "build": _build,
    "entrypoint": _texts,
    "command": _texts,
    "arguments": _texts,
}
_MANIFEST: Makers = {
    "platforms": _platforms,
    "python": _python,
    "docker": _docker,
    "system_packages": _texts,
    "system_repositories": _texts,
    "checks": _checks,
}
