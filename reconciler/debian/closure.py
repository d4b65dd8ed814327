"""Which packages are needed: what is asked for, and all that it depends on (Debian Policy 7).

Like apt without recommended packages. One thing at a time is given up where a choice does not work out: that a package
stays at its version, then that it is the newest one, then the package itself; and all is chosen anew. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from reconciler.debian.candidate import Candidate
from reconciler.debian.relation import Alternatives, Relation, parse_provided, parse_relations
from reconciler.debian.version import parse_version
from reconciler.errors import ResolveError
from reconciler.lock.system import Part
from reconciler.values.location import Location

_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_TURNS = 5
"""How often the choice is looked at again: where one was given up for another on the way, it may be needed no more."""
_OWN = ("", "any", "native")
"""The architectures that a relation may name for the one that is solved for."""


class Offer(Protocol):
    """What archives have for one architecture."""

    def named(self, name: str) -> Sequence[Candidate]:
        """Give every version of a package."""

    def providing(self, name: str) -> Sequence[Candidate]:
        """Give the packages that provide a name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A package that is asked for by name, and in one version where ``version`` says so; ``where`` asks for it."""

    name: str
    part: Part
    version: str = ""
    where: Location | None = None

    @property
    def relation(self) -> Relation:
        """The wish, as packages say it."""
        return Relation(self.name, "=", self.version) if self.version else Relation(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A package that is needed, and for which wish first."""

    candidate: Candidate
    wish: Wish

    @property
    def part(self) -> Part:
        """The part that it is in."""
        return self.wish.part


def close(wishes: Sequence[Wish], offer: Offer, kept: Mapping[str, Candidate]) -> tuple[Choice, ...]:
    """Choose the packages, sorted by name; those in ``kept`` stay at their version where nothing moves them.

    A part is chosen without a look at the parts after it, so that it is the same whatever they add. What can't be had
    is a ResolveError where it is asked for.
    """
    try:
        return _close(wishes, _Kept(kept), kept)
    except ResolveError:  # what stays is not enough, and something has to come or to move
        return _settle(wishes, offer, kept)


def _settle(wishes: Sequence[Wish], offer: Offer, kept: Mapping[str, Candidate]) -> tuple[Choice, ...]:
    """Choose until the same is chosen again from what was chosen."""
    known, chosen = _Remembered(offer), dict(kept)
    for _ in range(_TURNS):
        choices = _close(wishes, known, chosen)
        before, chosen = chosen, {choice.candidate.name: choice.candidate for choice in choices}
        if chosen == before:
            break
    return choices


def _close(wishes: Sequence[Wish], offer: Offer, kept: Mapping[str, Candidate]) -> tuple[Choice, ...]:
    bounds: dict[str, tuple[Relation, ...]] = {}
    for wish in wishes:
        if wish.version:
            bounds[wish.name] = (*bounds.get(wish.name, ()), wish.relation)
    attempt = _Attempt(offer=offer, kept=kept, limits=Limits(bounds=bounds))
    while (again := attempt.run(wishes)) is not None:
        attempt = _Attempt(offer=offer, kept=kept, limits=again)
    return tuple(attempt.chosen[name] for name in sorted(attempt.chosen))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What stays, as if nothing else were offered."""

    kept: Mapping[str, Candidate]

    def named(self, name: str) -> Sequence[Candidate]:
        return (self.kept[name],) if name in self.kept else ()

    def providing(self, name: str) -> Sequence[Candidate]:
        provided = ((one, {found for found, _ in parse_provided(one.provides)}) for one in self.kept.values())
        return [one for one, names in provided if name in names]


@dataclass(frozen=True, slots=True)
class _Remembered:
    """An offer that is asked once for each name."""

    offer: Offer
    names: dict[str, Sequence[Candidate]] = field(default_factory=dict)
    provided: dict[str, Sequence[Candidate]] = field(default_factory=dict)

    def named(self, name: str) -> Sequence[Candidate]:
        if name not in self.names:
            self.names[name] = _newest_first(self.offer.named(name))
        return self.names[name]

    def providing(self, name: str) -> Sequence[Candidate]:
        if name not in self.provided:
            self.provided[name] = self.offer.providing(name)
        return self.provided[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What was learned from choices that did not work out.

    ``released`` need not stay at their version, ``bounds`` hold for whoever is chosen under a name, and ``refused`` are
    versions that can't be had, with the reason.
    """

    released: frozenset[str] = frozenset()
    bounds: Mapping[str, tuple[Relation, ...]] = field(default_factory=dict)
    refused: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def releasing(self, name: str) -> Limits:
        """Let a package move."""
        return replace(self, released=self.released | {name})

    def binding(self, relation: Relation) -> Limits:
        """Choose only what this relation admits too."""
        return replace(self, bounds={**self.bounds, relation.name: (*self.bounds.get(relation.name, ()), relation)})

    def refusing(self, candidate: Candidate, reason: str) -> Limits:
        """Do without this version of a package."""
        return replace(self, refused={**self.refused, (candidate.name, candidate.version): reason})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Need:
    """Alternatives of which one is needed: by a package, or by the wish itself."""

    group: Alternatives
    wish: Wish
    owner: Candidate | None = None

    def __str__(self) -> str:
        return " | ".join(map(str, self.group))


