"""A plan as a value: what would be done, and why (an action and its reasons are different things)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from reconciler.lock.difference import PackageChange
from reconciler.lock.model import Lock
from reconciler.manifest.desired import Desired
from reconciler.plan.observed import Observation, Past
from reconciler.values.canonical import Json
from reconciler.values.commit import Revision
from reconciler.values.digest import Digest
from reconciler.values.location import Location
from reconciler.values.platform import Platform

__all__ = ["Action", "Change", "PackageChange", "Plan", "Policy", "Reason", "Step"]


class Action(Enum):
    """What is done to one environment."""

    CREATE = "create"
    REBUILD = "rebuild"
    REBASE = "rebase"
    REUSE = "reuse"
    METADATA = "metadata"
    ARCHIVE = "archive"
    UNCHANGED = "unchanged"
    BLOCKED = "blocked"


class Reason(Enum):
    """Why an environment changes."""

    REQUEST = "REQUEST"
    LOCK = "LOCK"
    PLATFORM = "PLATFORM"
    BASE = "BASE"
    METADATA = "METADATA"
    MISSING = "MISSING"
    TAMPERED = "TAMPERED"
    REMOVED = "REMOVED"
    REFRESH = "REFRESH"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One reason: which field, from what, to what (none where it is new or gone), and where it stands."""

    reason: Reason
    path: str = ""
    old: Json = None
    new: Json = None
    location: Location | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What is done to one environment, judged against one observed record.

    ``observed`` is the digest of the record that the step was derived from (none where there was none), ``request``
    and ``lock`` the target (``lock`` none where packages resolve at apply). ``packages`` is none where they are not
    known yet. ``reuse`` is the version whose lock and artifacts serve. ``note`` is one line for people: why it is
    blocked, or what is worth knowing.
    """

    name: str
    action: Action
    location: Location
    changes: tuple[Change, ...] = ()
    observed: Digest | None = None
    request: Digest | None = None
    lock: Digest | None = None
    platforms: tuple[Platform, ...] = ()
    packages: tuple[PackageChange, ...] | None = None
    reuse: Past | None = None
    note: str = ""
    destructive: bool = False
    # What apply works with; no part of the document.
    desired: Desired | None = field(default=None, repr=False)
    observation: Observation | None = field(default=None, repr=False)
    lock_body: Lock | None = field(default=None, repr=False)
    cause: Step | None = field(default=None, repr=False)
    """The blocked step below, where that is why this one is blocked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What limits a plan.

    ``whole`` says that every manifest was read and none was left out: only then is anything removed. ``names`` are
    those that were asked for (none means all). ``refresh`` are names that resolve anew. ``locked`` refuses what has no
    committed lock that is up to date. ``protected`` are kept whatever their records say.
    """

    manager: str
    whole: bool = True
    names: frozenset[str] | None = None
    refresh: frozenset[str] = frozenset()
    locked: bool = False
    max_deletes: int = 5
    protected: frozenset[str] = frozenset()
    adopt: bool = False
    take_over: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Every step, sorted by name; unchanged environments are in it.

    ``declared`` is how many environments the repository declares, however few of them were asked for.
    """

    steps: tuple[Step, ...]
    registry: str
    manager: str
    revision: Revision
    notes: tuple[str, ...] = ()
    declared: int | None = None

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that would do something."""
        still = (Action.UNCHANGED, Action.BLOCKED)
        return tuple(step for step in self.steps if step.action not in still)

    @property
    def blocked(self) -> tuple[Step, ...]:
        """The steps that can't be done."""
        return tuple(step for step in self.steps if step.action is Action.BLOCKED)
