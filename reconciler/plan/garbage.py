"""What may go from a folder of caches and a registry, as a pure function over values: nothing that is needed, ever.

Files are counted as the disk counts them: one that has several names once, and freed when its last name goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from reconciler.values.digest import Digest

GRACE_S = 3600.0
"""Seconds for which nothing goes that was written or used; what comes from the future was."""
File = tuple[int, int]
"""A file as the disk knows it: its device and its number there."""


class Kind(Enum):
    """What an entry is."""

    WHEEL = "wheels"
    PACKAGE = "Debian packages"
    PYTHON = "Python archives"
    LAYER = "layers"
    ENVIRONMENT = "environments"
    INTERPRETER = "interpreters"
    DERIVED = "derived values"
    BLOB = "blobs"
    LEFTOVER = "leftovers"


CACHES = frozenset(
    [Kind.WHEEL, Kind.PACKAGE, Kind.PYTHON, Kind.LAYER, Kind.ENVIRONMENT, Kind.INTERPRETER, Kind.DERIVED]
)
"""What is kept for speed alone, and held under a size."""


class Level(IntEnum):
    """How much an entry is wanted; of those that may go, the lower goes first."""

    WASTE = 0
    """Nothing can use it any more: a blob that no tag reaches, what an interrupted writer left."""
    SPARE = 1
    """No current record would use it."""
    WANTED = 2
    """The next build of a current record would use it, and can do without."""
    NEEDED = 3
    """It never goes: a current record needs it to run, or something runs in it now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A file with several names: its size, how many names it has at all, and how many of them are the entry's."""

    file: File
    size: int
    names: int
    here: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """One thing on a disk: its name and place for people, when it was used last (seconds since 1970).

    ``size`` are the bytes of its files that have one name, ``links`` its other files.
    """

    kind: Kind
    name: str
    place: str
    used_s: float
    level: Level = Level.SPARE
    size: int = 0
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What may stay: caches that were used in the last ``older_than_s`` seconds, and ``keep_bytes`` of them at most."""

    now_s: float
    older_than_s: float
    keep_bytes: int
    grace_s: float = GRACE_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What records need and want of the caches.

    ``records`` are what states name, by environment. ``environments`` are build keys that current records need here;
    those of a name in ``unknown`` could not be read, all of them where it is none. Wheels, Debian packages and archives
    of Python (``files``) are wanted by their sha256, layers by their key.
    """

    environments: frozenset[str] = frozenset()
    unknown: frozenset[str] | None = frozenset()
    files: frozenset[str] = frozenset()
    layers: frozenset[str] = frozenset()
    records: Mapping[str, frozenset[Digest]] = field(default_factory=dict)

    def level_of_environment(self, name: str, key: str) -> Level:
        """Tell how much an environment of this machine is wanted."""
        known = self.unknown is not None and name not in self.unknown
        return Level.NEEDED if not known or key in self.environments else Level.SPARE


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many entries, and their bytes, each file once."""

    count: int = 0
    size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """What a disk holds that may go, and what in it is none of ours (``foreign``: its path), which is never touched.

    ``kept`` counts what stays whatever is chosen. ``notes`` say what could not be judged, one line each.
    """

    entries: tuple[Holding, ...] = ()
    foreign: tuple[str, ...] = ()
    kept: Tally = field(default_factory=Tally)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What goes, in this order, what each of them frees, and what there is of each kind before.

    ``held`` and ``left`` are the bytes of caches that nothing else holds, before and after.
    """

    taken: tuple[Holding, ...]
    frees: tuple[int, ...]
    there: Mapping[Kind, Tally]
    held: int
    left: int

    @property
    def freed(self) -> int:
        """All bytes that are freed."""
        return sum(self.frees)

    def tally(self, kind: Kind) -> Tally:
        """Say what goes of a kind."""
        sizes = [size for entry, size in zip(self.taken, self.frees, strict=True) if entry.kind is kind]
        return Tally(count=len(sizes), size=sum(sizes))


def select(entries: Iterable[Holding], rule: Rule) -> Selection:
    """Choose what goes: all waste, then what was not used for long, then what was used longest ago, until it is enough.

    What is needed, and what was used within the grace, never goes. Nor does what frees nothing, since each of its files
    has a name that stays.
    """
    known = tuple(sorted(entries, key=lambda entry: (entry.level, entry.used_s, entry.kind.value, entry.place)))
    books = _Books(known)
    held = books.held
    movable = [entry for entry in known if entry.level is not Level.NEEDED and _is_older(entry, rule, rule.grace_s)]
    going = books.worth(movable)
    for entry in going:
        if entry.level is Level.WASTE or (entry.level is Level.SPARE and _is_older(entry, rule, rule.older_than_s)):
            books.take(entry)
    for entry in going:
        if books.held <= rule.keep_bytes:
            break
        if entry.kind in CACHES and entry.place not in books.taken:
            books.take(entry)
    return Selection(
        taken=tuple(entry for entry, _ in books.taken.values()),
        frees=tuple(freed for _, freed in books.taken.values()),
        there={kind: tally_of([entry for entry in known if entry.kind is kind]) for kind in Kind},
        held=held,
        left=books.held,
    )


def tally_of(entries: Sequence[Holding]) -> Tally:
    """Count entries, each file once."""
    sizes = {link.file: link.size for entry in entries for link in entry.links}
    return Tally(count=len(entries), size=sum(entry.size for entry in entries) + sum(sizes.values()))


def _is_older(entry: Holding, rule: Rule, age_s: float) -> bool:
    return entry.used_s <= rule.now_s - age_s


class _Books:
    """Who holds which file, how many bytes the caches hold, and what each entry freed that was taken."""

    def __init__(self, entries: Sequence[Holding]) -> None:
        known = _names(entries)
        self._left = {
            link.file: link.names for entry in entries for link in entry.links if known[link.file] >= link.names
        }
        """Files all of whose names are known, and how many of them are left."""
        self._cached = _names([entry for entry in entries if entry.kind in CACHES])
        self.taken: dict[str, tuple[Holding, int]] = {}
        """By its place: what was taken, and the bytes that it freed."""
        cached = {link.file: link.size for entry in entries if entry.kind in CACHES for link in entry.links}
        self.held = sum(entry.size for entry in entries if entry.kind in CACHES)
        self.held += sum(size for file, size in cached.items() if file in self._left)

    def worth(self, movable: Sequence[Holding]) -> list[Holding]:
        """Leave out what frees nothing, whatever else goes too."""
        names = _names(movable)
        return [
            entry
            for entry in movable
            if entry.size or not entry.links or any(names[link.file] >= link.names for link in entry.links)
        ]

    def take(self, entry: Holding) -> None:
        freed = entry.size
        cached = entry.kind in CACHES
        self.held -= entry.size if cached else 0
        for link in entry.links:
            if link.file not in self._left:
                continue
            self._left[link.file] -= link.here
            freed += link.size if not self._left[link.file] else 0
            if cached:
                self._cached[link.file] -= link.here
                self.held -= link.size if not self._cached[link.file] else 0
        self.taken[entry.place] = entry, freed


def _names(entries: Iterable[Holding]) -> Counter[File]:
    found: Counter[File] = Counter()
    for entry in entries:
        for link in entry.links:
            found[link.file] += link.here
    return found
