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
from reconciler.plan.footing import footing_of
from reconciler.plan.observed import Observed, Unknown
from reconciler.plan.removal import removals
from reconciler.values.commit import Revision

NOT_OBSERVED = Unknown("the registry was not asked about it")


def plan(desired: Sequence[Desired], observed: Observed, policy: Policy, revision: Revision) -> Plan:
    """Derive one step for each environment that is declared, and for each that is declared no longer.

    With ``policy.names`` only those are planned. The order of the inputs does not matter.
    """
    derivation = _Derivation(observed=observed, policy=policy)
    steps: dict[str, Step] = {}
    for one in sorted(desired, key=lambda one: (one.name, one.manifest.path)):
        name = one.name
        if policy.names is not None and name not in policy.names:
            continue
        if name in steps:
            steps[name] = _declared_twice(steps[name], one)
        else:
            steps[name] = derivation.step(one)
    removed, notes = removals(desired, observed, policy)
    return Plan(
        steps=tuple(sorted([*steps.values(), *removed], key=lambda step: step.name)),
        registry=observed.registry,
        manager=policy.manager,
        revision=revision,
        notes=notes,
        declared=len(desired),
    )


class _Derivation:
    """Derives steps; that of an environment below is derived first, also where it takes no part in the plan."""

    def __init__(self, observed: Observed, policy: Policy) -> None:
        self._observed = observed.environments
        self._comparison = Comparison(policy=policy, environments=observed.environments)
        self._names = policy.names
        self._below: dict[str, Step] = {}

    def step(self, desired: Desired) -> Step:
        """Derive the step of one environment."""
        footing = None
        if desired.manifest.docker.base_environment is not None:
            footing = footing_of(desired, [self._lower(one) for one in desired.chain], self._names)
        return self._comparison.step(desired, self._observed.get(desired.name, NOT_OBSERVED), footing)

    def _lower(self, desired: Desired) -> Step:
        """Derive what becomes of an environment below, if everything under it takes part."""
        if desired.name not in self._below:
            footing = footing_of(desired, [self._lower(one) for one in desired.chain], None)
            seen = self._observed.get(desired.name, NOT_OBSERVED)
            self._below[desired.name] = self._comparison.step(desired, seen, footing)
        return self._below[desired.name]


def _declared_twice(first: Step, second: Desired) -> Step:
    return Step(
        name=first.name,
        action=Action.BLOCKED,
        location=first.location,
        observed=first.observed,
        note=f"declared twice: also in {second.manifest.path}",
    )
