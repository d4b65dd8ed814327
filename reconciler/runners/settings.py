"""What a manifest declares for running (``shm_size``, ``arguments``, ``compute: gpu``), in the engine's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.clients.engine import gpu_request, ulimit
from reconciler.errors import BuildError
from reconciler.manifest.arguments import EngineArguments, parse_arguments
from reconciler.values.canonical import Json

_NANO = 1_000_000_000
_PLAIN = {
    "ipc": "ipc_mode",
    "memory": "mem_limit",
    "network": "network_mode",
    "pid": "pid_mode",
    "runtime": "runtime",
    "shm-size": "shm_size",
}
_SWITCHES = {"init": "init", "privileged": "privileged", "read-only": "read_only"}
_LISTS = {
    "cap-add": "cap_add",
    "cap-drop": "cap_drop",
    "device": "devices",
    "group-add": "group_add",
    "security-opt": "security_opt",
    "volume": "binds",
}
_HOST_PORT_PARTS, _ADDRESS_PARTS = 2, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSettings:
    """``host`` is for the SDK's ``create_host_config``; ``variables`` are names, with a value or the caller's own."""

    host: Mapping[str, object]
    hostname: str | None = None
    ports: tuple[object, ...] = ()
    variables: tuple[str, ...] = field(default=(), repr=False)

    def environment(self, caller: Mapping[str, str]) -> dict[str, str]:
        """Give the variables of ``--env``: ``NAME=VALUE``, or ``NAME`` with what the caller has, if anything."""
        pairs = (text.partition("=") for text in self.variables)
        return {
            name: value if separator else caller[name]
            for name, separator, value in pairs
            if separator or name in caller
        }


def host_settings(declared: Mapping[str, Json]) -> HostSettings:
    """Read what a record keeps for running; what no engine takes is a BuildError that names the argument."""
    listed = declared.get("arguments")
    try:
        asked = parse_arguments([str(item) for item in listed] if isinstance(listed, list) else [])
        return _settings(asked, declared)
    except ValueError as error:
        raise BuildError(f"docker.arguments: {error}") from error


def _settings(asked: EngineArguments, declared: Mapping[str, Json]) -> HostSettings:
    host: dict[str, object] = {"network_mode": "default"}
    if declared.get("shm_size"):
        host["shm_size"] = str(declared["shm_size"])
    host |= {_PLAIN[name]: value for name, value in asked.values.items() if name in _PLAIN}
    host |= {_SWITCHES[name]: True for name in asked.switches}
    host |= {_LISTS[name]: list(values) for name, values in asked.lists.items() if name in _LISTS}
    host |= {name: make(asked) for name, (option, make) in _MADE.items() if option in {*asked.values, *asked.lists}}
    gpus = asked.values.get("gpus") or ("all" if declared.get("gpus") else None)
    if gpus:
        host["device_requests"] = gpu_request(gpus)
    published = [_published(text) for text in asked.lists.get("publish", ())]
    if published:
        host["port_bindings"] = dict(published)
    return HostSettings(
        host=host,
        hostname=asked.values.get("hostname"),
        ports=tuple(tuple(inside.split("/")) for inside, _ in published),
        variables=asked.lists.get("env", ()),
    )


def _cpus(asked: EngineArguments) -> int:
    try:
        count = float(asked.values["cpus"])
    except ValueError:
        count = 0.0
    if not 0 < count < 1 << 16:
        raise ValueError(f"--cpus={asked.values['cpus']!a} is no number of processors")
    return int(count * _NANO)


def _tmpfs(asked: EngineArguments) -> dict[str, str]:
    return {place: rest for place, _, rest in (text.partition(":") for text in asked.lists["tmpfs"])}


def _hosts(asked: EngineArguments) -> dict[str, str]:
    pairs = [text.partition(":") for text in asked.lists["add-host"]]
    if any(not address for _, _, address in pairs):
        raise ValueError("--add-host is written NAME:ADDRESS")
    return {name: address for name, _, address in pairs}


def _ulimits(asked: EngineArguments) -> list[object]:
    return [ulimit(text) for text in asked.lists["ulimit"]]


_MADE: Mapping[str, tuple[str, Callable[[EngineArguments], object]]] = {
    "extra_hosts": ("add-host", _hosts),
    "nano_cpus": ("cpus", _cpus),
    "tmpfs": ("tmpfs", _tmpfs),
    "ulimits": ("ulimit", _ulimits),
}


def _published(text: str) -> tuple[str, object]:
    """Read ``[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]``."""
    ports, _, protocol = text.partition("/")
    parts = ports.rsplit(":", 2)
    numbers = parts[-2:]
    if not all(number.isdecimal() and 0 < int(number) < 1 << 16 for number in numbers):
        raise ValueError(f"--publish={text!a} is not written [[ADDRESS:]HOST:]CONTAINER")
    inside = f"{parts[-1]}/{protocol or 'tcp'}"
    if len(parts) == _ADDRESS_PARTS:
        return inside, (parts[0], int(parts[1]))
    return inside, int(parts[0]) if len(parts) == _HOST_PORT_PARTS else None
