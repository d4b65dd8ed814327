"""Two appliers and one registry that keeps nobody out: the second runs at every request of the first.

In full (every request of every pair): ``RECONCILER_CASES=full pytest tests/hostile/test_race_remote.py``.
"""

from __future__ import annotations

import os
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial

import pytest

from reconciler.errors import ConflictError, DeniedError, GuardError, RegistryError
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.plan.change import Action, Plan, Policy
from reconciler.plan.observed import Present
from reconciler.plan.planner import plan
from reconciler.ports import Registry
from reconciler.reconcile.apply import apply
from reconciler.reconcile.ledger import REPOSITORY, read_state, state_tag
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Outcome, Status, exit_code
from reconciler.reconcile.publish import side_tags
from reconciler.reconcile.tagged import read_record
from reconciler.reconcile.tags import version_tag, versions
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.digest import Digest
from tests.graph import Graph, commit
from tests.world import ARM, LINUX, MANAGER, Factory, Index, Killed, Mortal, World, revision, wanted

Counter = Callable[[str, int], None]
FULL = os.environ.get("RECONCILER_CASES") == "full"

# A line of four commits, and one that leaves it after the second.
GRAPH = Graph({"1": "", "2": "1", "3": "2", "4": "3", "x": "2"})


class Open(Mortal):
    """A registry that keeps nobody out, as one over HTTP; it runs something before its n-th request."""

    def __init__(self, registry: Registry, at: int = -1, other: Callable[[], object] = lambda: None) -> None:
        super().__init__(registry)
        self.at = at
        self.other = other
        self.requests = 0
        self.moved = ""
        """The tag that the n-th request gave, if it did: the time before that is the one that nothing guards."""

    def _count(self, repository: str, tags: Sequence[str] = ()) -> None:
        number = self.requests
        self.requests += 1
        if number == self.at:
            self.moved = "state" if repository == REPOSITORY and tags else "".join(tags)
            self.other()

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        self._count(repository)
        super().push_blob(repository, blob, mount_from=mount_from)

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        self._count(repository, tags)
        super().push(repository, content, tags=tags)

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        self._count(repository)
        return super().fetch(repository, reference)

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        self._count(repository)
        return super().resolve(repository, reference)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        self._count(repository)
        return super().fetch_blob(repository, descriptor)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        self._count(repository)
        return super().has_blob(repository, descriptor)

    def tags(self, repository: str) -> tuple[str, ...]:
        self._count(repository)
        return super().tags(repository)

    def writing(self, repository: str) -> AbstractContextManager[None]:  # noqa: ARG002  # the port's
        return nullcontext()


@dataclass
class Clone(World):
    """A clone of the repository at one commit."""

    at: str = "1"
    graph: Graph = field(default_factory=lambda: GRAPH)

    def run(self, desired: Sequence[Desired], *names: str, **rest: bool) -> tuple[Outcome, ...]:
        policy = self.policy(names=frozenset(names) or None, **rest)
        return self.do(self.plan(desired, policy, commit=commit(self.at)), policy)

    def do(self, planned: Plan, policy: Policy) -> tuple[Outcome, ...]:
        return apply(planned, policy, self.means(), history=self.graph)


def clone(registry: Registry, at: str, like: World | None = None) -> Clone:
    found = Clone(registry, at=at)
    if like is not None:
        found.index, found.factory = like.index, like.factory
    return found


# -- laws -------------------------------------------------------------------------------------------------------


def check_history(registry: Registry, name: str) -> None:
    """Every version is a record of the number that it says, has its entries, and stands on one that is tagged too."""
    records = {number: read_record(registry, name, version_tag(number), number) for number in _numbers(registry, name)}
    numbers = {digest: number for number, (_, digest) in records.items()}
    for number, (record, _) in records.items():
        for tag, digest in side_tags(record):
            assert registry.resolve(name, tag) == digest, tag
        assert record.facts.parent is None or numbers[record.facts.parent] < number


def _numbers(registry: Registry, name: str) -> tuple[int, ...]:
    return versions(registry.tags(name))


def check_whole(registry: Registry, desired: Sequence[Desired]) -> None:
    """What is declared is registered, with all that belongs to it."""
    for one in desired:
        found = observe(registry, one.name, depth=Depth.BLOBS)
        assert isinstance(found, Present), one.name
        assert (found.missing, found.tampered, found.recovered) == ((), (), False)
        assert found.record.facts.request == one.request, one.name
        assert found.record.facts.metadata.description == one.manifest.description
        assert not found.record.facts.archived
        check_history(registry, one.name)


def check_recorded(registry: Registry, at: str, desired: Sequence[Desired]) -> None:
    """The state says what is registered, and of which commit."""
    state = read_state(registry, MANAGER)
    assert (state.began, state.finished) == (commit(at), commit(at))
    assert {one.name: state.records[one.name] for one in desired} == {
        one.name: registry.resolve(one.name, "current") for one in desired
    }


