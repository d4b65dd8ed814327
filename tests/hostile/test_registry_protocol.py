"""The write protocol on a registry over HTTP of which one request fails, or all from one on: nothing half is current.

In full (every request, every kind of fault): ``RECONCILER_CASES=full pytest tests/hostile/test_registry_protocol.py``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from reconciler.clients.registry.session import Settings as Reach
from reconciler.errors import ReconcilerError
from reconciler.plan.observed import Present
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.outcome import Outcome, Status
from tests import registry_faults as faults
from tests.registry_faults import Fault, Point
from tests.registry_messages import Kind
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Store
from tests.remote import opened
from tests.stocked import copied
from tests.world import Factory, Index, World, wanted

Counter = Callable[[str, int], None]
FULL = os.environ.get("RECONCILER_CASES") == "full"
SPARSE = 1 if FULL else 23
"""Of so many requests one fails."""

BEFORE, AFTER = [wanted("alpha")], [wanted("alpha", ["numpy", "scipy"])]
OUTLIVED = {
    "busy": faults.status(503),
    "later": faults.status(429, Retry_After="2"),
    "reset before the body": faults.reset(Point.BEFORE_BODY),
    "reset before the work": faults.reset(Point.AFTER_BODY),
    "reset after the work": faults.unanswered(),
    "reset amid the answer": faults.reset(Point.MIDDLE),
    "half an answer": faults.truncated(),
}
"""What one more try mends."""
NOT_OUTLIVED = {
    "a proxy's 404": faults.answer(404, b"<html>no such site</html>", content_type="text/html"),
    "a proxy's 200": faults.answer(200, b"<html>please log in</html>", content_type="text/html"),
    "not allowed": faults.status(403, code="DENIED"),
    "not authorised": faults.status(401, code="UNAUTHORIZED"),
    "bad request": faults.status(400, code="MANIFEST_INVALID"),
    "wrong bytes": faults.wrong_bytes(),
    "wrong digest": faults.wrong_digest(),
}
SILENT = {"silence": faults.stall(3600), "silence after the work": faults.stall(30, Point.AFTER_WORK)}


@dataclass
class Site:
    """One registry, and whoever applies to it: each run is a process of its own, as far as a registry can tell."""

    server: RegistryServer
    start: Store
    index: Index = field(default_factory=Index)
    factory: Factory = field(default_factory=Factory)
    reach: Reach = field(default_factory=lambda: Reach(timeout_s=5, limit_s=20))

    def reset(self) -> None:
        """Go back to the start."""
        self.server.fault = faults.never
        self.server.store = copied(self.start)
        self.server.asked.clear()
        self.factory.built.clear()

    def apply(self) -> tuple[Outcome, ...] | ReconcilerError:
        world = World(opened(self.server.address, settings=self.reach), index=self.index, factory=self.factory)
        try:
            return world.apply(AFTER)
        except ReconcilerError as error:
            return error

    def current(self) -> str:
        """Look at everything that ``current`` names; give its digest."""
        found = observe(opened(self.server.address), "alpha", depth=Depth.BLOBS)
        assert isinstance(found, Present), found
        assert (found.missing, found.tampered, found.recovered) == ((), (), False)
        return str(found.digest)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving_registry() as server:
        World(opened(server.address)).apply(BEFORE)
        yield Site(server=server, start=copied(server.store))


@dataclass(frozen=True, kw_only=True)
class Course:
    """What happens where nothing fails."""

    before: str
    after: str
    requests: int


@pytest.fixture(scope="module")
def course(site: Site) -> Course:
    site.reset()
    before = site.current()
    site.server.asked.clear()
    is_well(site.apply())
    requests = len(site.server.asked)
    assert 20 < requests < 200
    return Course(before=before, after=site.current(), requests=requests)


def is_well(outcomes: object) -> None:
    assert isinstance(outcomes, tuple), outcomes
    assert [one.status for one in outcomes] == [Status.APPLIED], outcomes


def failing(fault: Fault, number: int, *, for_ever: bool = False) -> faults.Asking:
    return lambda one: fault if one.number == number or (for_ever and one.number > number) else None


def moments(course: Course, offset: int, sparse: int = SPARSE) -> Iterator[int]:
    yield from range(1 + offset % sparse, course.requests + 1, sparse)


@pytest.mark.parametrize("what", OUTLIVED)
def test_a_request_that_fails_once_changes_nothing_of_the_result(
    site: Site, course: Course, what: str, count_cases: Counter
) -> None:
    for number in moments(course, list(OUTLIVED).index(what)):
        site.reset()
        site.server.fault = failing(OUTLIVED[what], number)
        is_well(site.apply())
        assert len(site.factory.built) == 1, number
        site.server.fault = faults.never
        assert site.current() == course.after, number
        count_cases("F8", 1)


@pytest.mark.parametrize("what", SILENT)
def test_one_silence_changes_nothing_of_the_result(site: Site, course: Course, what: str, count_cases: Counter) -> None:
    site.reach = Reach(timeout_s=0.3, limit_s=20)
    for number in moments(course, list(SILENT).index(what), 4 * SPARSE):
        site.reset()
        site.server.fault = failing(SILENT[what], number)
        is_well(site.apply())
        site.server.fault = faults.never
        assert site.current() == course.after, number
        count_cases("F8", 1)
    site.reach = Reach(timeout_s=5, limit_s=20)


@pytest.mark.parametrize("what", NOT_OUTLIVED)
def test_a_wrong_answer_ends_well_or_in_an_error_and_the_next_run_converges(
    site: Site, course: Course, what: str, count_cases: Counter
) -> None:
    for number in moments(course, list(NOT_OUTLIVED).index(what)):
        site.reset()
        site.server.fault = failing(NOT_OUTLIVED[what], number)
        settle(site, course, site.apply(), number)
        count_cases("F8", 1)


@pytest.mark.parametrize("what", [*OUTLIVED, *NOT_OUTLIVED])
def test_a_registry_that_fails_from_some_request_on_is_given_up_and_the_next_run_converges(
    site: Site, course: Course, what: str, count_cases: Counter
) -> None:
    every = {**OUTLIVED, **NOT_OUTLIVED}
    for number in moments(course, list(every).index(what)):
        site.reset()
        site.server.fault = failing(every[what], number, for_ever=True)
        outcomes = site.apply()
        assert len(site.server.asked) < number + 20 * 5, "tries are bounded"
        settle(site, course, outcomes, number)
        count_cases("F8", 1)


def test_what_head_says_is_never_written_down(site: Site, course: Course, count_cases: Counter) -> None:
    """Which record a tag names goes into the next record, so it is taken from the content."""
    for kind in (Kind.HEAD_MANIFEST, Kind.HEAD_BLOB):
        site.reset()
        site.server.fault = faults.every(faults.wrong_digest(), kind)
        settle(site, course, site.apply(), 0)
        count_cases("F10", 1)


def settle(site: Site, course: Course, outcomes: object, number: int) -> None:
    """Check what a run left, and that the next one completes it."""
    errors = [outcomes] if isinstance(outcomes, ReconcilerError) else [one.error for one in outcomes if one.error]  # type: ignore[attr-defined]
    assert all("\n" not in str(error) for error in errors)
    site.server.fault = faults.never
    assert site.current() in {course.before, course.after}, number
    again = site.apply()
    assert isinstance(again, tuple), (number, again)
    assert {one.status for one in again} <= {Status.APPLIED, Status.ADOPTED, Status.UNCHANGED}, (number, again)
    assert site.current() == course.after, number
    assert 1 <= len(site.factory.built) <= 2, number
    site.server.asked.clear()
    site.apply()
    assert site.server.writes == [], number
