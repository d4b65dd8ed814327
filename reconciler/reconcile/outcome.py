"""What became of each step, and the exit code of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from reconciler.errors import GuardError, InterruptedByUserError, ReconcilerError
from reconciler.plan.change import Action
from reconciler.values.digest import Digest

SOME_FAILED = 4


class Status(Enum):
    """How a step ended."""

    APPLIED = "applied"
    ADOPTED = "adopted"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    BLOCKED = "blocked"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one environment.

    ``adopted`` means that another run had done it already, ``superseded`` that a run of a newer commit had been here.
    """

    name: str
    action: Action
    status: Status
    version: int | None = None
    digest: Digest | None = None
    built: int = 0
    reused: int = 0
    notes: tuple[str, ...] = ()
    error: ReconcilerError | None = None


def exit_code(outcomes: Sequence[Outcome], *, named: bool = False) -> int:
    """Say 0 where all went well, 4 where some did, and the failures' own code where none did.

    What is superseded is well, unless environments were ``named``: then what was asked for was refused.
    """
    failed = [item for item in outcomes if item.status in (Status.FAILED, Status.BLOCKED)]
    if not failed:
        superseded = any(item.status is Status.SUPERSEDED for item in outcomes)
        return GuardError.exit_code if named and superseded else 0
    if any(isinstance(item.error, InterruptedByUserError) for item in failed):
        return InterruptedByUserError.exit_code
    if len(failed) < len(outcomes):
        return SOME_FAILED
    codes = {item.error.exit_code if item.error else ReconcilerError.exit_code for item in failed}
    return codes.pop() if len(codes) == 1 else ReconcilerError.exit_code
