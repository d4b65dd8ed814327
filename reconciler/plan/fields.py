"""Which fields of a request changed, and where they stand in the manifest. Pure.

Where the recorded components are known by value, every differing leaf is named; else every differing component, by
digest.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.plan.change import Change, Reason
from reconciler.plan.observed import Present
from reconciler.values.canonical import Json


def request_changes(desired: Desired, seen: Present) -> tuple[Change, ...]:
    """Name what differs between the recorded request and the desired one, at least one change."""
    recorded, facts = seen.bodies, seen.record.facts
    new = desired.digests
    changes: list[Change] = []
    for name in sorted({*facts.components, *new}):
        if facts.components.get(name) == new.get(name):
            continue
        reason = Reason.BASE if name == "base" else Reason.REQUEST
        if recorded is not None and name in recorded.components and name in desired.components:
            leaves = list(_leaves("", recorded.components[name], desired.components[name]))
            changes += [_change(reason, name, leaf, desired.manifest) for leaf in leaves]
        else:
            was, now = facts.components.get(name), new.get(name)
            leaf = ("", str(was) if was else None, str(now) if now else None)
            changes.append(_change(reason, name, leaf, desired.manifest))
    if not changes:
        changes.append(Change(reason=Reason.REQUEST, old=str(facts.request), new=str(desired.request)))
    return tuple(changes)


def _leaves(path: str, old: Json, new: Json) -> Iterator[tuple[str, Json, Json]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _leaves(f"{path}.{key}" if path else key, old.get(key), new.get(key))
    else:
        yield path, old, new


def _change(reason: Reason, component: str, leaf: tuple[str, Json, Json], manifest: Manifest) -> Change:
    path, old, new = leaf
    full = f"{component}.{path}" if path else component
    return Change(reason=reason, path=full, old=old, new=new, location=manifest.locate(full))
