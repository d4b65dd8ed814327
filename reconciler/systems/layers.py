"""Which layers a base made of packages has, under which keys: a pure function of what goes in **[format]**."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.assembly.key import layer_key
from reconciler.assembly.packing import pack
from reconciler.lock.system import Part, SystemPackage
from reconciler.ports import Ground
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

MAX_ADDED = 40
"""Layers that ``system_packages`` make at most: an image can have 120, and wheels come over them."""
ROOT_RECIPE = 1
"""What of packages goes into a root and how it is laid out there, counted."""
CONFIGURATION_RECIPE = 1
"""How packages are configured, counted."""
CONFIGURATION = "configuration"
"""The layer over all packages: what their scripts would have made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RootPlan:
    """One layer of packages: what it is called, the part that it holds, and its key."""

    name: str
    part: Part
    key: Digest
    packages: tuple[SystemPackage, ...]


def plan_root(ground: Ground, platform: Platform) -> tuple[RootPlan, ...]:
    """List the layers of packages from the lowest: the base, what the interpreter needs, what was added."""
    system = ground.system
    added = pack(tuple(system.of(Part.ADDED)), limit_layers=MAX_ADDED)
    groups = [
        ("base", Part.BASE, tuple(system.of(Part.BASE))),
        ("python", Part.PYTHON, tuple(system.of(Part.PYTHON))),
        *((group.name, Part.ADDED, group.packages) for group in added),
    ]
    return tuple(
        RootPlan(name=name, part=part, key=_key(part, packages, platform), packages=packages)
        for name, part, packages in groups
        if packages
    )


def configuration_key(below: Sequence[Digest], platform: Platform) -> Digest:
    """Say by which key the layer is found that configures packages; ``below`` are the keys of those under it."""
    inputs: dict[str, Json] = {
        "architecture": platform.architecture,
        "below": [str(key) for key in below],
        "recipe": CONFIGURATION_RECIPE,
    }
    return layer_key("system configuration", inputs)


def _key(part: Part, packages: Sequence[SystemPackage], platform: Platform) -> Digest:
    inputs: dict[str, Json] = {
        "architecture": platform.architecture,
        "packages": [*sorted(package.sha256 for package in packages)],
        "part": part.value,
        "recipe": ROOT_RECIPE,
    }
    return layer_key("system packages", inputs)
