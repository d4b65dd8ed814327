"""What happens to environments that are registered and declared no longer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.manifest.desired import Desired
from reconciler.plan.change import Action, Change, Policy, Reason, Step
from reconciler.plan.observed import Absent, Denied, Observation, Observed, Present, Unknown
from reconciler.record import Facts
from reconciler.values.location import Location


def removals(desired: Sequence[Desired], observed: Observed, policy: Policy) -> tuple[list[Step], tuple[str, ...]]:
    """Derive the steps of what is declared no longer, and notes on what is left alone.

    Only a plan of the whole repository removes; what another manager registered, and what is archived already, has
    no step.
    """
    declared = {one.name for one in desired}
    gone = {
        name: seen for name, seen in observed.environments.items() if name not in declared and _counts(seen, policy)
    }
    if policy.names is not None or not gone:
        return [], ()
    if not policy.whole:
        return [], (f"{len(gone)} registered but not declared: left alone, because not every manifest was read",)
    heirs = {one.manifest.renamed_from: one for one in desired if one.manifest.renamed_from is not None}
    return [_removal(name, gone[name], heirs, policy) for name in sorted(gone)], ()


def _counts(seen: Observation, policy: Policy) -> bool:
    if isinstance(seen, Present):
        facts = seen.record.facts
        return facts.manager == policy.manager and not facts.archived
    return not isinstance(seen, Absent)


def _removal(name: str, seen: Observation, heirs: Mapping[str, Desired], policy: Policy) -> Step:
    if not isinstance(seen, Present):
        reason = seen.reason if isinstance(seen, (Denied, Unknown)) else ""
        note = f"declared no longer, and the registry gave no answer: {reason}".removesuffix(": ")
        return Step(name=name, action=Action.BLOCKED, location=Location(""), note=note, observation=seen)
    facts = seen.record.facts
    heir = heirs.get(name)
    location = heir.manifest.locate("renamed_from") if heir is not None else Location(facts.manifest)
    protection = _protection(name, facts, policy)
    blocked = protection is not None
    return Step(
        name=name,
        action=Action.BLOCKED if blocked else Action.ARCHIVE,
        location=location,
        changes=(Change(reason=Reason.REMOVED, path="", old=facts.manifest, location=location),),
        observed=seen.digest,
        request=facts.request,
        lock=facts.lock,
        platforms=tuple(sorted(seen.record.artifacts)),
        packages=(),
        note=protection or _farewell(heir),
        destructive=not blocked,
        observation=seen,
    )


def _protection(name: str, facts: Facts, policy: Policy) -> str | None:
    if facts.metadata.protected:
        return f"protected: put {facts.manifest} back with `protected: false`, apply, then remove it"
    if name in policy.protected:
        return "protected by `policies.protected` in reconciler.yaml: take it out there first"
    return None


def _farewell(heir: Desired | None) -> str:
    return "manifest is gone" if heir is None else f"renamed to {heir.name}"
