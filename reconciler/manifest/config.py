"""``reconciler.yaml``: what the environments of a repository have in common, every default filled in. Pure.

Field names and defaults are those of ``schemas/config.schema.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from reconciler.errors import ManifestError
from reconciler.manifest.checks import BASES, CONDAS, check_value
from reconciler.manifest.problem import Problem
from reconciler.manifest.secrets import Finding, find_secrets
from reconciler.values import names, paths
from reconciler.values.canonical import Json
from reconciler.values.location import Location

DEFAULT_REGISTRY = ".reconciler/registry"
DEFAULT_FOLDER = "environments"
_ENTRIES = {"standard": "debian", "slim": "debian-slim"}
ARCHIVES = frozenset(["debian", "debian-security", "ubuntu", "ubuntu-ports", "ubuntu-security"])
"""The archives of distributions; Ubuntu has other architectures than amd64 in one of their own."""
Fields = Mapping[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageSource:
    """``indexes`` and ``channels``: an address, without a credential."""

    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemRepository:
    """``system_repositories``: a Debian archive; ``key`` is the path of its public key."""

    url: str
    suite: str
    key: str
    components: tuple[str, ...] = ("main",)


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveSource:
    """``archives``: where the archive of a distribution is.

    ``mirror`` holds its newest state, ``snapshot`` its earlier ones, each in a folder that is named after its time
    (``20250520T000000Z``). Without one, the machine says.
    """

    mirror: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryHost:
    """``registries``: how the registry at one host is reached.

    ``certificate_authority`` is the path of a file; ``token_host`` may see the registry's credentials too.
    """

    plain_http: bool = False
    certificate_authority: str | None = None
    token_host: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Policies:
    """``policies``: what an apply may do."""

    max_deletes: int = 5
    protected: tuple[str, ...] = ()
    require_lock: bool = False


def _default_bases() -> Mapping[str, Mapping[str, Json]]:
    return {"cpu": dict(_ENTRIES), "gpu": {**_ENTRIES, "cuda": {}}}


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The configuration. ``bases`` is the catalog (:mod:`reconciler.manifest.catalog`).

    ``archives`` are those of distributions, by the alias that locks have. ``manager`` is none where the origin and the
    manifests' folder say who registers. ``defaults`` holds the named sets of ``extends`` as written.
    """

    registry: str = DEFAULT_REGISTRY
    manager: str | None = None
    branches: Mapping[str, str] = field(default_factory=dict)
    registries: Mapping[str, RegistryHost] = field(default_factory=dict)
    manifests: str = DEFAULT_FOLDER
    bases: Mapping[str, Mapping[str, Json]] = field(default_factory=_default_bases)
    indexes: Mapping[str, PackageSource] = field(default_factory=dict)
    channels: Mapping[str, PackageSource] = field(default_factory=dict)
    archives: Mapping[str, ArchiveSource] = field(default_factory=dict)
    system_repositories: Mapping[str, SystemRepository] = field(default_factory=dict)
    defaults: Mapping[str, Fields] = field(default_factory=dict)
    policies: Policies = field(default_factory=Policies)

    def registry_of(self, branch: str | None) -> str:
        """Say which registry a branch registers in."""
        return self.branches.get(branch, self.registry) if branch is not None else self.registry


def parse_config(data: bytes | None, path: str, schema: str) -> Config:
    """Read the configuration; without a file, or with nothing in it but comments, all is default.

    A ManifestError holds every problem that was found.
    """
    if data is None:
        return Config()
    from reconciler.manifest.reading import read_checked  # noqa: PLC0415  # heavy, and most have no configuration

    converted = read_checked(data, path, schema)
    if converted.empty:
        return Config()
    problems = [*converted.problems]
    if isinstance(converted.value, dict):
        known = {problem.location for problem in problems}
        for where, message, hint in _check(converted.value):
            place = converted.places.get(where) or next(iter(converted.places.values()))
            location = Location(path, place.line, place.column)
            if location not in known:
                problems.append(Problem(location, message, hint))
        if not problems:
            return _config(converted.value)
    found = tuple(sorted(set(problems)))
    raise ManifestError(found[0].message, where=found[0].location, hint=found[0].hint or None, problems=found)


def fill_in(value: Fields, defaults: Fields) -> Fields:
    """Fill in what a manifest leaves open. Mappings are merged, anything else is the manifest's or the defaults'.

    Of fields that exclude one another (``docker.base_image`` and its like), one in the manifest leaves out all of the
    defaults'.
    """
    return _merge(value, defaults, "")


def _merge(own: Fields, defaults: Fields, where: str) -> dict[str, Json]:
    merged = {name: item for name, item in defaults.items() if not _left_out(own, name, where)}
    for name, item in own.items():
        below = merged.get(name)
        both = isinstance(item, dict) and isinstance(below, dict)
        merged[name] = _merge(cast("Fields", item), cast("Fields", below), name) if both else item
    return merged


