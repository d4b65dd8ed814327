"""A plan as a file: JSON in canonical form, as ``schemas/plan.schema.json`` describes it.

``apply FILE`` derives the plan again and lets the file only narrow it, so that of a file nothing needs to be believed
but what to leave out: :func:`parse_document` keeps what staleness is judged by, and nothing else. Pure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from reconciler.errors import StalePlanError, UsageError
from reconciler.lock.difference import PackageChange
from reconciler.plan.change import Action, Change, Plan, Step
from reconciler.plan.observed import Past
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.digest import Digest
from reconciler.values.location import Location
from reconciler.values.names import refusal

FORMAT_VERSION = 1
MAX_BYTES = 256 << 20
MAX_STEPS = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedStep:
    """What a saved plan says about one environment: the action, what it was judged against, and the target."""

    name: str
    action: Action
    observed: Digest | None
    request: Digest | None
    lock: Digest | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedPlan:
    """A saved plan, as far as it may have a say: the registry, the manager and the steps by name."""

    registry: str
    manager: str
    steps: Mapping[str, SavedStep]


# -- out --------------------------------------------------------------------------------------------------------


def to_document(plan: Plan) -> bytes:
    """Write a plan in canonical form with a final newline; no secret and no path of this machine is in it."""
    return to_canonical(to_json(plan)) + b"\n"


def to_json(plan: Plan) -> dict[str, Json]:
    """Write a plan as ``plan.schema.json`` spells it."""
    commit = plan.revision.commit
    counts = Counter(step.action.value for step in plan.steps)
    return {
        "format_version": FORMAT_VERSION,
        "registry": portable(plan.registry),
        "manager": plan.manager,
        "revision": {"commit": str(commit) if commit else None, "dirty": plan.revision.dirty},
        "steps": [step_to_json(step) for step in plan.steps],
        "summary": dict(sorted(counts.items())),
        "notes": list(plan.notes),
    }


def step_to_json(step: Step) -> dict[str, Json]:
    """Write one step as ``plan.schema.json`` spells it."""
    return {
        "name": step.name,
        "action": step.action.value,
        "location": _location_to_json(step.location),
        "changes": [change_to_json(change) for change in step.changes],
        "observed": _text(step.observed),
        "request": _text(step.request),
        "lock": _text(step.lock),
        "platforms": [str(platform) for platform in sorted(step.platforms)],
        "packages": None if step.packages is None else [package_to_json(package) for package in step.packages],
        "reuse": None if step.reuse is None else _past_to_json(step.reuse),
        "note": step.note,
        "destructive": step.destructive,
    }


def change_to_json(change: Change) -> dict[str, Json]:
    """Write one reason as ``plan.schema.json`` spells it."""
    return {
        "reason": change.reason.value,
        "path": change.path,
        "old": change.old,
        "new": change.new,
        "location": None if change.location is None else _location_to_json(change.location),
    }


def package_to_json(package: PackageChange) -> dict[str, Json]:
    """Write one package that moves as ``plan.schema.json`` spells it."""
    return {
        "name": package.name,
        "old": package.old,
        "new": package.new,
        "platforms": [str(platform) for platform in package.platforms],
        "size_delta": package.size_delta,
        "kind": package.kind.value,
    }


def portable(address: str) -> str:
    """Name a registry so that it means the same elsewhere: an absolute folder by its last two parts."""
    path = PurePath(address)
    return "/".join(path.parts[-2:]) if path.is_absolute() else address


def _past_to_json(past: Past) -> dict[str, Json]:
    return {"name": past.name, "version": past.version, "record": str(past.record)}


def _location_to_json(location: Location) -> dict[str, Json]:
    return {"path": location.path, "line": location.line, "column": location.column}


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


# -- in ---------------------------------------------------------------------------------------------------------


def parse_document(data: bytes) -> SavedPlan:
    """Read a saved plan, within limits; what is no plan of this format is a UsageError."""
    value = _parse_object(data)
    if value.get("format_version") != FORMAT_VERSION or isinstance(value["format_version"], bool):
        raise _unreadable(f"it has format version {str(value.get('format_version'))[:20]}, not {FORMAT_VERSION}")
    steps = value.get("steps")
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise _unreadable(f"its steps are no list of at most {MAX_STEPS}")
    saved: dict[str, SavedStep] = {}
    for number, item in enumerate(steps):
        step = _parse_step(f"steps[{number}]", item)
        if step.name in saved:
            raise _unreadable(f"steps[{number}] is a second step for {step.name}")
        saved[step.name] = step
    return SavedPlan(
        registry=_parse_text(value, "registry", ""),
        manager=_parse_text(value, "manager", ""),
        steps=saved,
    )


def _parse_object(data: bytes) -> dict[str, Json]:
    if len(data) > MAX_BYTES:
        raise _unreadable(f"it is larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError as error:
        raise _unreadable("it is nested too deeply") from error
    except ValueError as error:
        raise _unreadable("it is not JSON, or names a key twice") from error
    if not isinstance(value, dict):
        raise _unreadable("it is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice")
    return value


def _parse_step(path: str, value: Json) -> SavedStep:
    if not isinstance(value, dict):
        raise _unreadable(f"{path} is not an object")
    name = _parse_text(value, "name", path)
    reason = refusal(name)
    if reason is not None:
        raise _unreadable(f"{path}.name: {reason}")
    try:
        action = Action(value.get("action"))
    except ValueError as error:
        raise _unreadable(f"{path}.action is none of {', '.join(one.value for one in Action)}") from error
    return SavedStep(
        name=name,
        action=action,
        observed=_parse_digest(value, "observed", path),
        request=_parse_digest(value, "request", path),
        lock=_parse_digest(value, "lock", path),
    )


def _parse_text(value: Mapping[str, Json], key: str, path: str) -> str:
    text = value.get(key)
    if not isinstance(text, str):
        raise _unreadable(f"{path}.{key} is not a text".lstrip("."))
    return text


def _parse_digest(value: Mapping[str, Json], key: str, path: str) -> Digest | None:
    text = value.get(key, "")
    if text is None:
        return None
    try:
        return Digest.parse(text if isinstance(text, str) else "")
    except ValueError as error:
        raise _unreadable(f"{path}.{key} is no digest") from error


def _unreadable(reason: str) -> UsageError:
    return UsageError(f"the saved plan can't be used: {reason}", hint="make one with `reconciler plan --out FILE`")


# -- narrowing --------------------------------------------------------------------------------------------------


def narrow(plan: Plan, saved: SavedPlan) -> Plan:
    """Keep of a plan that was derived now what a saved one said too.

    A step that is at its target already is kept as the unchanged one that it is. A step whose action, observed record
    or target is another one is a StalePlanError that names it. Steps of which the saved plan says nothing, or that
    it says are unchanged or blocked, are left out: a file adds nothing.
    """
    _check_same(plan, saved)
    derived = {step.name: step for step in plan.steps}
    kept = []
    for name in sorted(saved.steps):
        wanted = saved.steps[name]
        if wanted.action in {Action.UNCHANGED, Action.BLOCKED}:
            continue
        step = derived.get(name)
        if step is None and wanted.action is Action.ARCHIVE:
            continue
        kept.append(_agreed(step, wanted))
    left_out = len(plan.changes) - sum(step.action is not Action.UNCHANGED for step in kept)
    notes = (*plan.notes, f"{left_out} more to do than the saved plan says: left out") if left_out else plan.notes
    return replace(plan, steps=tuple(kept), notes=notes)


def _check_same(plan: Plan, saved: SavedPlan) -> None:
    if saved.registry != portable(plan.registry):
        raise StalePlanError(
            f"the saved plan is for registry {saved.registry[:200]!a}, this is {portable(plan.registry)!a}",
            hint="plan again against this registry",
        )
    if saved.manager != plan.manager:
        raise StalePlanError(f"the saved plan is of manager {saved.manager[:200]!a}, this is {plan.manager!a}")


def _agreed(step: Step | None, wanted: SavedStep) -> Step:
    if step is None:
        raise _stale(wanted.name, "it is neither declared nor registered now")
    if step.action is Action.UNCHANGED and _at_target(step, wanted):
        return step
    # A build of the same request that has come meanwhile serves instead of one of our own.
    serves = step.action is Action.REUSE and wanted.action in {Action.CREATE, Action.REBUILD, Action.REBASE}
    if step.action is not wanted.action and not serves:
        raise _stale(wanted.name, f"the action is {step.action.value} now, saved was {wanted.action.value}", step)
    if step.observed != wanted.observed:
        raise _stale(
            wanted.name, f"the record is {_short(step.observed)} now, saved was {_short(wanted.observed)}", step
        )
    lock = step.lock if serves and wanted.lock is None else wanted.lock
    if (step.request, step.lock) != (wanted.request, lock):
        now, then = _target(step.request, step.lock), _target(wanted.request, wanted.lock)
        raise _stale(wanted.name, f"the target is {now} now, saved was {then}", step)
    return step


def _at_target(step: Step, wanted: SavedStep) -> bool:
    return step.request == wanted.request and wanted.lock in {None, step.lock}


def _target(request: Digest | None, lock: Digest | None) -> str:
    return f"request {_short(request)} with lock {_short(lock)}"


def _short(digest: Digest | None) -> str:
    return "none" if digest is None else digest.short


def _stale(name: str, difference: str, step: Step | None = None) -> StalePlanError:
    return StalePlanError(
        f"the saved plan no longer fits {name}: {difference}",
        where=None if step is None else step.location,
        hint="make it anew with `reconciler plan --out FILE` and have it looked at again",
    )
