"""Which fields of a request changed, under the names that the manifest gives them, and where they stand. Pure.

Where the recorded components are known by value, every differing leaf is named; else every differing component, by
digest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.plan.change import Change, Reason
from reconciler.plan.observed import Present
from reconciler.values.canonical import Json, digest_of
from reconciler.values.location import Location

Leaf = tuple[str, Json, Json]
"""A path that begins with the component, the recorded value and the desired one."""

FIELDS = {
    "base.variant": "docker.base",
    "base.image": "docker.base_image",
    "base.registry": "docker.base_image_registry",
    "base.environment.name": "docker.base_environment",
    "base.environment.request": "docker.base_environment",
    "base.environment": "docker.base_environment",
    "base.enabled": "docker.enabled",
    "base.compute": "compute",
    "base.cuda": "cuda",
    "base.catalog": "compute",
    "python.user_managed": "python.user_managed_dependencies",
    "packages.requirements": "python.pip",
    "packages.wheels": "python.pip",
    "packages.hashes": "python.pip_file",
    "packages": "python",
    "system.packages": "system_packages",
    "system.repositories": "system_repositories",
    "image": "docker",
    "variables": "environment_variables",
    "dockerfile.text": "docker.base_dockerfile",
    "dockerfile": "docker.build",
    "builder.builder": "builder",
}
"""A component, or a part of one, to the manifest's field; what is not here has the same name in both."""

_UNORDERED = re.compile(
    r"packages\.(?:requirements|constraints|overrides|build_from_source|extras|groups|conda\.dependencies|hashes\..*)"
    r"|system\.packages|dockerfile\.secrets",
)
_NAME = re.compile(r"(?:[^:\s]*::)?([A-Za-z0-9_][A-Za-z0-9._-]*)")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_MAX_TEXT = 2000


def request_changes(desired: Desired, seen: Present) -> tuple[Change, ...]:
    """Name what differs between the recorded request and the desired one, at least one change.

    A change of the base alone has the reason BASE.
    """
    facts, wanted = seen.record.facts, desired.digests
    changes: list[Change] = []
    for name in sorted({*facts.components, *wanted}):
        was, now = facts.components.get(name), wanted.get(name)
        if was == now:
            continue
        reason = Reason.BASE if name == "base" else Reason.REQUEST
        leaves = _telling(_leaves_of(name, desired, seen))
        changes += [_change(reason, leaf, desired.manifest) for leaf in leaves]
        if not leaves:
            place = desired.manifest.locate(FIELDS.get(name, name))
            old, new = (str(digest) if digest else None for digest in (was, now))
            changes.append(Change(reason=reason, path=name, old=old, new=new, location=place))
    if not changes:
        changes.append(Change(reason=Reason.REQUEST, old=str(facts.request), new=str(desired.request)))
    return tuple(changes)


def shown(value: Json) -> Json:
    """Give a value as a plan may show it: without credentials in an address, a long or many-lined text by digest."""
    if isinstance(value, str):
        return str(digest_of(value)) if len(value) > _MAX_TEXT or "\n" in value else _CREDENTIALS.sub("***@", value)
    if isinstance(value, list):
        return [shown(item) for item in value]
    return {key: shown(item) for key, item in value.items()} if isinstance(value, dict) else value


def _leaves_of(name: str, desired: Desired, seen: Present) -> list[Leaf]:
    if seen.bodies is None or name not in seen.bodies.components or name not in desired.components:
        return []
    return list(_leaves(name, seen.bodies.components[name], desired.components[name]))


def _telling(leaves: list[Leaf]) -> list[Leaf]:
    """Leave out that another environment below has another request."""
    named = any(path == "base.environment.name" for path, _, _ in leaves)
    return [leaf for leaf in leaves if leaf[0] != "base.environment.request"] if named else leaves


def _leaves(path: str, old: Json, new: Json) -> Iterator[Leaf]:
    if old == new:
        return
    if isinstance(old, list) and isinstance(new, list):
        yield from _list_leaves(path, old, new)
    elif isinstance(old, (dict, type(None))) and isinstance(new, (dict, type(None))):
        before, after = old or {}, new or {}
        for key in sorted({*before, *after}):
            yield from _leaves(f"{path}.{key}", before.get(key), after.get(key))
    elif old is None and isinstance(new, list):
        yield from _leaves(path, [], new)
    elif new is None and isinstance(old, list):
        yield from _leaves(path, old, [])
    else:
        yield path, old, new


def _list_leaves(path: str, old: list[Json], new: list[Json]) -> Iterator[Leaf]:
    named = all(isinstance(item, dict) and isinstance(item.get("name"), str) for item in (*old, *new))
    if named or _UNORDERED.fullmatch(path):
        yield from _paired(path, _by_name(old), _by_name(new))
    else:
        yield path, old or None, new or None


def _paired(path: str, old: Mapping[str, list[Json]], new: Mapping[str, list[Json]]) -> Iterator[Leaf]:
    """Pair what left a list with what came to it under the same name."""
    for name in sorted({*old, *new}):
        left = [item for item in old.get(name, []) if item not in new.get(name, [])]
        came = [item for item in new.get(name, []) if item not in old.get(name, [])]
        for position in range(max(len(left), len(came))):
            was = left[position] if position < len(left) else None
            now = came[position] if position < len(came) else None
            yield f"{path}[{name}]", was, now


def _by_name(items: list[Json]) -> dict[str, list[Json]]:
    named: dict[str, list[Json]] = {}
    for item in items:
        text = item.get("name") if isinstance(item, dict) else item
        named.setdefault(_name_of(str(text)), []).append(item)
    return named


def _name_of(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match.group(1) if match is not None else requirement[:80]


def _change(reason: Reason, leaf: Leaf, manifest: Manifest) -> Change:
    path, old, new = leaf
    field, location = _field(path, manifest)
    return Change(reason=reason, path=field, old=shown(old), new=shown(new), location=location)


def _field(path: str, manifest: Manifest) -> tuple[str, Location]:
    """Translate a component's path into the manifest's field, and find its line."""
    known, rest = path, ""
    while known and known not in FIELDS:
        cut = max(known.rfind("."), known.rfind("["), 0)
        known, rest = known[:cut], known[cut:] + rest
    field = FIELDS.get(known, known) + rest
    if known == "packages.requirements":
        return _requirement(rest.strip("[]"), manifest)
    if known == "system.packages" and rest:
        return field, _item("system_packages", manifest.system_packages, rest.strip("[]"), manifest)
    return field, manifest.locate(field)


def _requirement(name: str, manifest: Manifest) -> tuple[str, Location]:
    """Find a requirement in the manifest's own list, else in the first file or project that it may come from."""
    python = manifest.python
    named = _same(name)
    if any(_same(_name_of(item)) == named for item in python.pip) or not (python.pip_file or python.conda_file):
        return f"python.pip[{name}]", _item("python.pip", python.pip, name, manifest)
    field = "python.pip_file" if python.pip_file else "python.conda_file"
    return f"{field}[{name}]", manifest.locate(field)


def _item(field: str, items: tuple[str, ...], name: str, manifest: Manifest) -> Location:
    for position, item in enumerate(items):
        if _same(_name_of(item)) == _same(name):
            return manifest.locate(f"{field}[{position}]")
    return manifest.locate(field)


def _same(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