@dataclass(kw_only=True)
class _Attempt:
    """One way through the dependencies."""

    offer: Offer
    kept: Mapping[str, Candidate]
    limits: Limits
    chosen: dict[str, Choice] = field(default_factory=dict)
    provided: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    barred: dict[str, list[tuple[str, Relation]]] = field(default_factory=dict)
    single: deque[_Need] = field(default_factory=deque)
    several: deque[_Need] = field(default_factory=deque)

    def run(self, wishes: Sequence[Wish]) -> Limits | None:
        """Choose; give the limits to try again with, or nothing where all is chosen.

        Alternatives wait until everything that leaves no choice is there, for that often is one of them.
        """
        for part in Part:
            self.single.extend(_Need(group=(wish.relation,), wish=wish) for wish in wishes if wish.part is part)
            while self.single or self.several:
                need = (self.single or self.several).popleft()
                if not any(map(self._is_met, need.group)):
                    limits = self._meet(need)
                    if limits is not None:
                        return limits
        return None

    def _is_met(self, relation: Relation) -> bool:
        choice = self.chosen.get(relation.name)
        if choice is not None and _fits(choice.candidate, relation):
            return True
        return any(relation.admits_provided(version) for _, version in self.provided.get(relation.name, ()))

    def _meet(self, need: _Need) -> Limits | None:
        candidates = [candidate for relation in need.group for candidate in self._candidates(relation)]
        for candidate in sorted(candidates, key=self._moves):
            if self._enemy(candidate) is None:
                self._add(candidate, need)
                return None
        return self._give_way(need, candidates)

    def _moves(self, candidate: Candidate) -> bool:
        """Sort alternatives: one that is there already comes first, whatever the order."""
        return self._stays(candidate.name) is None

    def _stays(self, name: str) -> Candidate | None:
        return None if name in self.limits.released else self.kept.get(name)

    def _candidates(self, relation: Relation) -> Iterator[Candidate]:
        """Give what may be chosen: the package of that name, else those that provide it, the best ones first."""
        if relation.name not in self.chosen:
            own = self.best(relation)
            if own is not None:
                yield own
        found = {one.name for one in self.offer.providing(relation.name) if one.name not in self.chosen}
        best = [
            one for name in sorted(found) if (one := self.best(Relation(name))) is not None and _provides(one, relation)
        ]
        yield from sorted(best, key=lambda one: (self._moves(one), not one.essential, _rank(one)))

    def best(self, relation: Relation) -> Candidate | None:
        """Choose the version of a package: the one that stays, else the newest; of one version, the first archive's."""
        kept = self._stays(relation.name)
        first: Sequence[Candidate] = () if kept is None else (kept,)
        found = (*first, *self.offer.named(relation.name))
        return next((one for one in found if _fits(one, relation) and self._is_allowed(one)), None)

    def _is_allowed(self, candidate: Candidate) -> bool:
        bounds = self.limits.bounds.get(candidate.name, ())
        refused = (candidate.name, candidate.version) in self.limits.refused
        return not refused and all(_fits(candidate, bound) for bound in bounds)

    def _enemy(self, candidate: Candidate) -> str | None:
        """Name a chosen package that a candidate can't stand beside."""
        names = ((candidate.name, candidate.version), *parse_provided(candidate.provides))
        for owner, relation in (bar for name, _ in names for bar in self.barred.get(name, ())):
            if _meets(candidate, relation):
                return owner
        for relation in _barring(candidate):
            choice = self.chosen.get(relation.name)
            if choice is not None and _fits(choice.candidate, relation):
                return relation.name
            for name, version in self.provided.get(relation.name, ()):
                if relation.admits_provided(version):
                    return name
        return None

    def _add(self, candidate: Candidate, need: _Need) -> None:
        self.chosen[candidate.name] = Choice(candidate=candidate, wish=need.wish)
        for name, version in parse_provided(candidate.provides):
            self.provided.setdefault(name, []).append((candidate.name, version))
        for relation in _barring(candidate):
            self.barred.setdefault(relation.name, []).append((candidate.name, relation))
        for group in (*parse_relations(candidate.pre_depends), *parse_relations(candidate.depends)):
            found = _Need(group=group, wish=need.wish, owner=candidate)
            choice = len(group) > 1 or not self.offer.named(group[0].name)
            (self.several if choice else self.single).append(found)

    # -- what does not work out ---------------------------------------------------------------------------------

    def _give_way(self, need: _Need, candidates: Sequence[Candidate]) -> Limits:
        """Say what to give up so that a need can be met; where nothing is left, a ResolveError."""
        stuck = [relation for relation in need.group if relation.name in self.chosen]
        enemies = [name for candidate in candidates if (name := self._enemy(candidate)) is not None]
        owner = [] if need.owner is None else [need.owner.name]
        for name in (*(relation.name for relation in stuck), *owner, *enemies, *(one.name for one in candidates)):
            if self._can_move(name):
                return self.limits.releasing(name)
        for relation in stuck:
            bound = self.limits.binding(relation)
            if relation not in self.limits.bounds.get(relation.name, ()) and replace(self, limits=bound).best(relation):
                return bound
        reason = self._reason(need, candidates)
        if need.owner is None:
            raise ResolveError(reason, where=need.wish.where)
        return self.limits.refusing(need.owner, reason)

    def _can_move(self, name: str) -> bool:
        kept = self._stays(name)
        return kept is not None and any(one.version != kept.version for one in self.offer.named(name))

    def _reason(self, need: _Need, candidates: Sequence[Candidate]) -> str:
        subject = "" if need.owner is None else f"{need.owner.name} {need.owner.version} needs {need}: "
        for candidate in candidates:
            enemy = self._enemy(candidate)
            if enemy is not None:
                return f"{subject}{candidate.name} {candidate.version} can't be installed beside {self._said(enemy)}"
        for relation in need.group:
            if relation.name in self.chosen:
                return f"{subject}{self._said(relation.name)} is chosen, and {relation} is needed"
        for relation in need.group:
            found = self.offer.named(relation.name)
            for candidate in found:
                reason = self.limits.refused.get((candidate.name, candidate.version))
                if reason is not None:
                    return f"{subject}{reason}"
                bounds = self.limits.bounds.get(relation.name, ())
                other = next((bound for bound in bounds if not _fits(candidate, bound)), None)
                if _fits(candidate, relation) and other is not None:
                    return f"{subject}{other} is needed too"
            if found:
                there = ", ".join(dict.fromkeys(one.version for one in found))
                return f"{subject}of {relation.name} the archives have {there}, and not {relation}"
        return f"{subject}no archive has {need}"

    def _said(self, name: str) -> str:
        return f"{name} {self.chosen[name].candidate.version}"


def _newest_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda one: parse_version(one.version), reverse=True)


def _fits(candidate: Candidate, relation: Relation) -> bool:
    own = relation.architecture in (*_OWN, candidate.architecture)
    return own and candidate.name == relation.name and relation.admits(candidate.version)


def _provides(candidate: Candidate, relation: Relation) -> bool:
    provided = parse_provided(candidate.provides)
    return any(name == relation.name and relation.admits_provided(version) for name, version in provided)


def _meets(candidate: Candidate, relation: Relation) -> bool:
    return _fits(candidate, relation) or _provides(candidate, relation)


def _barring(candidate: Candidate) -> Iterator[Relation]:
    """Give what a package can't stand beside; not itself, also where it provides that name."""
    for field_text in (candidate.conflicts, candidate.breaks):
        yield from (relation for group in parse_relations(field_text) for relation in group)


def _rank(candidate: Candidate) -> int:
    priority = candidate.priority
    return _PRIORITIES.index(priority) if priority in _PRIORITIES else len(_PRIORITIES)
