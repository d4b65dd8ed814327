"""Two appliers and one registry that keeps nobody out: the second runs at every request of the first.

In full (every request of every pair): ``RECONCILER_CASES=full pytest tests/hostile/test_race_remote.py``.
"""

from __future__ import annotations

import os
from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from reconciler.errors import ConflictError, DeniedError, GuardError, RegistryError
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.plan.change import Plan, Policy
from reconciler.plan.observed import Absent, Present
from reconciler.ports import Progress, Registry, Stage
from reconciler.reconcile.apply import apply
from reconciler.reconcile.ledger import REPOSITORY, read_state
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Outcome, Status, exit_code
from reconciler.reconcile.publish import side_tags
from reconciler.reconcile.tagged import read_record
from reconciler.reconcile.tags import version_tag, versions
from reconciler.record import to_index
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.commit import Revision
from reconciler.values.digest import Digest
from tests.graph import Graph, commit
from tests.world import ARM, LINUX, MANAGER, Killed, Mortal, World, wanted

Counter = Callable[[str, int], None]
FULL = os.environ.get("RECONCILER_CASES") == "full"
STRIDE = 1 if FULL else 3

# A line of four commits, and one that leaves it after the second.
LINE = {"1": "", "2": "1", "3": "2", "4": "3", "x": "2"}
GRAPH = Graph(LINE)


class Open(Mortal):
    """A registry that keeps nobody out, as one over HTTP; it runs something before its n-th request."""

    def __init__(self, registry: Registry, at: int = -1, other: Callable[[], object] = lambda: None) -> None:
        super().__init__(registry)
        self.at = at
        self.other = other
        self.requests = 0
        self.moved = ""
        """What the n-th request gave, if it did, or for ``current`` the one after: nothing guards the time before."""
        self.since: list[str] = []
        """The tags that were given after that."""

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
        self.refuse(repository, tags)
        if self.requests == self.at + 2 and "current" in tags:
            self.moved = "current"
        elif self.requests > self.at:
            self.since += tags
        super().push(repository, content, tags=tags)

    def refuse(self, repository: str, tags: Sequence[str]) -> None:
        """Refuse to give tags."""

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
    """What came of one interleaving: the tag that the first was about to give, and those that it gave since."""

    registry: MemoryRegistry
    world: World
    first: tuple[Outcome, ...]
    second: tuple[Outcome, ...]
    moved: str
    since: Sequence[str]


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
        yield Race(
            registry=registry, world=world, first=outcomes, second=done[0], moved=racing.moved, since=racing.since
        )
        moment += STRIDE


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
        if race.moved == "current":
            assert Status.SUPERSEDED in statuses(race.first), "it looks once more after it wrote"
        elif race.moved != "state" and Status.SUPERSEDED in statuses(race.first):
            assert "current" not in race.since, "nothing of an older commit is shown, not even for a moment"
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


# -- what may be written ----------------------------------------------------------------------------------------


def refused(one: Clone, desired: Sequence[Desired], *names: str) -> str:
    """Let an apply be refused; nothing is written."""
    before = one.registry.writes if isinstance(one.registry, Open) else 0
    with pytest.raises(GuardError) as caught:
        one.run(desired, *names)
    assert isinstance(one.registry, Open)
    assert one.registry.writes == before
    return str(caught.value)


EDITED = [wanted("alpha", ["two"]), BASE[1]]


@pytest.mark.threat("F6")
def test_an_older_commit_after_a_newer_one_that_had_nothing_to_write_is_superseded() -> None:
    registry, world = started()
    clone(Open(registry), "3", world).run(BASE)
    late = Open(registry)
    outcomes = clone(late, "2", world).run(EDITED)
    assert late.writes == 0
    assert statuses(outcomes) == {Status.SUPERSEDED}
    assert statuses(clone(late, "2", world).run(BASE)) == {Status.SUPERSEDED}, "never told that nothing changed"
    assert (exit_code(outcomes), exit_code(outcomes, named=True)) == (0, 6)
    assert "superseded" in outcomes[0].notes[0]
    check_whole(registry, BASE)


