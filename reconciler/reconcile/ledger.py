"""The state record of a manager: which commit began an apply, which finished, and what was registered.

It may only refuse or inform: nothing is decided without reading an environment's own ``current``, and losing it
loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import CorruptError, NotFoundError
from reconciler.oci import media
from reconciler.oci.image import side_entry
from reconciler.plan.state import State, parse_state
from reconciler.ports import Registry
from reconciler.reconcile.publish import push_image
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
        manifest = registry.fetch(REPOSITORY, state_tag(manager))
    except NotFoundError:
        return State(manager=manager)
    blob = blob_of(manifest)
    if blob.size > MAX_STATE:
        raise CorruptError(f"the state record in {registry.address} claims {blob.size} bytes")
    return parse_state(b"".join(registry.fetch_blob(REPOSITORY, blob)))


def read_state_if_whole(registry: Registry, manager: str) -> State:
    """Read the state; a damaged one informs no more than a lost one."""
    try:
        return read_state(registry, manager)
    except CorruptError:
        return State(manager=manager)


def begin(registry: Registry, manager: str, commit: str | None) -> None:
    """Record that an apply of this commit began."""
    with registry.writing(REPOSITORY):
        _write(registry, replace(read_state_if_whole(registry, manager), began=commit))


def finish(registry: Registry, manager: str, commit: str | None, records: Mapping[str, Digest]) -> None:
    """Record that an apply of this commit ended, with what it registered; other names stay."""
    with registry.writing(REPOSITORY):
        state = read_state_if_whole(registry, manager)
        _write(registry, replace(state, began=commit, finished=commit, records={**state.records, **records}))


def _write(registry: Registry, state: State) -> None:
    """Write the state unless it is there already: a second apply writes nothing at all."""
    image = side_entry(media.STATE, state.to_content())
    if registry.resolve(REPOSITORY, state_tag(state.manager)) != image.manifest.digest:
        push_image(registry, REPOSITORY, image, state_tag(state.manager))
