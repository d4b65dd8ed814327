"""What a task is built on: an image from somewhere, another environment's artifact, or a base made of packages.

A standalone Python is in the last two, and laid over the first.
"""

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
    digest = task.below or Digest.parse(base.digest)
    image = bases.open(base.image, task.platform, digest=digest, credential=credential)
    build = task.lock.interpreter.build
    if build is None or task.below is not None:
        return image
    return systems.lay(image, build, task.platform, layers=task.layers, tell=task.tell)