@pytest.mark.threat("F6")
@pytest.mark.parametrize(("at", "theirs"), [("x", "3"), ("3", "x")])
def test_diverged_commits_are_refused_with_both_named_and_taking_over_goes_on(at: str, theirs: str) -> None:
    registry, world = started()
    clone(Open(registry), theirs, world).run(BASE)
    said = refused(clone(Open(registry), at, world), EDITED)
    assert commit(at)[:12] in said
    assert commit(theirs)[:12] in said
    assert "--take-over" in said
    refused(clone(Open(registry), at, world), EDITED, "alpha")
    clone(Open(registry), at, world).run(EDITED, take_over=True)
    check_whole(registry, EDITED)
    check_recorded(registry, at, EDITED)
    record, _ = read_record(registry, "alpha", "current")
    assert record.facts.taken_over
    check_settled(registry, at, EDITED, world)


@pytest.mark.threat("F6")
def test_who_took_over_once_need_not_again_for_what_was_unchanged_then() -> None:
    rewritten = Graph({"1": "", "2": "1", "n": "", "m": "n"})
    registry, world = started()
    clone(Open(registry), "2", world).run(EDITED)
    first = Clone(Open(registry), world.index, world.factory, at="n", graph=rewritten)
    assert "--take-over" in refused(first, EDITED)
    first.run(EDITED, take_over=True)
    later = [wanted("alpha", ["three"]), wanted("beta", ["three"])]
    outcomes = Clone(Open(registry), world.index, world.factory, at="m", graph=rewritten).run(later)
    assert statuses(outcomes) == {Status.APPLIED}
    check_whole(registry, later)


@pytest.mark.threat("F6")
@pytest.mark.parametrize("gives", [True, False])
def test_a_shallow_clone_deepens_itself_once_and_is_refused_where_that_does_not_help(*, gives: bool) -> None:
    registry, world = started()
    clone(Open(registry), "2", world).run(EDITED)
    shallow = Graph(LINE, lacking=["1", "2"], gives=gives)
    one = Clone(Open(registry), world.index, world.factory, at="3", graph=shallow)
    if gives:
        assert statuses(one.run(BASE)) == {Status.APPLIED, Status.UNCHANGED}
        check_whole(registry, BASE)
    else:
        assert "git fetch --unshallow" in refused(one, BASE)
    assert shallow.deepened == 1


@pytest.mark.threat("F6")
def test_an_older_clone_that_lacks_the_newer_commit_is_never_told_that_nothing_changed() -> None:
    registry, world = started()
    clone(Open(registry), "3", world).run(EDITED)
    late = Clone(Open(registry), world.index, world.factory, at="2", graph=Graph(LINE, lacking=["3", "4"], gives=False))
    assert commit("3")[:12] in refused(late, EDITED)
    late.graph = Graph(LINE, lacking=["3", "4"])
    assert Status.SUPERSEDED in statuses(late.run(BASE))


def test_outside_git_a_state_that_has_a_commit_is_refused_unless_it_is_taken_over() -> None:
    registry, world = started()
    one = clone(Open(registry), "1", world)
    policy = one.policy()
    planned = replace(one.plan(EDITED, policy), revision=Revision())
    with pytest.raises(GuardError, match="no commit of any git repository"):
        one.do(planned, policy)
    one.do(planned, replace(policy, take_over=True))
    check_whole(registry, EDITED)


# -- environments by name ---------------------------------------------------------------------------------------


@pytest.mark.threat("F6")
def test_an_apply_of_names_does_not_make_a_whole_one_of_an_earlier_commit_late() -> None:
    registry, world = started()
    newest = [wanted("alpha", ["three"]), wanted("beta", ["three"])]
    clone(Open(registry), "3", world).run(newest, "alpha")
    state = read_state(registry, MANAGER)
    assert (state.began, state.finished) == (commit("1"), commit("1"))
    between = [wanted("alpha", ["two"]), wanted("beta", ["two"])]
    outcomes = clone(Open(registry), "2", world).run(between)
    assert {one.name: one.status for one in outcomes} == {"alpha": Status.SUPERSEDED, "beta": Status.APPLIED}
    check_whole(registry, [newest[0], between[1]])
    clone(Open(registry), "3", world).run(newest)
    check_whole(registry, newest)
    check_recorded(registry, "3", newest)


