"""The order in which environments are made: what another builds on comes first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from reconciler.errors import ManifestError
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.manifest.problem import Problem
from reconciler.plan.change import Step
from reconciler.plan.footing import FIELD

MAX_CHAIN = 50
"""Environments that one builds on, all in all; an image has no room for the layers of as many."""


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


def base_problems(desired: Sequence[Desired], others: Collection[str] = ()) -> tuple[Problem, ...]:
    """Name every ``docker.base_environment`` that nothing can be built on, and every circle, sorted.

    ``others`` are environments that are declared and that nothing more is known of.
    """
    named = {one.name: one for one in desired}
    bases = {one.name: one.manifest.docker.base_environment for one in desired}
    problems: list[Problem] = []
    for one in desired:
        base = bases[one.name]
        if base in named:
            problems += _unfit(one.manifest, named[base].manifest)
        elif base is not None and base not in others:
            problems.append(_undeclared(one.manifest, base))
        problems += _endless(one, bases)
    return tuple(sorted(problems))


def _undeclared(manifest: Manifest, base: str) -> Problem:
    return Problem(
        manifest.locate(FIELD),
        f"base_environment names {base!r}, which no manifest declares",
        "declare it, or use `docker.base_image` for an image from elsewhere",
    )


def _unfit(manifest: Manifest, base: Manifest) -> Iterator[Problem]:
    """Say why an environment is none that an image can be built on: it is no image, or not for some platform."""
    if not base.docker.enabled:
        message = f"base_environment names {base.name}, which is no container image (`docker.enabled: false`)"
        yield Problem(manifest.locate(FIELD), message, f"make it one in {base.path}, or name another environment")
        return
    for index, platform in enumerate(manifest.platforms):
        if platform not in base.platforms:
            place = manifest.locate(f"platforms[{index}]" if "platforms" in manifest.lines else FIELD)
            message = f"there is no {base.name} for {platform}, and this environment builds on it"
            yield Problem(place, message, f"add it to `platforms` in {base.path}, or drop it here")


def _endless(desired: Desired, bases: Mapping[str, str | None]) -> Iterator[Problem]:
    place = desired.manifest.locate(FIELD)
    circle = _circle(desired.name, bases)
    if circle is not None:
        yield Problem(place, f"environments build on one another in a circle: {' → '.join(circle)}")
    elif len(desired.chain) > MAX_CHAIN:
        yield Problem(place, f"it builds on more than {MAX_CHAIN} environments", "join some of them")


def _below(step: Step, named: Mapping[str, Step]) -> tuple[str, ...]:
    base = step.desired.manifest.docker.base_environment if step.desired is not None else None
    return (base,) if base in named and base is not None else ()


def _circle(name: str, bases: Mapping[str, str | None]) -> list[str] | None:
    """Follow a name down until it comes round. Only the first name in order tells a circle, so that it is told once.

    A circle of more than :data:`MAX_CHAIN` is a chain that is too long.
    """
    trail = [name]
    while len(trail) <= MAX_CHAIN and (base := bases.get(trail[-1])) is not None:
        trail.append(base)
        if base == name:
            return trail if name == min(trail) else None
        if base in trail[:-1]:
            return None
    return None
