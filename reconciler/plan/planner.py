"""The plan: one pure function of what is desired, what is observed and what policy allows.

Total (every declared environment has exactly one step), sorted by name, deterministic. Only Absent means that there is
nothing; what is Denied, Unknown or was not observed at all is blocked. Nothing is removed unless every manifest was
read.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.manifest.desired import Desired
from reconciler.plan.change import Action, Plan, Policy, Step
from reconciler.plan.comparison import Comparison
from reconciler.plan.observed import Observed, Unknown
from reconciler.plan.removal import removals
from reconciler.values.commit import Revision

NOT_OBSERVED = Unknown("the registry was not asked about it")


def plan(desired: Sequence[Desired], observed: Observed, policy: Policy, revision: Revision) -> Plan:
    """Derive one step for each environment that is declared, and for each that is declared no longer.

    With ``policy.names`` only those are planned. The order of the inputs does not matter.
    """
    comparison = Comparison(policy=policy, environments=observed.environments)
    steps: dict[str, Step] = {}
    for one in sorted(desired, key=lambda one: (one.name, one.manifest.path)):
        name = one.name
        if policy.names is not None and name not in policy.names:
            continue
        if name in steps:
            steps[name] = _declared_twice(steps[name], one)
        else:
            steps[name] = comparison.step(one, observed.environments.get(name, NOT_OBSERVED))
    removed, notes = removals(desired, observed, policy)
    return Plan(
        steps=tuple(sorted([*steps.values(), *removed], key=lambda step: step.name)),
        registry=observed.registry,
        manager=policy.manager,
        revision=revision,
        notes=notes,
        declared=len(desired),
    )


def _declared_twice(first: Step, second: Desired) -> Step:
    return Step(
        name=first.name,
        action=Action.BLOCKED,
        location=first.location,
        observed=first.observed,
        note=f"declared twice: also in {second.manifest.path}",
    )