def _left_out(own: Fields, name: str, where: str) -> bool:
    group = {"docker": BASES, "python": CONDAS}.get(where, ())
    return name in group and name not in own and any(other in own for other in group)


def _check(value: Fields) -> Iterator[Finding]:
    """Check what the schema can't say."""
    yield from find_secrets({name: item for name, item in value.items() if name != "defaults"})
    for name, item in _mapping(value, "defaults").items():
        if isinstance(item, dict):
            yield from check_value(item, f"defaults.{name}.")
            yield from find_secrets(item, f"defaults.{name}.")
    yield from _check_paths(value)
    yield from _check_registries(value)
    for group in ("indexes", "channels"):
        if "default" in _mapping(value, group):
            yield f"{group}.default", "`default` names what the machine uses itself", "choose another alias"
    for alias in sorted(ARCHIVES & _mapping(value, "system_repositories").keys()):
        yield f"system_repositories.{alias}", f"`{alias}` is the archive of a distribution", "choose another alias"
    protected = _mapping(value, "policies").get("protected")
    for index, protectee in enumerate(protected if isinstance(protected, list) else ()):
        reason = names.refusal(protectee) if isinstance(protectee, str) else None
        if reason is not None:
            yield f"policies.protected[{index}]", reason, "write an environment's name"


def _check_paths(value: Fields) -> Iterator[Finding]:
    named: dict[str, Json] = {"manifests": value.get("manifests")}
    for alias, repository in _mapping(value, "system_repositories").items():
        if isinstance(repository, dict):
            named[f"system_repositories.{alias}.key"] = repository.get("key")
    for host, registry in _mapping(value, "registries").items():
        if isinstance(registry, dict):
            named[f"registries.{host}.certificate_authority"] = registry.get("certificate_authority")
    for where, text in named.items():
        if isinstance(text, str):
            try:
                paths.join("", text)
            except ValueError as error:
                yield where, str(error), "name a path inside this repository, relative to its root"


def _check_registries(value: Fields) -> Iterator[Finding]:
    for host, registry in _mapping(value, "registries").items():
        if isinstance(registry, dict) and registry.get("plain_http") is True and "certificate_authority" in registry:
            where = f"registries.{host}.certificate_authority"
            yield where, "over plain HTTP there is no certificate", "delete one of the two lines"


def _mapping(value: Fields, name: str) -> Fields:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _config(value: Fields) -> Config:
    """Make the configuration of a value that the schema has accepted."""
    policies = {
        name: tuple(item) if isinstance(item, list) else item for name, item in _mapping(value, "policies").items()
    }
    default, bases = _default_bases(), _mapping(value, "bases")
    folder = paths.join("", str(value.get("manifests", DEFAULT_FOLDER)))
    return Config(
        registry=str(value.get("registry", DEFAULT_REGISTRY)),
        manager=cast("str | None", value.get("manager")),
        branches=cast("Mapping[str, str]", _mapping(value, "branches")),
        registries=_registries(value),
        manifests=folder,
        bases={compute: {**default[compute], **_mapping(bases, compute)} for compute in default},
        indexes=_sources(value, "indexes"),
        channels=_sources(value, "channels"),
        archives=_archives(value),
        system_repositories=_repositories(value),
        defaults=cast("Mapping[str, Fields]", _mapping(value, "defaults")),
        policies=Policies(**policies),  # type: ignore[arg-type]  # the schema has said what each is
    )


def _sources(value: Fields, group: str) -> Mapping[str, PackageSource]:
    return {alias: PackageSource(**cast("dict[str, str]", item)) for alias, item in _mapping(value, group).items()}


def _archives(value: Fields) -> Mapping[str, ArchiveSource]:
    found = _mapping(value, "archives").items()
    return {alias: ArchiveSource(**cast("dict[str, str]", item)) for alias, item in found}


def _registries(value: Fields) -> Mapping[str, RegistryHost]:
    found: dict[str, RegistryHost] = {}
    for host, item in _mapping(value, "registries").items():
        fields = dict(cast("Fields", item))
        authority = fields.get("certificate_authority")
        if isinstance(authority, str):
            fields["certificate_authority"] = paths.join("", authority)
        found[host] = RegistryHost(**fields)  # type: ignore[arg-type]  # the schema has said what each is
    return found


def _repositories(value: Fields) -> Mapping[str, SystemRepository]:
    found: dict[str, SystemRepository] = {}
    for alias, item in _mapping(value, "system_repositories").items():
        fields = cast("dict[str, str]", item)
        components = tuple(fields.get("components", ("main",)))
        found[alias] = SystemRepository(
            url=fields["url"], suite=fields["suite"], key=fields["key"], components=components
        )
    return found
