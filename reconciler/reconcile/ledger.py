"""The state record of a manager: which commit began an apply, which finished, and what was registered.

It may only refuse or inform: nothing is decided without reading an environment's own ``current``, and losing it
loses nothing. Where others write from elsewhere, what they wrote is joined with ours: names of both, and of the commits
the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci import media
from reconciler.oci.image import side_entry
from reconciler.plan.ancestry import Verdict
from reconciler.plan.state import State, parse_state
from reconciler.ports import Registry
from reconciler.reconcile.lineage import Lineage
from reconciler.reconcile.tagging import move_tag
from reconciler.reconcile.tags import CURRENT
from reconciler.record import blob_of
from reconciler.values.digest import Digest

REPOSITORY = "reconciler-state"
MAX_STATE = 64 << 20
"""Bytes of a state that is read."""
TRIES = 3
"""How often a state is written that others write too; what is lost after that, they wrote later."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What an apply enters: its commit, and the records that it left.

    ``marks`` says that it was an apply of the whole commit: only that moves the commits. ``lineage`` keeps the newest
    one, where others write too; ``base`` are the records that were there when it began.
    """

    commit: str | None
    records: Mapping[str, Digest]
    marks: bool = True
    lineage: Lineage | None = None
    base: Mapping[str, Digest] | None = None


def state_tag(manager: str) -> str:
    """Name a manager's state; managers have any characters, tags do not."""
    return f"m-{Digest.of(manager.encode()).hex[:32]}"


def read_state(registry: Registry, manager: str) -> State:
    """Read the state; an empty one where there is none. A damaged one is a CorruptError."""
    try:
        state = read_tagged(registry, state_tag(manager))
    except NotFoundError:
        return State(manager=manager)
    if state.manager != manager:
        raise CorruptError("the manager's state can't be read: it is another manager's")
    return state


def read_tagged(registry: Registry, tag: str) -> State:
    """Read the state that a tag names; a NotFoundError where there is none, a CorruptError where it is damaged."""
    blob = blob_of(registry.fetch(REPOSITORY, tag))
    if blob.size > MAX_STATE:
        raise CorruptError(f"the state record in {registry.address} claims {blob.size} bytes")
    try:
        return parse_state(b"".join(registry.fetch_blob(REPOSITORY, blob)))
    except NotFoundError as error:
        raise CorruptError("the manager's state can't be read: its content is gone") from error


def read_state_if_whole(registry: Registry, manager: str, say: Callable[[str], None] | None = None) -> State:
    """Read the state; a damaged one informs no more than a lost one, and ``say`` is told so in one line."""
    try:
        return read_state(registry, manager)
    except CorruptError as error:
        if not registry.remote:
            registry.repositories()  # where the whole registry is none, that is said instead
        if say is not None:
            say(error.message)
        return State(manager=manager)


def begin(registry: Registry, manager: str, commit: str | None, lineage: Lineage | None = None) -> State:
    """Record that an apply of this commit began, and give the state as it was.

    A commit that finished before and begins again has not finished: what it leaves when it is cut off is no drift. A
    commit that comes before the one that is there, or can't be compared with it, is not recorded.
    """

    def change(state: State) -> State:
        if not _leads(state, lineage):
            return state
        return replace(state, began=commit, finished=None if state.finished == commit else state.finished)

    return _update(registry, manager, change)


def finish(registry: Registry, manager: str, entry: Entry) -> bool:
    """Record that an apply ended, with what it registered; other names stay. Tell whether anything was written.

    Where that stands already nothing is locked either, so that an apply with nothing to do needs no right to write.
    """
    try:
        state = read_state(registry, manager)
    except CorruptError:
        state = None
    if state is not None and state == _finished(registry, state, entry) and state.records:
        return False
    _update(registry, manager, lambda state: _finished(registry, state, entry))
    return True


def _finished(registry: Registry, state: State, entry: Entry) -> State:
    records = {**state.records, **{name: _newest(registry, state, entry, name) for name in entry.records}}
    if not entry.marks or not _leads(state, entry.lineage):
        return replace(state, records=records)
    return replace(state, began=entry.commit, finished=entry.commit, records=records)


def _leads(state: State, lineage: Lineage | None) -> bool:
    return lineage is None or lineage.judge(state.began).verdict is Verdict.GO_ON


def _newest(registry: Registry, state: State, entry: Entry, name: str) -> Digest:
    """Say which record of a name stands in the state: where another apply entered one meanwhile, what is current."""
    ours, theirs = entry.records[name], state.records.get(name)
    if entry.base is None or theirs in (None, ours, entry.base.get(name)):
        return ours
    return registry.resolve(name, CURRENT) or ours


def _update(registry: Registry, manager: str, change: Callable[[State], State]) -> State:
    """Read, change, write, and read back; again where another writer came between. Gives the state as it was."""
    tag = state_tag(manager)
    with registry.writing(REPOSITORY):
        for _ in range(TRIES):
            seen = _seen(registry, tag)
            before = read_state_if_whole(registry, manager)
            image = side_entry(media.STATE, (after := change(before)).to_content())
            if after is before or (before == after and seen in (None, image.manifest.digest)):
                break
            for blob in image.blobs:
                registry.push_blob(REPOSITORY, blob)
            if registry.remote and _seen(registry, tag) != seen:
                continue
            move_tag(registry, REPOSITORY, image.manifest, tag)
            if not registry.remote or registry.resolve(REPOSITORY, tag) == image.manifest.digest:
                break
    return before


def _seen(registry: Registry, tag: str) -> Digest | None:
    try:
        return registry.resolve(REPOSITORY, tag)
    except CorruptError:
        return None
