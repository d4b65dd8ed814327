"""How the commit that is applied stands to one that a registry holds, and what follows from that. Pure.

Registries have no compare-and-swap. What keeps an older run from writing over a newer one is that every record, and the
manager's state, say which commit they were written from.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from reconciler.errors import GuardError
from reconciler.values.commit import Commit


class Relation(Enum):
    """How our commit stands to theirs.

    ``FIRST``: nothing was recorded. ``OLDER``: ours is a strict ancestor. ``DIVERGED``: neither comes before the other.
    ``UNKNOWN``: history does not reach. ``UNTRACKED``: they have a commit and we have none.
    """

    FIRST = "first"
    SAME = "same"
    NEWER = "newer"
    OLDER = "older"
    DIVERGED = "diverged"
    UNKNOWN = "unknown"
    UNTRACKED = "untracked"


class Verdict(Enum):
    """What may be done: write; nothing, since somebody newer was here; nothing, since nobody can tell."""

    GO_ON = "go on"
    SUPERSEDED = "superseded"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What version control says: whether theirs comes before ours, and whether ours comes before theirs.

    None where history does not reach.
    """

    theirs_first: bool | None = None
    ours_first: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """Our commit, the one that was recorded, and how they stand. ``take_over`` goes on whatever that is."""

    ours: Commit | None
    theirs: Commit | None
    relation: Relation
    take_over: bool = False

    @property
    def verdict(self) -> Verdict:
        """What follows."""
        if self.take_over or self.relation in _FORWARD:
            return Verdict.GO_ON
        return Verdict.SUPERSEDED if self.relation is Relation.OLDER else Verdict.REFUSED

    @property
    def forward(self) -> bool:
        """Tell whether ours may stand where theirs does; taking over changes nothing about that."""
        return self.relation in _FORWARD

    def superseded(self, what: str) -> str:
        """Say why nothing is done; ``what`` holds the newer commit."""
        ours = f"commit {self.ours.short}" if self.ours else "what is here"
        return f"superseded: {ours} comes before {_short(self.theirs)}, which was applied to {what}; nothing was done"

    def refusal(self, what: str) -> GuardError:
        """Say why nothing is written; ``what`` holds the other commit (``the registry``, ``training v3``)."""
        words, hint = _REFUSALS.get(self.relation, _REFUSALS[Relation.UNKNOWN])
        ours = f"commit {self.ours.short}" if self.ours else "what is here"
        return GuardError(words.format(ours=ours, theirs=_short(self.theirs), what=what), hint=hint)


_FORWARD = frozenset({Relation.FIRST, Relation.SAME, Relation.NEWER})
_REFUSALS = {
    Relation.DIVERGED: (
        "{ours} and commit {theirs}, from which {what} was written, have diverged: neither comes before the other",
        "merge or rebase onto what was applied; where history was rewritten on purpose, pass --take-over",
    ),
    Relation.UNKNOWN: (
        "{ours} can't be compared with commit {theirs}, from which {what} was written: this clone does not reach it",
        (
            "deepen the clone with `git fetch --unshallow` (a whole one with `git fetch`; in CI, a fetch depth of 0); "
            "where history was rewritten on purpose, pass --take-over"
        ),
    ),
    Relation.UNTRACKED: (
        "{what} was written from commit {theirs}, and {ours} is no commit of any git repository",
        "apply from a clone; to write over it all the same, pass --take-over",
    ),
}


def judge(ours: Commit | None, theirs: Commit | None, answer: Answer, *, take_over: bool = False) -> Judgement:
    """Compare our commit with a recorded one, by what version control answered."""
    return Judgement(ours=ours, theirs=theirs, relation=_relation(ours, theirs, answer), take_over=take_over)


def _relation(ours: Commit | None, theirs: Commit | None, answer: Answer) -> Relation:  # noqa: PLR0911  # a return each
    if theirs is None:
        return Relation.FIRST
    if ours is None:
        return Relation.UNTRACKED
    if ours == theirs:
        return Relation.SAME
    if answer.theirs_first:
        return Relation.NEWER
    if answer.ours_first:
        return Relation.OLDER
    if answer.theirs_first is None or answer.ours_first is None:
        return Relation.UNKNOWN
    return Relation.DIVERGED


def _short(commit: Commit | None) -> str:
    return commit.short if commit is not None else "none"
