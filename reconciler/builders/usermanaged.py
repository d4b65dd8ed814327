"""The builder of environments whose interpreter somebody else keeps (``python.user_managed_dependencies``)."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.builders.artifact import to_artifact
from reconciler.builders.unsupported import refuse
from reconciler.clients.check import run_checks
from reconciler.clients.interpreter import find_user_interpreter, this_platform
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Image
from reconciler.ports import Task
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class UserManagedBuilder:
    """Describes an interpreter as it was observed; makes and heals nothing."""

    machine: Platform = field(default_factory=this_platform)
    name: str = field(default="user-managed", init=False)
    recipe: int = field(default=1, init=False)

    def refusal(self, desired: Desired) -> str | None:
        """Say in one line why this environment can't be registered, or nothing."""
        refusal = refuse(desired)
        return None if refusal is None else refusal.message

    def prepare(self, desired: Desired) -> None:
        """Check that the interpreter is there, where this machine is a platform of the manifest."""
        if self.machine in desired.manifest.platforms:
            find_user_interpreter(desired.manifest.python.interpreter_path)

    def build(self, task: Task) -> Image:
        """Give the artifact; on this machine's own platform the declared checks pass first."""
        if task.platform == self.machine:
            manifest = task.desired.manifest
            run_checks(manifest, find_user_interpreter(manifest.python.interpreter_path))
        return to_artifact(task)
