"""Environments that are there: run in, and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from reconciler.lock.model import PlatformLock
from reconciler.manifest.model import Manifest
from reconciler.oci.descriptor import Image
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a runner is asked: a registered environment, and what to run in it.

    ``command`` begins with a script (``.py``) or a program; ``variables`` are set over the caller's own, ``${VAR}``
    already expanded. A container has its ``images``, the ``reference`` that they are known by (``NAME:vN``), and the
    ``settings`` that the manifest declares for running: ``shm_size``, ``arguments``, ``gpus``.
    """

    name: str
    key: Digest
    request: Digest
    lock: PlatformLock
    platform: Platform
    command: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    interpreter_path: str | None = None
    images: Mapping[Platform, Image] = field(default_factory=dict)
    reference: str = ""
    settings: Mapping[str, Json] = field(default_factory=dict)


class Runner(Protocol):
    """Runs a command in an environment, making it first where this machine lacks it."""

    def run(self, run: Run) -> int:
        """Run to the end and give the exit status; signals are passed on (128 + n where one ended it)."""


class Checker(Protocol):
    """Runs the checks that a manifest declares in an image that was just built."""

    def check(self, manifest: Manifest, platform: Platform, image: Image) -> str | None:
        """Run them; the first that fails is a BuildError. Where they can't be run, say why in a line."""
