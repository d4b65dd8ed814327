"""What of a project is installed: its dependencies with some extras and groups, and never the project itself. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.values import pep
from reconciler.values.canonical import Json

HONOURED_SETTINGS = frozenset(
    [
        "constraint-dependencies",
        "override-dependencies",
        # These say how the project itself is built, kept or worked on.
        "build-backend",
        "cache-keys",
        "default-groups",
        "dev-dependencies",
        "managed",
        "package",
        "required-version",
    ]
)
"""The settings of uv (``tool.uv``) that are followed, or that change nothing of what is installed here."""
_MAX_GROUPS = 100


class UnknownPartError(ValueError):
    """An extra or a group that the project does not have; ``field`` names it in the manifest."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependencies:
    """Requirements in one spelling, sorted, and what limits them; ``pins`` are the versions that ``uv.lock`` has."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    settings: Mapping[str, Json] = field(default_factory=dict)
    pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def dependencies_of(project: Mapping[str, Json], extras: Iterable[str], groups: Iterable[str]) -> Dependencies:
    """Choose from what :func:`reconciler.manifest.project.parse_project` read; what can't be chosen is a ValueError."""
    found = {*_texts(project.get("dependencies"))}
    for index, extra in enumerate(extras):
        found |= {*_extra(project, pep.normalise(extra), f"python.extras[{index}]")}
    for index, group in enumerate(groups):
        found |= {*_group(project, pep.normalise(group), f"python.groups[{index}]", ())}
    settings, pins = _mapping(project.get("uv")), _mapping(project.get("pins"))
    return Dependencies(
        requirements=tuple(sorted(_without_itself(project, found))),
        constraints=_canonical(settings.get("constraint-dependencies")),
        overrides=_canonical(settings.get("override-dependencies")),
        settings=settings,
        pins={name: _texts(versions) for name, versions in pins.items()},
    )


def fits_python(project: Mapping[str, Json], version: str) -> bool:
    """Tell whether the project runs on every Python of a version (3.11 begins with 3.11.0)."""
    needed = project.get("requires_python")
    if not isinstance(needed, str) or not needed.strip():
        return True
    full = version if version.count(".") > 1 else f"{version}.0"
    try:
        return pep.Requirement.parse(f"python{needed}").allows(full)
    except ValueError:
        return False


def _extra(project: Mapping[str, Json], name: str, where: str) -> tuple[str, ...]:
    optional = _mapping(project.get("optional"))
    if name not in optional:
        raise UnknownPartError(where, f"the project has no extra {name}{_known(optional)}")
    return _texts(optional[name])


def _group(project: Mapping[str, Json], name: str, where: str, above: tuple[str, ...]) -> Iterator[str]:
    groups = _mapping(project.get("groups"))
    if name not in groups:
        raise UnknownPartError(where, f"the project has no dependency group {name}{_known(groups)}")
    listed = groups[name]
    if name in above or len(above) > _MAX_GROUPS or not isinstance(listed, list):
        raise UnknownPartError(where, f"the dependency group {name} includes itself, or is no list")
    for item in listed:
        if isinstance(item, str):
            yield pep.canonical_requirement(item)
        elif isinstance(item, dict) and [*item] == ["include-group"] and isinstance(item["include-group"], str):
            yield from _group(project, pep.normalise(item["include-group"]), where, (*above, name))
        else:
            raise UnknownPartError(where, f"the dependency group {name} holds neither a requirement nor a group")


def _without_itself(project: Mapping[str, Json], requirements: Iterable[str]) -> set[str]:
    """Put an extra's requirements in the place of a requirement of the project itself (``app[extra]``)."""
    own, found, waiting, seen = project.get("name"), set[str](), [*requirements], set[str]()
    while waiting:
        text = waiting.pop()
        if text in seen:
            continue
        seen.add(text)
        parsed = pep.Requirement.parse(text) if own and text.startswith(str(own)) else None
        if parsed is None or parsed.name != own:
            found.add(text)
        elif parsed.marker is not None or parsed.url is not None:
            raise ValueError(f"the project requires itself under a condition ({text[:100]}), which is not followed")
        else:
            for extra in parsed.extras:
                waiting += _extra(project, extra, "python.project")
    return found


def _canonical(listed: Json) -> tuple[str, ...]:
    return tuple(sorted({pep.canonical_requirement(text) for text in _texts(listed)}))


def _known(parts: Mapping[str, Json]) -> str:
    return f"; it has {', '.join(sorted(parts))}" if parts else ""


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