@pytest.mark.threat("F6")
def test_a_record_of_a_commit_that_diverged_is_refused_and_the_others_are_applied() -> None:
    registry, world = started()
    clone(Open(registry), "x", world).run([wanted("alpha", ["x"]), BASE[1]], "alpha")
    desired = [wanted("alpha", ["three"]), wanted("beta", ["three"])]
    outcomes = clone(Open(registry), "3", world).run(desired)
    assert {one.name: one.status for one in outcomes} == {"alpha": Status.FAILED, "beta": Status.APPLIED}
    assert exit_code(outcomes) == 4
    (error,) = [one.error for one in outcomes if one.error is not None]
    assert isinstance(error, GuardError)
    assert "alpha v2" in str(error)


def test_a_dirty_tree_leaves_the_commits_of_the_state_as_they_are() -> None:
    registry, world = started()
    one = clone(Open(registry), "3", world)
    planned = one.plan(EDITED, one.policy(), commit=commit("3"))
    one.do(replace(planned, revision=replace(planned.revision, dirty=True)), one.policy())
    assert read_state(registry, MANAGER).began == commit("1")
    check_whole(registry, EDITED)


@pytest.mark.parametrize("newer", [True, False])
def test_names_and_the_whole_at_once_lose_nothing(count_cases: Counter, *, newer: bool) -> None:
    whole, named = [wanted("alpha", ["one"]), wanted("beta", ["one"])], [wanted("alpha", ["two"]), BASE[1]]
    for race in races("2", whole, "3" if newer else "2", named if newer else whole, "alpha"):
        assert statuses(race.first) <= WELL
        assert statuses(race.second) <= WELL
        check_whole(race.registry, [named[0], whole[1]] if newer else whole)
        count_cases("F3", 1)


# -- many at once -----------------------------------------------------------------------------------------------


def test_appliers_of_different_environments_lose_no_record(count_cases: Counter) -> None:
    groups = [
        [wanted(f"env-{group}-{number}", [f"package-{group}-{number}"]) for number in range(25)] for group in range(8)
    ]
    every = [one for group in groups for one in group]
    for _ in range(50 if FULL else 1):
        registry, world = MemoryRegistry(remote=True), World(MemoryRegistry())

        def work(group: list[Desired], registry: Registry = registry, world: World = world) -> tuple[Outcome, ...]:
            return clone(Open(registry), "2", world).run(group, *(one.name for one in group))

        with ThreadPoolExecutor(8) as pool:
            for outcomes in pool.map(work, groups):
                assert statuses(outcomes) == {Status.APPLIED}
        assert len(world.factory.built) == 8 * 25
        check_whole(registry, every)
        clone(Open(registry), "2", world).run(every)
        check_recorded(registry, "2", every)
        count_cases("F4", 8 * 25)


@pytest.mark.parametrize("appliers", [2, 4, 8])
def test_appliers_of_the_same_environment_end_with_one_version(count_cases: Counter, appliers: int) -> None:
    for _ in range(67 if FULL else 4):
        registry, world = started()
        desired = [wanted("alpha", ["new"]), BASE[1]]
        with ThreadPoolExecutor(appliers) as pool:
            running = [pool.submit(clone(Open(registry), "2", world).run, desired) for _ in range(appliers)]
            outcomes = [one.result() for one in running]
        assert {status for one in outcomes for status in statuses(one)} <= DONE | {Status.ADOPTED}
        assert _numbers(registry, "alpha") == (2, 1)
        check_whole(registry, desired)
        check_settled(registry, "2", desired, world)
        count_cases("F3", 1)


# -- deaths -----------------------------------------------------------------------------------------------------