def check_settled(registry: Registry, at: str, desired: Sequence[Desired], like: World) -> None:
    """One more apply builds nothing, and the one after it writes nothing."""
    again = clone(Open(registry), at, like)
    again.factory.built.clear()
    outcomes = again.run(desired)
    assert {one.status for one in outcomes} <= {Status.UNCHANGED}, outcomes
    assert again.factory.built == []
    mortal = Open(registry)
    clone(mortal, at, like).run(desired)
    assert mortal.writes == 0


BASE = [wanted("alpha"), wanted("beta", ["scipy"])]
EDITS: dict[str, tuple[list[Desired], list[Desired]]] = {
    "the same environment": (
        [wanted("alpha", ["numpy", "one"]), BASE[1]],
        [wanted("alpha", ["numpy", "two"]), BASE[1]],
    ),
    "different ones": ([wanted("alpha", ["one"]), BASE[1]], [wanted("alpha", ["one"]), wanted("beta", ["two"])]),
    "nothing, after an edit": ([wanted("alpha", ["one"]), BASE[1]], BASE),
    "metadata": (
        [wanted("alpha", ["one"]), BASE[1]],
        [wanted("alpha", description="words"), BASE[1]],
    ),
    "metadata twice": (
        [wanted("alpha", description="one"), BASE[1]],
        [wanted("alpha", description="two"), BASE[1]],
    ),
    "a new one": ([*BASE, wanted("gamma", ["one"])], [*BASE, wanted("gamma", ["two"], platforms=(LINUX, ARM))]),
}


def started() -> tuple[MemoryRegistry, World]:
    registry = MemoryRegistry(remote=True)
    world = clone(Open(registry), "1")
    world.run(BASE)
    return registry, world


@dataclass(frozen=True, kw_only=True)
class Race:
    """What came of one interleaving; ``moved`` is the tag that the first was about to give."""

    registry: MemoryRegistry
    world: World
    first: tuple[Outcome, ...]
    second: tuple[Outcome, ...]
    moved: str


def races(first: str, older: list[Desired], second: str, newer: list[Desired], *names: str) -> Iterator[Race]:
    """Race two clones, once for every request of the first; ``names`` are what the second asks for."""
    moment = 0
    while True:
        registry, world = started()
        world.factory.built.clear()
        done: list[tuple[Outcome, ...]] = []
        racing = Open(registry, moment)
        racing.other = partial(_run, done, clone(Open(registry), second, world), newer, names)
        outcomes = clone(racing, first, world).run(older)
        if not done:
            return
        yield Race(registry=registry, world=world, first=outcomes, second=done[0], moved=racing.moved)
        moment += 1


def _run(done: list[tuple[Outcome, ...]], one: Clone, desired: list[Desired], names: tuple[str, ...]) -> None:
    done.append(one.run(desired, *names))


def statuses(outcomes: Sequence[Outcome]) -> set[Status]:
    return {one.status for one in outcomes}


DONE = {Status.APPLIED, Status.UNCHANGED}
WELL = DONE | {Status.ADOPTED, Status.SUPERSEDED}


@pytest.mark.parametrize("what", EDITS)
def test_an_older_commit_never_stays_over_a_newer_one(what: str, count_cases: Counter) -> None:
    older, newer = EDITS[what]
    for race in races("2", older, "3", newer):
        assert statuses(race.first) <= WELL, race.first
        assert statuses(race.second) <= DONE, race.second
        assert exit_code(race.first) == exit_code(race.second) == 0
        if race.moved == "state":  # what the second entered was lost in the time of one request; it comes again
            clone(Open(race.registry), "3", race.world).run(newer)
        check_whole(race.registry, newer)
        check_recorded(race.registry, "3", newer)
        check_settled(race.registry, "3", newer, race.world)
        count_cases("F3", 1)


@pytest.mark.parametrize("what", EDITS)
def test_a_newer_commit_goes_on_over_an_older_one(what: str, count_cases: Counter) -> None:
    older, newer = EDITS[what]
    for race in races("3", newer, "2", older):
        assert statuses(race.first) <= WELL - {Status.SUPERSEDED}, race.first
        assert statuses(race.second) <= WELL, race.second
        check_whole(race.registry, newer)
        check_recorded(race.registry, "3", newer)
        check_settled(race.registry, "3", newer, race.world)
        count_cases("F3", 1)


@pytest.mark.parametrize("what", EDITS)
def test_the_same_commit_from_two_clones_is_one_result(what: str, count_cases: Counter) -> None:
    _, desired = EDITS[what]
    for race in races("2", desired, "2", desired):
        assert statuses(race.first) <= DONE | {Status.ADOPTED}
        assert statuses(race.second) <= DONE | {Status.ADOPTED}
        applied = Counts(one.name for one in (*race.first, *race.second) if one.status is Status.APPLIED)
        assert max(applied.values(), default=0) <= (2 if race.moved == "current" else 1), "the other adopts"
        assert max(Counts(race.world.factory.built).values(), default=0) <= 2
        check_whole(race.registry, desired)
        check_recorded(race.registry, "2", desired)
        for one in desired:
            assert _numbers(race.registry, one.name)[0] <= 2, "one version, not two"
        check_settled(race.registry, "2", desired, race.world)
        count_cases("F3", 1)
