"""Scopes of tokens, such as ``repository:ml/training:pull,push`` ("Token Scope Documentation" of distribution). Pure.

A scope names a resource (its kind and its name, which may hold a colon) and what may be done with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

Access = Mapping[str, frozenset[str]]
"""Resources, and what may be done with each."""
_ACTION = re.compile(r"[a-z]{1,32}|\*")


@lru_cache(maxsize=4096)
def parse_scopes(scopes: frozenset[str]) -> Access:
    """Read scopes; those of one resource are joined."""
    return _access(scopes)


def covers(held: Access, wanted: Access) -> bool:
    """Tell whether what is held allows everything that is wanted."""
    return all(actions <= held.get(resource, frozenset()) for resource, actions in wanted.items())


def widen(wanted: Access, told: str) -> Access:
    """Add what a challenge says is needed, where it is about a resource that is wanted anyway."""
    needed = _access(told.split(" "))
    return {
        resource: actions | {action for action in needed.get(resource, ()) if _ACTION.fullmatch(action)}
        for resource, actions in wanted.items()
    }


def to_scopes(access: Access) -> tuple[str, ...]:
    """Write scopes, one a resource, sorted."""
    return tuple(f"{resource}:{','.join(sorted(access[resource]))}" for resource in sorted(access))


def _access(scopes: Iterable[str]) -> Access:
    found: dict[str, frozenset[str]] = {}
    for scope in scopes:
        resource, _, actions = scope.rpartition(":")
        found[resource] = found.get(resource, frozenset()) | frozenset(actions.split(","))
    return found
