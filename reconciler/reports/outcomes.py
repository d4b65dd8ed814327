"""What became of each environment: one line, JSON, or Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reports.inert import inert
from reconciler.reports.markdown import LIMIT, code, table
from reconciler.values.canonical import Json

FORMAT_VERSION = 1
_ORDER = (Status.APPLIED, Status.ADOPTED, Status.UNCHANGED, Status.BLOCKED, Status.FAILED)


def outcomes_summary(outcomes: Sequence[Outcome]) -> str:
    """Count outcomes in one line."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = [f"{counts[status]} {status.value}" for status in _ORDER if counts[status]]
    built = sum(outcome.built for outcome in outcomes)
    reused = sum(outcome.reused for outcome in outcomes if outcome.status is Status.APPLIED)
    artifacts = f" ({built} built, {reused} reused)" if built or reused else ""
    return f"Apply: {', '.join(parts) or 'nothing to do'}{artifacts}."


def outcomes_json(outcomes: Sequence[Outcome], registry: str) -> str:
    """Write outcomes as a document."""
    value = {
        "format_version": FORMAT_VERSION,
        "registry": registry,
        "outcomes": [_outcome(outcome) for outcome in outcomes],
    }
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _outcome(outcome: Outcome) -> dict[str, Json]:
    error = outcome.error
    return {
        "name": outcome.name,
        "action": outcome.action.value,
        "status": outcome.status.value,
        "version": outcome.version,
        "digest": None if outcome.digest is None else str(outcome.digest),
        "built": outcome.built,
        "reused": outcome.reused,
        "notes": [*outcome.notes],
        "error": None if error is None else {"message": str(error), "exit_code": error.exit_code},
    }


def outcomes_markdown(outcomes: Sequence[Outcome], registry: str) -> str:
    """Write outcomes for a job's summary: the verdict first, then a table of what was not unchanged."""
    rows = [_row(outcome) for outcome in outcomes if outcome.status is not Status.UNCHANGED]
    head = f"## {outcomes_summary(outcomes)}\n\nRegistry {code(registry)}\n"
    if not rows:
        return head
    return f"{head}\n{table(('Environment', 'Action', 'Result', 'Version'), rows, LIMIT - len(head) - 2)}\n"


def _row(outcome: Outcome) -> tuple[str, ...]:
    result = outcome.status.value
    if outcome.error is not None:
        result = f"{result}: {code(inert(str(outcome.error), 300))}"
    version = "" if outcome.version is None else f"v{outcome.version}"
    return code(outcome.name), outcome.action.value, result, version
