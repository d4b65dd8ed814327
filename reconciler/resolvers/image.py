"""What is solved for where packages go into an image: its interpreter and C library, and what it brings itself."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import ResolveError
from reconciler.lock.model import Base, Interpreter, Lock
from reconciler.manifest.desired import Desired
from reconciler.ports import Bases, Cache
from reconciler.resolvers.profile import Profile, profile
from reconciler.resolvers.stacked import targets_on
from reconciler.resolvers.target import OLDEST_GLIBC, Target
from reconciler.values.pep import parse_version
from reconciler.values.platform import Platform

REQUIRED = ("pip",)
"""What every environment of an image has: people install more while they try things out."""
PROVIDER = "image"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTargets:
    """Looks at the base image of each platform."""

    bases: Bases
    cache: Cache

    def __call__(self, desired: Desired, below: Lock | None = None) -> tuple[Target, ...]:
        """Give a target for each platform; what doesn't fit the manifest is a ResolveError with its line.

        With the lock of the environment ``below`` no base is looked at.
        """
        if below is not None:
            return targets_on(desired, below, REQUIRED)
        return tuple(self._target(desired, platform) for platform in sorted(desired.manifest.platforms))

    def _target(self, desired: Desired, platform: Platform) -> Target:
        python = desired.manifest.python
        image = base_of(desired)
        try:
            base = self.bases.open(image, platform, credential=desired.manifest.docker.base_credential)
            found = profile(
                base,
                interpreter_path=python.interpreter_path,
                version=python.version,
                cache=self.cache,
                platform=platform,
            )
        except ResolveError as error:
            where = error.where or desired.manifest.locate("docker.base_image")
            raise ResolveError(error.message, where=where, hint=error.hint, detail=error.detail) from error
        return Target(
            platform=platform,
            interpreter=_interpreter(found),
            glibc=_checked(found, image, desired),
            base=Base(
                image=image,
                digest=str(base.manifest.digest),
                python=found.python,
                links=found.links,
                passwd=found.passwd,
                group=found.group,
            ),
            installed=_installed(found, desired),
            required=REQUIRED,
            replaceable=found.packages if python.base_packages == "replace" else {},
        )


def base_of(desired: Desired) -> str:
    """Say which image an environment is built on, as declared: its own, else the catalog's."""
    manifest = desired.manifest
    if manifest.docker.base_image is not None:
        registry = manifest.docker.base_image_registry
        return f"{registry.address}/{manifest.docker.base_image}" if registry else manifest.docker.base_image
    base = desired.components["base"]
    entry = base.get("catalog") if isinstance(base, dict) else None
    if isinstance(entry, str):
        return entry
    raise ResolveError(
        "the catalog names no image for this environment",
        where=manifest.locate("docker"),
        hint="write docker.base_image, or `bases` in reconciler.yaml",
    )


def _interpreter(found: Profile) -> Interpreter:
    return Interpreter(implementation="cpython", version=found.version, abi=found.abi, provider=PROVIDER)


def _checked(found: Profile, image: str, desired: Desired) -> tuple[int, int]:
    if found.glibc < OLDEST_GLIBC:
        raise ResolveError(
            f"{image} has glibc {found.glibc[0]}.{found.glibc[1]}, and wheels need 2.17 or newer",
            where=desired.manifest.locate("docker.base_image"),
            hint="take a newer base image",
        )
    return found.glibc


def _installed(found: Profile, desired: Desired) -> dict[str, str]:
    if desired.manifest.python.base_packages != "keep":
        return {}
    required = set(REQUIRED)
    packages = {name: version for name, version in sorted(found.packages.items()) if name not in required}
    return {name: version for name, version in packages.items() if _can_be_pinned(version)}


def _can_be_pinned(version: str) -> bool:
    """Tell whether a solver understands a version: what distributions and git leave in folder names need not be one."""
    try:
        parse_version(version)
    except ValueError:
        return False
    return True
