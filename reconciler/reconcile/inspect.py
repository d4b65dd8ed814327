"""Looking at the registry: which environments there are, one of them, its versions."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.errors import CorruptError, DeniedError, NotFoundError, RegistryError, UnavailableError
from reconciler.plan.observed import Denied, Present, Unknown
from reconciler.ports import Executor, Registry
from reconciler.reconcile.access import registered_names
from reconciler.reconcile.observe import Depth, history, observe
from reconciler.reconcile.tagged import read_record
from reconciler.reconcile.tags import version_tag, versions
from reconciler.values.names import Reference

_MAX_LISTED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """What is registered, sorted by name, what could not be read, name to reason, and what may hide more of it."""

    environments: tuple[Present, ...]
    unreadable: Mapping[str, str]
    notes: tuple[str, ...] = ()


def list_environments(registry: Registry, executor: Executor, *, archived: bool = False) -> Listed:
    """List what is registered; what can't be read is told apart from what is not there."""
    registered = registered_names(registry)
    depth = Depth.RECORD if registry.remote else Depth.ENTRIES
    found = dict(executor.map(lambda name: observe(registry, name, depth=depth), registered.names))
    present = {name: one for name, one in sorted(found.items()) if isinstance(one, Present)}
    return Listed(
        environments=tuple(one for one in present.values() if archived or not one.record.facts.archived),
        unreadable={name: one.reason for name, one in sorted(found.items()) if isinstance(one, (Denied, Unknown))},
        notes=registered.notes,
    )


def get(registry: Registry, reference: Reference) -> Present:
    """Read one environment; what is not there is a NotFoundError that says what is."""
    if reference.version is None:
        return _current(registry, reference.name)
    try:
        record, digest = read_record(registry, reference.name, version_tag(reference.version), reference.version)
    except NotFoundError as error:
        raise _missing(registry, reference) from error
    return Present(record=record, digest=digest)


def _current(registry: Registry, name: str) -> Present:
    observation = observe(registry, name)
    if isinstance(observation, Present):
        return observation
    if isinstance(observation, Denied):
        raise DeniedError(observation.reason)
    if isinstance(observation, Unknown):
        raise (CorruptError if observation.corrupt else UnavailableError)(observation.reason)
    raise _missing(registry, Reference(name))


def _missing(registry: Registry, reference: Reference) -> NotFoundError:
    numbers = [str(number) for number in versions(registry.tags(reference.name))]
    if numbers:
        word = "version" if len(numbers) == 1 else "versions"
        return NotFoundError(f"{reference} is not registered; {reference.name} has {word} {_listed(numbers)}")
    near = difflib.get_close_matches(reference.name, _names(registry), n=1)
    return NotFoundError(
        f"no environment `{reference.name}` is registered in {registry.address}",
        hint=f"did you mean `{near[0]}`?"
        if near
        else "`reconciler list` shows what is, `reconciler apply` registers what is declared",
    )


def _names(registry: Registry) -> tuple[str, ...]:
    """Name what may have been meant, as far as the registry says; that something is missing is said either way."""
    try:
        return registered_names(registry).names
    except RegistryError:
        return ()


def _listed(numbers: list[str]) -> str:
    return ", ".join(numbers[:_MAX_LISTED]) + (" and older ones" if len(numbers) > _MAX_LISTED else "")


def read_history(registry: Registry, name: str, executor: Executor) -> tuple[Present, ...]:
    """List an environment's versions, newest first."""
    found = tuple(Present(record=record, digest=digest) for record, digest in history(registry, name, executor))
    if not found:
        raise _missing(registry, Reference(name))
    return found
