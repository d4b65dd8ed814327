"""JSON for programs: sorted, indented, ASCII alone, so that nothing in it means anything to a terminal or a log."""

from __future__ import annotations

import json

from reconciler.values.canonical import Json


def to_text(value: Json) -> str:
    """Write a document with a final newline."""
    # The second # is escaped, as ##[error] and the like are commands wherever they stand in a CI log.
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, indent=2, allow_nan=False)
    return text.replace("##", "#\\u0023").replace("\x7f", "\\u007f") + "\n"
