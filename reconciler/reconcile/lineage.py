"""Asking version control how the commit that is applied stands to those that a registry holds."""

from __future__ import annotations

import threading

from reconciler.plan.ancestry import Answer, Judgement, Relation, judge
from reconciler.ports import History
from reconciler.values.commit import Commit

_DEEPENINGS = 3
"""How often a run asks the origin for more history: once is the rule, more where newer commits come meanwhile."""


class Lineage:
    """Compares one commit with others; each is asked for once. Safe for threads.

    Where history does not reach, the clone is deepened and asked again.
    """

    def __init__(self, history: History | None, ours: Commit | None, *, take_over: bool = False) -> None:
        self.ours = ours
        self._history = history
        self._take_over = take_over
        self._known: dict[Commit, Answer] = {}
        self._deepenings = 0
        self._guard = threading.Lock()

    def judge(self, theirs: str | None) -> Judgement:
        """Judge a recorded commit (none where there is none)."""
        commit = Commit.parse(theirs) if theirs is not None else None
        answer = self._answer(commit) if commit is not None else Answer()
        return judge(self.ours, commit, answer, take_over=self._take_over)

    def _answer(self, theirs: Commit) -> Answer:
        if self.ours is None or self._history is None or theirs == self.ours:
            return Answer()
        with self._guard:
            if theirs not in self._known:
                self._known[theirs] = self._ask_deeply(self._history, self.ours, theirs)
            return self._known[theirs]

    def _ask_deeply(self, history: History, ours: Commit, theirs: Commit) -> Answer:
        answer = _ask(history, ours, theirs)
        unknown = judge(ours, theirs, answer).relation is Relation.UNKNOWN
        if not unknown or self._deepenings >= _DEEPENINGS:
            return answer
        self._deepenings += 1
        return _ask(history, ours, theirs) if history.deepen() else answer


def _ask(history: History, ours: Commit, theirs: Commit) -> Answer:
    theirs_first = history.is_ancestor(theirs, ours)
    return Answer(theirs_first=theirs_first, ours_first=False if theirs_first else history.is_ancestor(ours, theirs))
