"""Looking at the registry: which environments there are, one of them, its versions."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import CorruptError, DeniedError, NotFoundError, UnavailableError
from reconciler.plan.observed import Absent, Denied, Observation, Present, Unknown
from reconciler.ports import Executor, Registry
from reconciler.reconcile.gather import known_names
from reconciler.reconcile.observe import history, observe
from reconciler.reconcile.tags import version_tag
from reconciler.record import Record, parse_record
from reconciler.values.digest import Digest
from reconciler.values.names import Reference


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A registered environment: its record, and where it is."""

    record: Record
    digest: Digest
    registry: str
    current: bool = True

    @property
    def reference(self) -> str:
        """The record by digest, as other tools ask for it."""
        return f"{self.registry}/{self.record.facts.name}@{self.digest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """An environment whose record could not be read, and why."""

    name: str
    reason: str


def list_environments(
    registry: Registry, executor: Executor, *, archived: bool = False
) -> tuple[Entry | Unreadable, ...]:
    """List what is registered, sorted by name; what can't be read is in the list with its reason."""
    names = known_names(registry, ())
    found = dict(executor.map(lambda name: observe(registry, name), names))
    entries = [_entry(registry, name, found[name]) for name in sorted(found)]
    return tuple(entry for entry in entries if entry is not None and (archived or not _is_archived(entry)))


def _entry(registry: Registry, name: str, observation: Observation) -> Entry | Unreadable | None:
    if isinstance(observation, Present):
        return Entry(record=observation.record, digest=observation.digest, registry=registry.address)
    if isinstance(observation, Absent):
        return None
    return Unreadable(name=name, reason=observation.reason)


def _is_archived(entry: Entry | Unreadable) -> bool:
    return isinstance(entry, Entry) and entry.record.facts.archived


def get(registry: Registry, reference: Reference) -> Entry:
    """Read one environment; what is not there is a NotFoundError that says what is."""
    if reference.version is None:
        return _current(registry, reference.name)
    tag = version_tag(reference.version)
    try:
        content = registry.fetch(reference.name, tag)
    except NotFoundError as error:
        raise _missing(registry, reference) from error
    current = registry.resolve(reference.name, "current") == content.digest
    return Entry(record=parse_record(content), digest=content.digest, registry=registry.address, current=current)


def _current(registry: Registry, name: str) -> Entry:
    observation = observe(registry, name)
    if isinstance(observation, Present):
        return Entry(record=observation.record, digest=observation.digest, registry=registry.address)
    if isinstance(observation, Denied):
        raise DeniedError(observation.reason)
    if isinstance(observation, Unknown):
        raise (CorruptError if observation.corrupt else UnavailableError)(observation.reason)
    raise _missing(registry, Reference(name))


def _missing(registry: Registry, reference: Reference) -> NotFoundError:
    versions = [str(record.facts.version) for record, _ in history(registry, reference.name)]
    if versions:
        return NotFoundError(f"{reference} is not registered; {reference.name} has versions {', '.join(versions)}")
    return NotFoundError(
        f"no environment `{reference.name}` is registered in {registry.address}",
        hint="`reconciler list` shows what is, `reconciler apply` registers what is declared",
    )


def read_history(registry: Registry, name: str) -> tuple[Entry, ...]:
    """List an environment's versions, newest first."""
    current = registry.resolve(name, "current")
    versions = tuple(
        Entry(record=record, digest=digest, registry=registry.address, current=digest == current)
        for record, digest in history(registry, name)
    )
    if not versions:
        raise _missing(registry, Reference(name))
    return versions
