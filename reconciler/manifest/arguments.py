"""``docker.arguments``: options of ``docker run`` that are passed on to the engine, read strictly. Pure.

An option is one item, ``--name=value``, ``--name`` for a switch, or two items, ``--name`` and its value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

SWITCHES = frozenset({"init", "privileged", "read-only"})
ONCE = frozenset({"cpus", "gpus", "hostname", "ipc", "memory", "network", "pid", "runtime", "shm-size"})
REPEATED = frozenset(
    {
        "add-host",
        "cap-add",
        "cap-drop",
        "device",
        "env",
        "group-add",
        "publish",
        "security-opt",
        "tmpfs",
        "ulimit",
        "volume",
    }
)
_SHORT: Mapping[str, str] = MappingProxyType(
    {"e": "env", "h": "hostname", "m": "memory", "p": "publish", "v": "volume"}
)
_SAME: Mapping[str, str] = MappingProxyType({"net": "network"})


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineArguments:
    """What was asked: switches that are on, the value of an option, the values of one that may be repeated."""

    switches: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parse_arguments(arguments: Sequence[str]) -> EngineArguments:
    """Read the arguments; one that is not known, lacks its value or stands twice is a ValueError that names it."""
    switches: set[str] = set()
    values: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    waiting = list(reversed(arguments))
    while waiting:
        written = waiting.pop()
        name, value = _split(written)
        if name in SWITCHES:
            if value not in (None, "true"):
                raise ValueError(f"{written!a}: {name} is a switch and takes no value")
            switches.add(name)
            continue
        if value is None:
            if not waiting or waiting[-1].startswith("-"):
                raise ValueError(f"{written!a} lacks its value")
            value = waiting.pop()
        if name in REPEATED:
            lists[name] = (*lists.get(name, ()), value)
        elif name in values:
            raise ValueError(f"{written!a}: {name} is there twice")
        else:
            values[name] = value
    return EngineArguments(switches=frozenset(switches), values=values, lists=lists)


def _split(written: str) -> tuple[str, str | None]:
    name, separator, value = written.partition("=")
    if name.startswith("--"):
        known = _SAME.get(name[2:], name[2:])
    else:
        known = _SHORT.get(name[1:], "") if name.startswith("-") else ""
    if known not in SWITCHES | ONCE | REPEATED:
        raise ValueError(f"{written[:80]!a} is no option that is passed on: these are {_listed()}")
    return known, value if separator else None


def _listed() -> str:
    return ", ".join(f"--{name}" for name in sorted(SWITCHES | ONCE | REPEATED))
