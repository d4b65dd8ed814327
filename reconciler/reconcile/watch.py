"""Whether somebody newer came while an apply is at work: the manager's state, looked at again and again."""

from __future__ import annotations

import threading

from reconciler.errors import ConflictError
from reconciler.plan.ancestry import Judgement, Verdict
from reconciler.plan.state import State
from reconciler.ports import Registry
from reconciler.reconcile.ledger import REPOSITORY, read_state_if_whole, state_tag
from reconciler.reconcile.lineage import Lineage
from reconciler.values.digest import Digest


class Watch:
    """A manager's state in a registry that others write too; one request a look, more where it changed."""

    def __init__(self, registry: Registry, manager: str, lineage: Lineage) -> None:
        self.lineage = lineage
        self._registry = registry
        self._manager = manager
        self._seen: Digest | None = None
        self._state = State(manager=manager)
        self._guard = threading.Lock()

    def read(self) -> State:
        """Read the state as it is now."""
        found = self._registry.resolve(REPOSITORY, state_tag(self._manager))
        with self._guard:
            if found is None:
                self._state = State(manager=self._manager)
            elif found != self._seen:
                self._state = read_state_if_whole(self._registry, self._manager)
            self._seen = found
            return self._state

    def look(self) -> Judgement:
        """Judge the newest commit that began an apply here; a GuardError where we may not go on."""
        return self.require(self.lineage.judge(self.read().began), self._registry.address)

    @staticmethod
    def require(judgement: Judgement, what: str) -> Judgement:
        """Give the judgement unless it refuses; ``what`` was written from the other commit."""
        if judgement.verdict is Verdict.REFUSED:
            raise judgement.refusal(what)
        return judgement

    def check(self) -> None:
        """Raise a ConflictError where somebody newer, or somebody unknown, began meanwhile."""
        judgement = self.lineage.judge(self.read().began)
        if judgement.verdict is not Verdict.GO_ON:
            raise ConflictError(
                f"another apply of this manager began meanwhile, of commit {judgement.theirs}", hint="run apply again"
            )
