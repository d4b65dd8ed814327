"""What the registry holds of one environment, as far as it would say.

Present, Absent, Denied and Unknown are different answers: only Absent means that there is nothing, and what is
Unknown is never built, archived or overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from reconciler.record import Bodies, Record
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """An earlier version whose artifacts are there: what a revert goes back to.

    ``keys`` are its build keys, ``below`` those of what it is built on, where that is another environment.
    """

    name: str
    version: int
    record: Digest
    request: Digest
    lock: Digest
    platforms: tuple[Platform, ...]
    keys: Mapping[Platform, Digest] = field(default_factory=dict)
    below: Mapping[Platform, Digest] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A tag that names something else than it has to: what that is, where it is known, and what it names."""

    expected: Digest | None
    found: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """What a manager's state says of an environment: whose it is, and which record it had when an apply ended."""

    manager: str
    record: Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Present:
    """A record is there.

    ``digest`` is the record's own. ``recovered`` says that ``current`` was gone, or named what it must not, and that
    the newest record was read instead; ``salvaged``, that no record was left and this one was put together from what
    was: it is built from, and never registered. ``missing`` and ``tampered`` name content of the record (a tag, a
    platform, ``lock``, ``request``) that is not there, or not what its digest says; ``moved`` says of tags among them
    what they name. ``bodies`` are read where something changed. ``past`` are the versions that a change could go back
    to.
    """

    record: Record
    digest: Digest
    recovered: bool = False
    salvaged: bool = False
    missing: tuple[str, ...] = ()
    tampered: tuple[str, ...] = ()
    moved: Mapping[str, Moved] = field(default_factory=dict)
    bodies: Bodies | None = None
    past: tuple[Past, ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """There is nothing: the registry itself says so, or ``note`` says why that follows from what it says."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Denied:
    """The registry says that we may not look."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The registry gave no answer that can be believed."""

    reason: str
    corrupt: bool = False


Observation: TypeAlias = Present | Absent | Denied | Unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """The registry as seen in one run: every environment that is declared or that our manager registered."""

    registry: str
    environments: Mapping[str, Observation] = field(default_factory=dict)
