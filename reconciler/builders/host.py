"""The builder of environments that are made directly on the compute target (``docker.enabled: false``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.builders.artifact import to_artifact
from reconciler.builders.unsupported import refuse
from reconciler.clients.check import run_checks
from reconciler.clients.interpreter import find_interpreter, this_platform
from reconciler.clients.uv import Uv
from reconciler.clients.virtualenv import make_virtualenv
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Image
from reconciler.ports import Task
from reconciler.store.hosts import Hosts
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class HostBuilder:
    """Describes an environment for any platform; on this machine's own it also makes it, which proves the lock.

    ``sources`` are the addresses that reconciler.yaml gives to aliases of package sources.
    """

    hosts: Hosts
    uv: Uv
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: Platform = field(default_factory=this_platform)
    name: str = field(default="host", init=False)
    recipe: int = field(default=1, init=False)

    def refusal(self, desired: Desired) -> str | None:
        """Say in one line why this environment can't be made here, or nothing."""
        refusal = refuse(desired)
        return None if refusal is None else refusal.message

    def prepare(self, desired: Desired) -> None:
        """Check that the interpreter is there, where this machine is a platform of the manifest."""
        if self.machine in desired.manifest.platforms:
            find_interpreter(self.uv, desired.manifest.python.version)

    def build(self, task: Task) -> Image:
        """Give the artifact; on this machine's own platform make the environment, whose checks must pass."""
        image = to_artifact(task)
        if task.platform == self.machine:
            self._make(task)
        return image

    def _make(self, task: Task) -> None:
        manifest = task.desired.manifest

        def check(place: Path) -> None:
            run_checks(manifest, place / "bin" / "python", environment=place)

        def fill(place: Path) -> None:
            make_virtualenv(self.uv, place, task.lock, sources=self.sources)
            check(place)

        place, made = self.hosts.make(manifest.name, task.key, fill)
        if not made:  # by `run`, which asks for no checks, or by an apply that was cut off after it
            check(place)
