"""The order in which environments are made: what another builds on comes first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from reconciler.errors import ManifestError
from reconciler.manifest.desired import Desired
from reconciler.manifest.problem import Problem
from reconciler.plan.change import Step


def order(steps: Iterable[Step]) -> tuple[tuple[Step, ...], ...]:
    """Put steps into waves: what a wave needs stands in an earlier one; sorted by name within each.

    A cycle is a ManifestError that names it.
    """
    named = {step.name: step for step in steps}
    sorter = TopologicalSorter({name: _below(step, named) for name, step in named.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        raise ManifestError(
            f"environments build on one another in a circle: {' → '.join(cycle)}",
            where=named[cycle[0]].location,
            hint="one of them needs another `docker.base_environment`",
        ) from error
    waves: list[tuple[Step, ...]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        waves.append(tuple(named[name] for name in ready))
        sorter.done(*ready)
    return tuple(waves)


def base_problems(desired: Sequence[Desired]) -> tuple[Problem, ...]:
    """Name every ``docker.base_environment`` that no manifest declares, and every circle, sorted."""
    bases = {one.name: one.manifest.docker.base_environment for one in desired}
    problems = [
        Problem(
            one.manifest.locate("docker.base_environment"),
            f"base_environment names {base!r}, which no manifest declares",
            "declare it, or use `docker.base_image` for an image from elsewhere",
        )
        for one in desired
        if (base := bases[one.name]) is not None and base not in bases
    ]
    for one in desired:
        circle = _circle(one.name, bases)
        if circle is not None:
            place = one.manifest.locate("docker.base_environment")
            problems.append(Problem(place, f"environments build on one another in a circle: {' → '.join(circle)}"))
    return tuple(sorted(problems))


def _below(step: Step, named: Mapping[str, Step]) -> tuple[str, ...]:
    base = step.desired.manifest.docker.base_environment if step.desired is not None else None
    return (base,) if base in named and base is not None else ()


def _circle(name: str, bases: Mapping[str, str | None]) -> list[str] | None:
    """Follow a name down until it comes round. Only the first name in order tells a circle, so that it is told once."""
    trail = [name]
    while (base := bases.get(trail[-1])) is not None:
        trail.append(base)
        if base == name:
            return trail if name == min(trail) else None
        if base in trail[:-1]:
            return None
    return None
