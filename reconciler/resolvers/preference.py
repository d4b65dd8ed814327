"""What moved although it need not have.

uv gives up a preferred version when the first of several indexes lists it with files that don't fit, even where another
has one that does. So what moved is asked for once more: as a constraint, and no longer as a preference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.clients.uv import Compiled
from reconciler.resolvers.pylock import Pin, parse_pylock
from reconciler.resolvers.question import Question

MAX_TRIES = 12
"""How many packages are tried one by one; what an edit really moves is seldom more."""


def settle(
    pins: tuple[Pin, ...],
    preference: Mapping[str, str],
    question: Question,
    ask: Callable[[Question, Mapping[str, str]], Compiled],
) -> tuple[Pin, ...]:
    """Give the pins again, with as many of the moved packages as possible where they were."""
    moved = _moved(pins, preference)
    if not moved:
        return pins
    free = {name: version for name, version in preference.items() if name not in moved}
    held: dict[str, str] = {}
    for names in _tries(sorted(moved)):
        wanted = {**held, **{name: moved[name] for name in names}}
        answer = ask(question.with_constraints(wanted), free)
        found = () if answer.status else parse_pylock(answer.output)
        if found and len(_moved(found, preference)) < len(_moved(pins, preference)):
            pins, held = found, wanted
        if not _moved(pins, preference):
            break
    return pins


def _tries(names: list[str]) -> list[list[str]]:
    """All at once, then one by one."""
    return [names, *([name] for name in names[:MAX_TRIES])] if len(names) > 1 else [names]


def _moved(pins: tuple[Pin, ...], preference: Mapping[str, str]) -> dict[str, str]:
    return {pin.name: preference[pin.name] for pin in pins if preference.get(pin.name, pin.version) != pin.version}
