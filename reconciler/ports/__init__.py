"""What the reconciler asks of the world: one Protocol a need.

Adapters implement them, ``reconcile`` uses them, ``cli.wiring`` brings both together. An adapter maps every error of
the system behind it to ``reconciler.errors``.
"""

from __future__ import annotations

from reconciler.ports.making import (
    BaseImage,
    Bases,
    Builder,
    Foundation,
    Images,
    Layer,
    Layers,
    NoLayers,
    Resolution,
    Resolved,
    Resolver,
    Task,
)
from reconciler.ports.registry import Feature, Inspected, Registry, Stored
from reconciler.ports.repository import Entry, History, Source
from reconciler.ports.systems import Ground, Standalone, SystemQuestion, Systems, ground_of
from reconciler.ports.using import Checker, Run, Runner
from reconciler.ports.working import Cache, Executor, Progress, Reporter, Stage, Tell, tell_nobody

__all__ = [
    "BaseImage",
    "Bases",
    "Builder",
    "Cache",
    "Checker",
    "Entry",
    "Executor",
    "Feature",
    "Foundation",
    "Ground",
    "History",
    "Images",
    "Inspected",
    "Layer",
    "Layers",
    "NoLayers",
    "Progress",
    "Registry",
    "Reporter",
    "Resolution",
    "Resolved",
    "Resolver",
    "Run",
    "Runner",
    "Source",
    "Stage",
    "Standalone",
    "Stored",
    "SystemQuestion",
    "Systems",
    "Task",
    "Tell",
    "ground_of",
    "tell_nobody",
]
