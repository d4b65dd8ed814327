"""The state of a manager: which commit began an apply, which finished, and the records that it left **[format]**.

It may only refuse or inform; losing it loses nothing. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.errors import CorruptError
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.commit import Commit
from reconciler.values.digest import Digest
from reconciler.values.names import refusal

FORMAT_VERSION = 1
MAX_BYTES = 32 << 20
MAX_RECORDS = 100_000
_MAX_MANAGER = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """``began`` and ``finished`` are full commits, ``records`` each registered name with its record's digest.

    ``records`` names archived environments too: what was removed is still known.
    """

    manager: str
    began: str | None = None
    finished: str | None = None
    records: Mapping[str, Digest] = field(default_factory=dict)

    def to_content(self) -> bytes:
        """Write the state in canonical form."""
        return to_canonical(
            {
                "format_version": FORMAT_VERSION,
                "manager": self.manager,
                "began": self.began,
                "finished": self.finished,
                "records": {name: str(digest) for name, digest in self.records.items()},
            },
        )


def parse_state(data: bytes) -> State:
    """Read a state strictly; anything that :meth:`State.to_content` would not write is a CorruptError."""
    value = _parse_object(data)
    if value.get("format_version") != FORMAT_VERSION or isinstance(value["format_version"], bool):
        raise _corrupt("it has another format version")
    if set(value) != {"format_version", "manager", "began", "finished", "records"}:
        raise _corrupt("it has other fields than a state has")
    manager, records = value["manager"], value["records"]
    if not isinstance(manager, str) or len(manager) > _MAX_MANAGER:
        raise _corrupt("its manager is no text")
    if not isinstance(records, dict) or len(records) > MAX_RECORDS:
        raise _corrupt("its records are no table of names and digests")
    state = State(
        manager=manager,
        began=_parse_commit(value["began"]),
        finished=_parse_commit(value["finished"]),
        records={name: _parse_record(name, digest) for name, digest in records.items()},
    )
    if state.to_content() != data:
        raise _corrupt("it is not in canonical form")
    return state


def _parse_object(data: bytes) -> dict[str, Json]:
    if len(data) > MAX_BYTES:
        raise _corrupt(f"it is larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _corrupt("it is no JSON") from error
    if not isinstance(value, dict):
        raise _corrupt("it is no JSON object")
    return value


def _parse_commit(text: Json) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise _corrupt("a commit is no text")
    try:
        return str(Commit.parse(text))
    except ValueError as error:
        raise _corrupt(str(error)) from error


def _parse_record(name: str, digest: Json) -> Digest:
    reason = refusal(name)
    if reason is not None:
        raise _corrupt(reason)
    try:
        return Digest.parse(digest if isinstance(digest, str) else "")
    except ValueError as error:
        raise _corrupt(str(error)) from error


def _corrupt(reason: str) -> CorruptError:
    return CorruptError(
        f"the manager's state can't be read: {reason}",
        hint="apply writes it anew; losing it loses nothing",
    )