class Dying(Open):
    """An open registry whose process dies at the n-th write."""

    def __init__(self, registry: Registry, *, dies_at: int, after: bool) -> None:
        super().__init__(registry)
        self.dies_at, self.after = dies_at, after


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("what", EDITS)
def test_after_a_death_at_any_write_one_more_apply_converges(what: str, count_cases: Counter, *, after: bool) -> None:
    _, desired = EDITS[what]
    reference, world = started()
    clone(Open(reference), "2", world).run(desired)
    write = 0
    while True:
        registry, world = started()
        mortal = Dying(registry, dies_at=write, after=after)
        try:
            clone(mortal, "2", world).run(desired)
        except Killed:
            check_readable(registry, desired)
            clone(Open(registry), "2", world).run(desired)
            check_whole(registry, desired)
            check_recorded(registry, "2", desired)
            for one in desired:
                assert registry.resolve(one.name, "current") == reference.resolve(one.name, "current"), write
            check_settled(registry, "2", desired, world)
            count_cases("F1", 1)
            write += 1
            continue
        break
    assert write >= (1 if desired == BASE else 3)


def check_readable(registry: Registry, desired: Sequence[Desired]) -> None:
    """Nothing points at what is only partly there."""
    for one in desired:
        found = observe(registry, one.name, depth=Depth.BLOBS)
        if isinstance(found, Present):
            assert (found.missing, found.tampered) == ((), ())
        else:
            assert isinstance(found, Absent)


# -- tags that can't be moved -----------------------------------------------------------------------------------


class Immutable(Open):
    """A registry that lets no tag move but some; it refuses the same content too."""

    def __init__(self, registry: Registry, error: type[RegistryError], *, movable: Callable[[str], bool]) -> None:
        super().__init__(registry)
        self.error = error
        self.movable = movable

    def refuse(self, repository: str, tags: Sequence[str]) -> None:
        for tag in tags:
            if not self.movable(tag) and self.inner.resolve(repository, tag) is not None:
                raise self.error(f"tag {tag} is immutable")


def moves(tag: str) -> bool:
    return tag == "current" or tag.startswith("m-")


@pytest.mark.parametrize("error", [RegistryError, DeniedError])
@pytest.mark.parametrize("what", EDITS)
def test_tags_that_are_written_once_may_be_immutable(what: str, error: type[RegistryError]) -> None:
    older, newer = EDITS[what]
    registry, world = started()
    for at, desired in (("2", older), ("3", newer), ("4", older)):
        one = clone(Immutable(registry, error, movable=moves), at, world)
        assert statuses(one.run(desired)) <= DONE
        check_whole(registry, [one for one in desired if one in older or one in newer])


@pytest.mark.parametrize("error", [RegistryError, DeniedError])
def test_two_clones_that_write_immutable_tags_both_succeed(error: type[RegistryError]) -> None:
    moment = 0
    while True:
        registry, world = started()
        second: list[tuple[Outcome, ...]] = []
        racing = Immutable(registry, error, movable=moves)
        racing.at = moment
        other = clone(Immutable(registry, error, movable=moves), "2", world)
        racing.other = partial(_run, second, other, EDITED, ())
        first = clone(racing, "2", world).run(EDITED)
        if not second:
            break
        assert statuses(first) | statuses(second[0]) <= DONE | {Status.ADOPTED}
        check_whole(registry, EDITED)
        moment += 1
    assert moment > 20


@pytest.mark.parametrize(("error", "code"), [(RegistryError, 1), (DeniedError, 77)])
def test_a_current_that_can_not_be_moved_is_one_line_that_says_which_tag_to_exclude(
    error: type[RegistryError], code: int
) -> None:
    registry, world = started()
    outcomes = clone(Immutable(registry, error, movable=lambda tag: tag.startswith("m-")), "2", world).run(EDITED)
    (failure,) = [one.error for one in outcomes if one.error is not None]
    assert failure.exit_code == code
    assert "does not let the tag `current` of alpha move" in str(failure)
    assert "exclude `current` from that rule" in str(failure)
    with pytest.raises(RegistryError, match="exclude `m-"):
        clone(Immutable(registry, error, movable=lambda tag: tag == "current"), "2", world).run(EDITED)


# -- others and hands -------------------------------------------------------------------------------------------


