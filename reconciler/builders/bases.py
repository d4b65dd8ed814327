"""What a task is built on: an image from somewhere, another environment's artifact, or a base made of packages."""

from __future__ import annotations

from reconciler.errors import BuildError
from reconciler.ports import BaseImage, Bases, Systems, Task, ground_of
from reconciler.values.digest import Digest


def open_base(bases: Bases, systems: Systems, task: Task) -> BaseImage:
    """Give what the lock names."""
    base = task.lock.base
    if base is None:
        raise BuildError("the lock names no base image", hint="run `reconciler lock` again")
    ground = ground_of(task.lock)
    if ground is not None:
        return systems.open(ground, task.platform, layers=task.layers, tell=task.tell)
    credential = task.desired.manifest.docker.base_credential
    return bases.open(base.image, task.platform, digest=task.below or Digest.parse(base.digest), credential=credential)
