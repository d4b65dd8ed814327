"""The state record of a manager: which commit began an apply, which finished, and what was registered.

It may only refuse or inform: nothing is decided without reading an environment's own ``current``, and losing it
loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci import media
from reconciler.oci.image import side_entry
from reconciler.plan.state import State, parse_state
from reconciler.ports import Registry
from reconciler.reconcile.images import push_image
from reconciler.record import blob_of
from reconciler.values.digest import Digest

REPOSITORY = "reconciler-state"
MAX_STATE = 64 << 20
"""Bytes of a state that is read."""


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


def begin(registry: Registry, manager: str, commit: str | None) -> State:
    """Record that an apply of this commit began, and give the state as it was.

    A commit that finished before and begins again has not finished: what it leaves when it is cut off is no drift.
    """
    with registry.writing(REPOSITORY):
        state = read_state_if_whole(registry, manager)
        finished = None if state.finished == commit else state.finished
        _write(registry, replace(state, began=commit, finished=finished))
    return state


def finish(registry: Registry, manager: str, commit: str | None, records: Mapping[str, Digest]) -> None:
    """Record that an apply of this commit ended, with what it registered; other names stay.

    Where that stands already nothing is locked either, so that an apply with nothing to do needs no right to write.
    """
    try:
        state = read_state(registry, manager)
    except CorruptError:
        state = None
    if state is not None and state == _finished(state, commit, records) and state.records:
        return
    with registry.writing(REPOSITORY):
        _write(registry, _finished(read_state_if_whole(registry, manager), commit, records))


def _finished(state: State, commit: str | None, records: Mapping[str, Digest]) -> State:
    return replace(state, began=commit, finished=commit, records={**state.records, **records})


def _write(registry: Registry, state: State) -> None:
    """Write the state unless it is there already, whole: a second apply writes nothing at all."""
    image = side_entry(media.STATE, state.to_content())
    try:
        written = read_state(registry, state.manager) == state
    except CorruptError:
        written = False
    if not written or registry.resolve(REPOSITORY, state_tag(state.manager)) != image.manifest.digest:
        push_image(registry, REPOSITORY, image, state_tag(state.manager))
