"""The resolvers by the builder that they lock for. A resolver is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.ports import Bases, Cache, Resolver, Systems
from reconciler.resolvers.image import ImageTargets
from reconciler.resolvers.observed import ObservedResolver
from reconciler.resolvers.uv import UvResolver


def resolvers(  # noqa: PLR0913  # one argument a port
    environ: Mapping[str, str],
    *,
    bases: Bases,
    systems: Systems,
    cache: Cache,
    indexes: Mapping[str, str] | None = None,
    repository: Path | None = None,
) -> Mapping[str, Resolver]:
    """Give a resolver for each builder.

    ``indexes`` are the addresses that reconciler.yaml gives to aliases, ``repository`` the root of the manifests.
    ``bases`` finds base images, ``systems`` makes them of packages, and what was seen in one is kept in ``cache``.
    """
    targets = ImageTargets(bases=bases, systems=systems, cache=cache)
    return {
        "assemble": UvResolver(environ=environ, indexes=indexes or {}, repository=repository, targets=targets),
        "host": UvResolver(environ=environ, indexes=indexes or {}, repository=repository),
        "user-managed": ObservedResolver(environ=environ),
    }
