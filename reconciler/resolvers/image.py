"""What is solved for where packages go into an image: its interpreter and C library, and what it brings itself."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import ResolveError
from reconciler.lock.model import Base, Interpreter, Package
from reconciler.lock.system import System
from reconciler.manifest.desired import Desired
from reconciler.ports import BaseImage, Bases, Cache, Ground, Resolution, SystemQuestion, Systems
from reconciler.resolvers.profile import Profile, profile
from reconciler.resolvers.stacked import targets_on
from reconciler.resolvers.target import OLDEST_GLIBC, Target
from reconciler.values.digest import Digest
from reconciler.values.pep import parse_version
from reconciler.values.platform import Platform

REQUIRED = ("pip",)
"""What every environment of an image has: people install more while they try things out."""
IMPLEMENTATION = "cpython"
"""What a lock calls the interpreter, and `--upgrade-package` a standalone one."""
PROVIDER, DISTRIBUTION, STANDALONE = "image", "debian", "standalone"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Below:
    """What packages go on, the digest that the lock has for it, and where its interpreter is from."""

    base: BaseImage
    digest: str
    provider: str
    interpreter: str | None
    build: Package | None = None
    system: System | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTargets:
    """Looks at the base image of each platform."""

    bases: Bases
    systems: Systems
    cache: Cache

    def __call__(self, resolution: Resolution) -> tuple[Target, ...]:
        """Give a target for each platform; what doesn't fit the manifest is a ResolveError with its line.

        Over another environment no base is looked at: its lock says all of it.
        """
        if resolution.below is not None:
            return targets_on(resolution.desired, resolution.below, REQUIRED)
        return tuple(self._target(resolution, platform) for platform in sorted(resolution.desired.manifest.platforms))

    def _target(self, resolution: Resolution, platform: Platform) -> Target:
        desired = resolution.desired
        entry, python = base_of(desired), desired.manifest.python
        try:
            below = self._below(resolution, entry, platform)
            found = profile(
                below.base,
                interpreter_path=below.interpreter,
                version=python.version,
                cache=self.cache,
                platform=platform,
            )
        except ResolveError as error:
            where = error.where or desired.manifest.locate("docker.base_image")
            raise ResolveError(error.message, where=where, hint=error.hint, detail=error.detail) from error
        return Target(
            platform=platform,
            interpreter=_interpreter(found, below),
            glibc=_checked(found, entry, desired),
            base=Base(
                image=entry,
                digest=below.digest,
                python=found.python,
                links=found.links,
                passwd=found.passwd,
                group=found.group,
            ),
            installed=_installed(found, desired),
            required=REQUIRED,
            replaceable=found.packages if python.base_packages == "replace" else {},
            system=below.system,
            notes=below.notes,
        )

    def _below(self, resolution: Resolution, entry: str, platform: Platform) -> _Below:
        """Make or find what packages go on: a base of Debian packages, an image, or one with a standalone Python."""
        python, tell = resolution.desired.manifest.python, resolution.tell
        if self.systems.handles(entry):
            ground = self._ground(resolution, entry, platform)
            return _Below(
                base=self.systems.open(ground, platform, tell=tell),
                digest=str(ground.digest),
                provider=DISTRIBUTION if ground.build is None else STANDALONE,
                interpreter=ground.interpreter,
                build=ground.build,
                system=ground.system,
                notes=ground.notes,
            )
        image = self._image(resolution, entry, platform)
        digest = str(image.manifest.digest)
        if python.provider != STANDALONE:
            return _Below(base=image, digest=digest, provider=PROVIDER, interpreter=python.interpreter_path)
        before = resolution.preference.platforms.get(platform) if resolution.preference else None
        free = resolution.upgrade is None or resolution.upgrade_base or IMPLEMENTATION in resolution.upgrade
        stays = before is not None and not free
        preference = before.interpreter.build if before is not None and stays else None
        chosen = self.systems.choose(python.version, platform, preference=preference, tell=tell)
        return _Below(
            base=self.systems.lay(image, chosen.build, platform, tell=tell),
            digest=digest,
            provider=STANDALONE,
            interpreter=chosen.interpreter,
            build=chosen.build,
            notes=chosen.notes,
        )

    def _ground(self, resolution: Resolution, entry: str, platform: Platform) -> Ground:
        before = resolution.preference.platforms.get(platform) if resolution.preference else None
        return self.systems.resolve(
            SystemQuestion(
                desired=resolution.desired,
                platform=platform,
                entry=entry,
                preference=before,
                upgrade=resolution.upgrade,
                upgrade_base=resolution.upgrade_base,
                tell=resolution.tell,
            )
        )

    def _image(self, resolution: Resolution, entry: str, platform: Platform) -> BaseImage:
        """Open the base image: the one that it was, where nobody asks for what it is now."""
        before = resolution.preference.platforms.get(platform) if resolution.preference else None
        credential = resolution.desired.manifest.docker.base_credential
        stays = resolution.upgrade is not None and not resolution.upgrade_base
        if stays and before is not None and before.base is not None and before.base.image == entry:
            return self.bases.open(entry, platform, digest=Digest.parse(before.base.digest), credential=credential)
        return self.bases.open(entry, platform, credential=credential)


def base_of(desired: Desired) -> str:
    """Say which image an environment is built on, as declared: its own, else the catalog's."""
    if desired.entry is not None:
        return desired.entry
    raise ResolveError(
        "the catalog names no image for this environment",
        where=desired.manifest.locate("docker"),
        hint="write docker.base_image, or `bases` in reconciler.yaml",
    )


def _interpreter(found: Profile, below: _Below) -> Interpreter:
    build = below.build
    if build is not None and build.version != found.version:
        raise ResolveError(
            f"{build.file} is said to have Python {build.version}, and has {found.version}",
            hint="tell who runs the mirror, or name another one in UV_PYTHON_INSTALL_MIRROR",
        )
    return Interpreter(
        implementation=IMPLEMENTATION, version=found.version, abi=found.abi, provider=below.provider, build=build
    )


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