def test_what_another_manager_registered_beside_ours_is_left_alone() -> None:
    registry, world = started()
    theirs = Clone(Open(registry), world.index, world.factory, at="1")
    other = Policy(manager="other#environments")
    foreign = [wanted("theirs"), wanted("shared")]
    theirs.do(replace(theirs.plan(foreign, other, commit=commit("1")), manager=other.manager), other)
    before = {name: registry.resolve(name, "current") for name in ("theirs", "shared")}
    outcomes = clone(Open(registry), "2", world).run([*BASE, wanted("shared", ["ours"])])
    assert {one.name: one.status for one in outcomes if one.status is not Status.UNCHANGED} == {
        "shared": Status.BLOCKED
    }
    assert {name: registry.resolve(name, "current") for name in before} == before
    assert set(read_state(registry, MANAGER).records) == {"alpha", "beta"}


def test_two_branches_in_two_registries_know_nothing_of_one_another() -> None:
    main, release = MemoryRegistry(remote=True), MemoryRegistry(remote=True)
    for registry, at, desired in ((main, "3", EDITED), (release, "x", BASE), (main, "4", BASE), (release, "x", EDITED)):
        assert statuses(clone(Open(registry), at).run(desired)) <= DONE
        check_whole(registry, desired)


@pytest.mark.threat("F13")
def test_a_current_that_was_deleted_comes_back_without_a_build() -> None:
    registry, world = started()
    before = registry.resolve("alpha", "current")
    registry.delete("alpha", "current")
    world.factory.built.clear()
    clone(Open(registry), "1", world).run(BASE)
    assert world.factory.built == []
    assert registry.resolve("alpha", "current") == before
    check_whole(registry, BASE)


@pytest.mark.threat("F13")
def test_a_cleanup_of_what_has_no_tag_takes_nothing_that_is_needed() -> None:
    registry, world = started()
    clone(Open(registry), "2", world).run(EDITED)
    clone(Open(registry), "3", world).run([wanted("alpha", ["two"], description="words"), BASE[1]])
    for name, blobs in registry.blobs.items():
        tagged = {one.digest for one in registry.tagged[name].values()}
        for digest in [one for one, data in blobs.items() if b'"schemaVersion"' in data and one not in tagged]:
            del blobs[digest]
    registry.delete("alpha", "current")
    world.factory.built.clear()
    clone(Open(registry), "3", world).run(EDITED)
    assert world.factory.built == []
    check_whole(registry, EDITED)


class Meddler:
    """Somebody who moves ``current`` back as soon as an environment is done."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.met = False

    def report(self, progress: Progress) -> None:
        if progress.stage is Stage.DONE and not self.met:
            self.met = True
            self.registry.push(progress.name, self.registry.fetch(progress.name, "v1"), tags=("current",))


@pytest.mark.threat("F3")
def test_what_was_written_over_ours_while_the_rest_was_done_is_written_again() -> None:
    registry, world = started()
    one = clone(Open(registry), "2", world)
    means = replace(one.means(), reporter=Meddler(registry))
    outcomes = apply(one.plan(EDITED, commit=commit("2")), one.policy(), means, history=GRAPH)
    assert statuses(outcomes) <= DONE
    check_whole(registry, EDITED)
    check_settled(registry, "2", EDITED, world)


@pytest.mark.threat("F3")
def test_who_loses_again_and_again_gives_up_with_a_conflict() -> None:
    registry, world = started()

    class Busy(Open):
        """A registry in which somebody always comes first with another record of the same commit."""

        def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
            if repository == "alpha" and reference == "current":
                record, _ = read_record(registry, "alpha", "v1")
                self.requests += 1
                metadata = replace(record.facts.metadata, description=f"{self.requests}")
                content = to_index(replace(record, facts=replace(record.facts, metadata=metadata)))
                registry.push("alpha", content, tags=("current",))
            return super().resolve(repository, reference)

    outcomes = clone(Busy(registry), "2", world).run(EDITED)
    (failure,) = [one.error for one in outcomes if one.error is not None]
    assert isinstance(failure, ConflictError)
    assert exit_code([one for one in outcomes if one.error is not None]) == 8
