"""A history over a small graph of commits: what git knows of it, or only a part of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.values.commit import Commit, Revision


def commit(name: str) -> str:
    """Give a commit's full name."""
    return name.encode().hex().rjust(40, "0")


class Graph:
    """Commits by name, each with its parents' names; ``lacking`` are not there until the clone is deepened.

    A clone that lacks some is shallow: it can't tell that one commit does not come before another.
    """

    def __init__(
        self, parents: Mapping[str, str | Sequence[str]], lacking: Sequence[str] = (), *, gives: bool = True
    ) -> None:
        self.parents = {commit(name): [commit(one) for one in parents[name]] for name in parents}
        self.lacking = {commit(name) for name in lacking}
        self.gives = gives
        self.deepened = 0

    def revision(self, paths: Sequence[str]) -> Revision:  # noqa: ARG002  # the port's
        return Revision()

    def is_ancestor(self, ancestor: Commit, descendant: Commit) -> bool | None:
        known = self.parents.keys() - self.lacking
        if ancestor.hex not in known or descendant.hex not in known:
            return None
        seen, todo = set(), [descendant.hex]
        while todo:
            one = todo.pop()
            if one == ancestor.hex:
                return True
            if one in known and one not in seen:
                seen.add(one)
                todo += self.parents[one]
        return None if self.lacking else False

    def deepen(self) -> bool:
        self.deepened += 1
        more = bool(self.lacking) and self.gives
        if more:
            self.lacking = set()
        return more
