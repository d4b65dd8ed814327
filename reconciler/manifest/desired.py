"""What the repository wants: a manifest with everything that it reaches, as named components with a digest.

A **component** is a part of the request that has a name, so that ``explain`` can say which one changed. The request
is the digest of the components' digests. Metadata, run-time settings and ``platforms`` are in none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reconciler.lock.model import Lock
from reconciler.manifest.model import Manifest
from reconciler.values.canonical import Json, digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

REQUEST_FORMAT = 1
SOLVER_COMPONENTS = ("base", "python", "packages", "system")
"""The components that a solver reads: a lock is up to date as long as these stay the same."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    """One environment as the repository wants it.

    ``components`` are the named parts of the request, ``filled`` the defaults that were filled in (field path to
    value), ``lock`` the committed one (none where there is none), ``refusal`` why no builder of this version can
    make it (none where one can), and ``refusal_field`` the path of the field that asks for it. ``below`` is the
    environment that ``docker.base_environment`` names.
    """

    manifest: Manifest
    components: Mapping[str, Json]
    filled: Mapping[str, Json]
    lock: Lock | None = None
    builder: str = "host"
    refusal: str | None = None
    refusal_field: str | None = None
    below: Desired | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.manifest.name

    @property
    def entry(self) -> str | None:
        """What the image is built on, as declared: its own base, else the catalog's entry; none on an environment."""
        docker, base = self.manifest.docker, self.components["base"]
        if docker.base_image is not None:
            registry = docker.base_image_registry
            return f"{registry.address}/{docker.base_image}" if registry else docker.base_image
        entry = base.get("catalog") if isinstance(base, dict) else None
        return entry if isinstance(entry, str) else None

    @cached_property
    def digests(self) -> Mapping[str, Digest]:
        """Each component's digest."""
        return {name: digest_of(value) for name, value in sorted(self.components.items())}

    @cached_property
    def request(self) -> Digest:
        """The identity of what is asked."""
        return request_of(self.digests)

    @cached_property
    def inputs(self) -> Digest:
        """The identity of what a solver is asked."""
        digests: dict[str, Json] = {name: str(self.digests[name]) for name in SOLVER_COMPONENTS}
        if self.below is not None:
            digests["base"] = str(digest_of(_seen_of(self.components["base"], self.below)))
        return digest_of(digests)

    @cached_property
    def current_lock(self) -> Lock | None:
        """The committed lock, where it is up to date: made for these inputs and platforms, on what is below now.

        On another environment it needs that one's committed lock: without it the repository alone does not say what is
        there.
        """
        if self.lock is None or self.lock.inputs != self.inputs:
            return None
        if set(self.lock.platforms) != set(self.manifest.platforms):
            return None
        if self.below is None:
            return self.lock
        lower = self.below.current_lock
        return self.lock if lower is not None and self.lock.stands_on(self.below.name, lower) else None

    @property
    def chain(self) -> tuple[Desired, ...]:
        """The environments below, from the nearest to the lowest."""
        found: list[Desired] = []
        one = self.below
        while one is not None:
            found.append(one)
            one = one.below
        return tuple(found)


def _seen_of(base: Json, below: Desired) -> Json:
    """Give the component with what a solver sees of the environment below: its inputs, and who runs there."""
    seen: Json = {"name": below.name, "inputs": str(below.inputs), "user": below.manifest.docker.user}
    return {**base, "environment": seen} if isinstance(base, dict) else seen


def request_of(digests: Mapping[str, Digest]) -> Digest:
    """Hash components' digests into a request **[format]**."""
    named: dict[str, Json] = {name: str(digest) for name, digest in digests.items()}
    return digest_of({"format": REQUEST_FORMAT, "components": named})


def build_key(
    request: Digest, platform: Platform, lock: Digest, builder: tuple[str, int], below: Digest | None = None
) -> Digest:
    """Hash what an artifact of one platform is a pure function of **[format]**.

    ``lock`` is that platform's part of the lock. It does not say which platform that is, and two may be alike (pure
    packages for two architectures), so the platform stands beside it. ``builder`` is the builder's name and the
    number of its recipe. ``below`` is the build key of the environment that this one builds on.
    """
    name, recipe = builder
    value: dict[str, Json] = {
        "request": str(request),
        "platform": str(platform),
        "lock": str(lock),
        "builder": name,
        "recipe": recipe,
    }
    return digest_of(value if below is None else {**value, "below": str(below)})
