"""Deleting what nothing needs: what records need is read, what is there gathered, and only then chosen and taken.

What can't be read is needed: an environment whose record does not answer keeps everything that is its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.errors import ReconcilerError, RegistryError, StoreError
from reconciler.plan.garbage import Gathered, Holding, Needs, Rule, Selection, Tally, select
from reconciler.plan.observed import Absent, Observation, Present
from reconciler.ports import Executor, Registry
from reconciler.reconcile.access import registered_names
from reconciler.reconcile.layers import layers_of
from reconciler.reconcile.ledger import REPOSITORY, read_tagged
from reconciler.reconcile.observe import Depth, observe, read_bodies
from reconciler.record import Record
from reconciler.values.digest import Digest


class Holdings(Protocol):
    """A part of a disk that `gc` looks after."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep everybody out who uses or writes it; a ConflictError where they do not end in time."""

    def gather(self, needs: Needs) -> Gathered:
        """List what is there; nothing is written. What goes away meanwhile was there or was not."""

    def take(self, entry: Holding) -> None:
        """Delete an entry, for who is alone; cut off at any point it is whole, gone, or waste that goes next time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """What collecting works with: the registry, none where none is named, and the parts of the disk."""

    registry: Registry | None
    executor: Executor
    holdings: Sequence[Holdings]


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What was chosen, and, where it was deleted, what could not be (each with why)."""

    selection: Selection
    kept: Tally
    deleted: bool = False
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


def collect(means: Means, rule: Rule, *, delete: bool) -> Collected:
    """Choose what goes, and with ``delete`` delete it, alone on the disk from the first look on."""
    with ExitStack() as held:
        if delete:
            for holdings in means.holdings:
                held.enter_context(holdings.alone())
        needs, notes = read_needs(means.registry, means.executor)
        gathered = [holdings.gather(needs) for holdings in means.holdings]
        selection = select([entry for one in gathered for entry in one.entries], rule)
        failures = _delete(means.holdings, gathered, selection) if delete else {}
    return Collected(
        selection=selection,
        kept=Tally(count=sum(one.kept.count for one in gathered), size=sum(one.kept.size for one in gathered)),
        deleted=delete,
        foreign=tuple(path for one in gathered for path in one.foreign),
        notes=(*notes, *(note for one in gathered for note in one.notes)),
        failures=failures,
    )


def _delete(holdings: Sequence[Holdings], gathered: Sequence[Gathered], selection: Selection) -> dict[str, str]:
    """Take one after the other; what the disk refuses does not stop the rest."""
    owners: dict[str, Callable[[Holding], None]] = {
        entry.place: part.take for part, one in zip(holdings, gathered, strict=True) for entry in one.entries
    }
    failures = {}
    for entry in selection.taken:
        try:
            owners[entry.place](entry)
        except StoreError as error:
            failures[entry.place] = str(error)
    return failures


# -- what records need ------------------------------------------------------------------------------------------


def read_needs(registry: Registry | None, executor: Executor) -> tuple[Needs, tuple[str, ...]]:
    """Read what current records need and want; what could not be read, in one line each."""
    if registry is None:
        return Needs(unknown=None), ("no registry is named, so that no environment goes; name one with --registry",)
    try:
        registered = registered_names(registry)
    except RegistryError as error:
        return Needs(unknown=None), (f"no environment goes, as nobody knows which are needed: {error}",)
    found = dict(executor.map(lambda name: observe(registry, name, depth=Depth.RECORD), registered.names))
    current = [one.record for one in found.values() if isinstance(one, Present) and not one.record.facts.archived]
    files, layers = _wanted(registry, executor, current)
    needs = Needs(
        environments=frozenset(key.hex for record in current for key in record.build_keys.values()),
        unknown=None if registered.notes else frozenset(name for name, one in found.items() if not _is_known(one)),
        files=files,
        layers=layers,
        records=_records(registry),
    )
    unread = (f"no environment of {name} goes, as its record can't be read" for name in sorted(needs.unknown or ()))
    return needs, (*registered.notes, *unread)


def _is_known(observation: Observation) -> bool:
    return isinstance(observation, (Present, Absent))


def _wanted(registry: Registry, executor: Executor, records: Sequence[Record]) -> tuple[frozenset[str], frozenset[str]]:
    """Name files and layers that builds of these records would use; what can't be read is not named."""
    found = [pair for _, pair in executor.map(lambda record: _wanted_by(registry, record), records)]
    return frozenset().union(*(files for files, _ in found)), frozenset().union(*(layers for _, layers in found))


def _wanted_by(registry: Registry, record: Record) -> tuple[set[str], set[str]]:
    files, layers = set[str](), set[str]()
    name = record.facts.name
    with suppress(ReconcilerError):
        for lock in read_bodies(registry, name, record).lock.platforms.values():
            files |= {package.sha256 for package in lock.packages}
            files |= {package.sha256 for package in lock.system.packages} if lock.system is not None else set()
            files |= {lock.interpreter.build.sha256} if lock.interpreter.build is not None else set()
    for artifact in record.artifacts.values():
        with suppress(ReconcilerError):
            layers |= {key.hex for key in layers_of(registry, name, artifact.digest)}
    return files, layers


def _records(registry: Registry) -> dict[str, frozenset[Digest]]:
    """Give the records that managers' states name; a damaged state names none, as losing one loses nothing."""
    if registry.remote:
        return {}
    found: dict[str, set[Digest]] = {}
    for name, digest in _named(registry):
        found.setdefault(name, set()).add(digest)
    return {name: frozenset(digests) for name, digests in found.items()}


def _named(registry: Registry) -> Iterator[tuple[str, Digest]]:
    with suppress(RegistryError, StoreError):
        for tag in registry.tags(REPOSITORY):
            with suppress(RegistryError, StoreError):
                yield from read_tagged(registry, tag).records.items()
