"""What uv is asked, from a request's components alone, so that a lock depends on the request alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from reconciler.errors import ResolveError
from reconciler.manifest.dependencies import Dependencies, dependencies_of
from reconciler.manifest.desired import Desired
from reconciler.manifest.refusal import unsolvable
from reconciler.resolvers.target import MACOS, Target
from reconciler.values.canonical import Json
from reconciler.values.pep import normalise

_INPUT, _CONSTRAINTS, _OVERRIDES, _PROJECT = "requirements.in", "constraints.txt", "overrides.txt", "pyproject.toml"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Requirements and the rules that a solution must keep.

    ``sources`` gives packages that come from one alias only, ``hashes`` the sha256 that a requirement admits, ``pins``
    the versions that a project's own lock has.
    """

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    sources: Mapping[str, str]
    build_from_source: tuple[str, ...] = ()
    exclude_newer: str | None = None
    hashes: Mapping[str, tuple[str, ...]]
    pins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The packages that are required directly."""
        return tuple(sorted({name_of(requirement) for requirement in self.requirements}))

    @property
    def moment(self) -> str:
        """The moment after which uploads don't count; empty where all do."""
        return _end_of_day(self.exclude_newer) if self.exclude_newer else ""

    def asked_of(self, name: str) -> tuple[str, ...]:
        """Give every requirement and constraint on a package; an override stands for all of them."""
        overrides = tuple(text for text in self.overrides if name_of(text) == name)
        return overrides or tuple(text for text in (*self.requirements, *self.constraints) if name_of(text) == name)

    def with_requirements(self, *requirements: str) -> Question:
        """Ask for these as well."""
        return replace(self, requirements=(*self.requirements, *requirements))

    def on(self, target: Target) -> Question:
        """Ask for what every environment of a target has, and hold what its base brings."""
        named = self.names
        more = tuple(text for text in target.required if name_of(text) not in named)
        return self.with_requirements(*more).with_constraints(target.installed)

    def with_constraints(self, versions: Mapping[str, str]) -> Question:
        """Hold packages at these versions, without requiring them."""
        held = (f"{name}=={version}" for name, version in sorted(versions.items()))
        return replace(self, constraints=(*self.constraints, *held))

    def arguments(self, target: Target) -> list[str]:
        """Write uv's arguments; the first names the file with the requirements."""
        found = [
            _PROJECT if self._pinned else _INPUT,
            "--only-binary=:all:",
            *(f"--no-binary={name}" for name in self.build_from_source),
            f"--python-version={target.interpreter.version}",
            f"--python-platform={target.uv_platform}",
        ]
        found += ["--constraints", _CONSTRAINTS] if self.constraints else []
        found += ["--overrides", _OVERRIDES] if self.overrides else []
        found += [f"--exclude-newer={self.moment}"] if self.exclude_newer else []
        return found

    def files(self, addresses: Mapping[str, str]) -> dict[str, str]:
        """Write the files that uv reads; ``addresses`` are those of the aliases, without credentials."""
        pinned = self._pinned
        found = {_CONSTRAINTS: _lines(self.constraints), _OVERRIDES: _lines(self.overrides)}
        return {**found, **({_PROJECT: self._project(addresses)} if pinned else {_INPUT: _lines(self.requirements)})}

    @property
    def _pinned(self) -> dict[str, str]:
        names = self.names
        return {name: alias for name, alias in self.sources.items() if name in names}

    def _project(self, addresses: Mapping[str, str]) -> str:
        # The only way to tell uv that a package comes from one index and no other.
        requirements = ",\n".join(json.dumps(requirement) for requirement in self.requirements)
        pinned = self._pinned
        lines = [f'[project]\nname = "environment"\nversion = "0"\ndependencies = [\n{requirements}\n]']
        lines += ["[tool.uv.sources]", *(f'{name} = {{ index = "{source_name(pinned[name])}" }}' for name in pinned)]
        for alias in sorted(set(pinned.values())):
            url = json.dumps(addresses[alias])
            lines.append(f'[[tool.uv.index]]\nname = "{source_name(alias)}"\nurl = {url}\nexplicit = true')
        return "\n".join(lines) + "\n"


VARIABLES = {"MACOSX_DEPLOYMENT_TARGET": MACOS}
"""What else uv must be told about the target."""


def source_name(alias: str) -> str:
    """Name the index that only the packages pinned to it come from."""
    return f"source-{alias}"


def question_of(desired: Desired) -> Question:
    """Read the components; what no lock can hold yet is a ResolveError with its line."""
    packages = desired.components["packages"]
    assert isinstance(packages, dict)  # noqa: S101  # the form is fixed in manifest.identity
    refusal = unsolvable(desired)
    if refusal is not None:
        raise ResolveError(refusal.message, where=desired.manifest.locate(refusal.field))
    newest = packages.get("exclude_newer")
    sources, hashes = packages.get("sources") or {}, packages.get("hashes") or {}
    assert isinstance(sources, dict)  # noqa: S101  # as above
    assert isinstance(hashes, dict)  # noqa: S101  # as above
    project = _project(desired, packages)
    return Question(
        requirements=tuple(sorted({*_texts(packages, "requirements"), *project.requirements})),
        constraints=tuple(sorted({*_texts(packages, "constraints"), *project.constraints})),
        overrides=tuple(sorted({*_texts(packages, "overrides"), *project.overrides})),
        pins=project.pins,
        indexes=_texts(packages, "indexes"),
        sources={normalise(name): str(alias) for name, alias in sources.items()},
        build_from_source=tuple(normalise(name) for name in _texts(packages, "build_from_source")),
        exclude_newer=None if newest is None else str(newest),
        hashes={requirement: _texts(hashes, requirement) for requirement in hashes},
    )


def _project(desired: Desired, packages: Mapping[str, Json]) -> Dependencies:
    found, python = packages.get("project"), desired.manifest.python
    return dependencies_of(found, python.extras, python.groups) if isinstance(found, dict) else NOTHING


NOTHING = Dependencies(requirements=())


def name_of(requirement: str) -> str:
    """Give the package that a requirement names."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return normalise(match[0]) if match else ""


def _texts(values: Mapping[str, Json], key: str) -> tuple[str, ...]:
    found = values.get(key)
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


def _lines(texts: tuple[str, ...]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _end_of_day(text: str) -> str:
    """Say which moment a date means: uv alone would take the machine's time zone."""
    if _DAY.fullmatch(text) is None:
        return text
    return f"{date.fromisoformat(text) + timedelta(days=1)}T00:00:00Z"
