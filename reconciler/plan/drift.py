"""Drift: the registry is not what was last applied. What git is ahead of is pending, which is something else. Pure.

Witnesses are the manager's state, and each record with its own content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from reconciler.plan.change import Action, Plan, Reason
from reconciler.plan.observed import Absent, Denied, Observation, Observed, Present, Unknown
from reconciler.plan.state import State
from reconciler.values.digest import Digest

_PENDING_REASONS = frozenset({Reason.REQUEST, Reason.LOCK, Reason.PLATFORM, Reason.BASE, Reason.METADATA})
_PENDING_ACTIONS = frozenset({Action.CREATE, Action.ARCHIVE})


class Kind(Enum):
    """How the registry differs from what was applied.

    ``moved``: ``current``, or another tag that has its place, names something else. ``missing``: content of the record
    is gone. ``tampered``: content is not what its digest says. ``deleted``: nothing is left. ``foreign``: another
    manager registered over it. ``recovered``: ``current`` alone is gone.
    """

    MOVED = "moved"
    MISSING = "missing"
    TAMPERED = "tampered"
    DELETED = "deleted"
    FOREIGN = "foreign"
    RECOVERED = "recovered"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One difference: which environment, what of it, the digest that was applied and the one that is there."""

    name: str
    kind: Kind
    path: str = "current"
    expected: Digest | None = None
    found: Digest | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """What is ahead of an environment: Debian packages that its archives have newer; or why they were not read."""

    name: str
    packages: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftReport:
    """Findings, sorted; names that are pending; and names that the registry said nothing about, with its reason.

    ``stale`` is no drift either: what was applied is there, and something newer is to be had.
    """

    registry: str
    findings: tuple[Finding, ...] = ()
    pending: tuple[str, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    stale: tuple[Stale, ...] = ()
    checked: int = 0

    @property
    def drifted(self) -> bool:
        """Tell whether there is drift."""
        return bool(self.findings)


def drift(state: State, observed: Observed, plan: Plan) -> DriftReport:
    """Compare what was last applied with what the registry holds; ``plan`` tells what is pending.

    An empty state (lost, or never written) is no witness: then only each record's own content is judged. So is what a
    run that was interrupted left behind.
    """
    names = sorted({*state.records, *observed.environments})
    findings: list[Finding] = []
    unreadable: list[tuple[str, str]] = []
    for name in names:
        seen = observed.environments.get(name, Unknown("the registry was not asked about it"))
        if isinstance(seen, Denied) or (isinstance(seen, Unknown) and not seen.corrupt):
            unreadable.append((name, seen.reason))
        else:
            findings.extend(_findings(name, seen, state, plan))
    return DriftReport(
        registry=observed.registry,
        findings=tuple(findings),
        pending=tuple(sorted(pending(plan))),
        unreadable=tuple(unreadable),
        checked=len(names),
    )


def pending(plan: Plan) -> frozenset[str]:
    """Name the environments for which git is ahead of the registry."""
    return frozenset(
        step.name
        for step in plan.changes
        if step.action in _PENDING_ACTIONS or any(change.reason in _PENDING_REASONS for change in step.changes)
    )


def _findings(name: str, seen: Observation, state: State, plan: Plan) -> Iterator[Finding]:
    expected = state.records.get(name)
    if isinstance(seen, Absent):
        if expected is not None:
            yield Finding(name=name, kind=Kind.DELETED, expected=expected, note="nothing is left of it")
    elif isinstance(seen, Unknown):
        yield Finding(name=name, kind=Kind.TAMPERED, expected=expected, note=seen.reason)
    elif isinstance(seen, Present):
        yield from _present_findings(name, seen, state, plan)


def _present_findings(name: str, seen: Present, state: State, plan: Plan) -> Iterator[Finding]:
    facts, expected = seen.record.facts, state.records.get(name)
    current = seen.moved.get("current")
    if facts.manager != plan.manager:
        if expected is not None:
            note = f"registered by {facts.manager}"
            yield Finding(name=name, kind=Kind.FOREIGN, expected=expected, found=seen.digest, note=note)
        return
    if current is not None and current.found != (expected or current.found):
        note = f"`current` names what it must not, version {facts.version} is the newest"
        yield Finding(name=name, kind=Kind.MOVED, expected=expected, found=current.found, note=note)
    elif seen.recovered and current is None and (expected is not None or not _explained(seen, state, expected, plan)):
        note = f"`current` is gone, version {facts.version} is the highest"
        yield Finding(name=name, kind=Kind.RECOVERED, expected=expected, found=seen.digest, note=note)
    elif (
        not seen.recovered and state.records and seen.digest != expected and not _explained(seen, state, expected, plan)
    ):
        note = f"`current` names version {facts.version}" + ("" if expected else ", which no apply recorded")
        yield Finding(name=name, kind=Kind.MOVED, expected=expected, found=seen.digest, note=note)
    for kind, paths in ((Kind.TAMPERED, seen.tampered), (Kind.MISSING, seen.missing)):
        for path in sorted(paths):
            if path != "current":
                yield _damage(name, seen, path, kind)
            elif current is not None and current.found == (expected or current.found):
                yield Finding(name=name, kind=kind, path=path, expected=current.found)


def _damage(name: str, seen: Present, path: str, kind: Kind) -> Finding:
    """Say what became of a part of a record or of a tag: one that names something else was moved."""
    moved = seen.moved.get(path)
    expected = _expected(seen, path) if moved is None else moved.expected or _expected(seen, path)
    if moved is None or moved.found == expected:
        return Finding(name=name, kind=kind, path=path, expected=expected)
    if expected is None:  # what a version names that nothing else does is all that is known of it
        return Finding(name=name, kind=kind, path=path, expected=moved.found)
    return Finding(name=name, kind=Kind.MOVED, path=path, expected=expected, found=moved.found)


def _explained(seen: Present, state: State, expected: Digest | None, plan: Plan) -> bool:
    """Tell whether an apply that began and did not finish left this record."""
    facts = seen.record.facts
    if facts.archived and all(step.name != facts.name for step in plan.steps):
        return True  # archived, as git wants it: no later apply has anything to do that would record it
    if state.began is None:  # outside git
        return facts.commit is None and facts.parent == expected
    if facts.commit != state.began:
        return False
    return state.began != state.finished or (expected is not None and facts.parent == expected)


def _expected(seen: Present, path: str) -> Digest | None:
    """Give the digest that a part of a record, or what a tag of it names, has to have."""
    record, version = seen.record, f"v{seen.record.facts.version}"
    parts = {version: seen.digest, "current": seen.digest}
    parts |= dict.fromkeys(("lock", f"{version}-lock"), record.lock_entry.digest)
    parts |= dict.fromkeys(("request", f"{version}-request"), record.request_entry.digest)
    for platform, entry in record.artifacts.items():
        parts |= dict.fromkeys((str(platform), f"{version}-{platform.tag}"), entry.digest)
    return parts.get(path)
