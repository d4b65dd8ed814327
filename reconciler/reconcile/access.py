"""What the registry lets us read: our manager's state, and through all states what is registered at all.

A remote registry is not asked what repositories it holds: it may hold thousands of others', and many don't answer.
What reconcilers registered stands in their states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.errors import CorruptError, DeniedError, NotFoundError
from reconciler.plan.state import State
from reconciler.ports import Registry
from reconciler.reconcile.ledger import REPOSITORY, read_state_if_whole, read_tagged
from reconciler.values.names import RESERVED_PREFIX


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A manager's state, and whether it was read whole.

    Where it was, our credentials hold, and a name that it does not know is none of ours: that vouches for what
    registries deny because it is not there.
    """

    state: State
    whole: bool


def open_state(registry: Registry, manager: str, say: Callable[[str], None], *, claim: bool = False) -> Opened:
    """Read the state; a damaged one is an empty one, and ``say`` is told so. A DeniedError where we may not.

    ``claim``, for who is about to write, asks first whether we may push where reading is denied: some registries
    deny what is not there.
    """
    damaged: list[str] = []
    try:
        state = read_state_if_whole(registry, manager, damaged.append)
    except DeniedError as error:
        if claim:
            registry.claim(REPOSITORY)
            return open_state(registry, manager, say)
        raise DeniedError(
            f"{registry.address} denies what is registered ({REPOSITORY}): {error.message}",
            hint=error.hint or "log in, as with `docker login`; where nothing is registered yet, apply begins",
        ) from error
    for message in damaged:
        say(message)
    return Opened(state=state, whole=not damaged)


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """Names of environments, sorted, and a line for whatever may hide more of them."""

    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def registered_names(registry: Registry) -> Registered:
    """Name every environment that managers registered; a remote registry is listed only where it has no state."""
    if not registry.remote:
        return Registered(names=_environments(registry.repositories() or ()))
    names: set[str] = set()
    notes: list[str] = []
    tags = [tag for tag in registry.tags(REPOSITORY) if tag.startswith("m-")]
    for tag in tags:
        try:
            names.update(read_tagged(registry, tag).records)
        except (CorruptError, NotFoundError) as error:
            notes.append(f"{REPOSITORY}:{tag}: {error.message}; what that manager registered is not listed")
    if tags:
        return Registered(names=_environments(names), notes=tuple(notes))
    listed = registry.repositories()
    if listed is None:
        notes.append(f"{registry.address} holds no manager's state and does not list what it holds")
    return Registered(names=_environments(listed or ()), notes=tuple(notes))


def _environments(names: set[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if not name.startswith(RESERVED_PREFIX)))
