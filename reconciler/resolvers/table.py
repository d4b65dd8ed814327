"""The resolvers by the builder that they lock for. A resolver is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.ports import Bases, Cache, Resolver
from reconciler.resolvers.image import ImageTargets
from reconciler.resolvers.observed import ObservedResolver
from reconciler.resolvers.uv import UvResolver


def resolvers(
    environ: Mapping[str, str],
    *,
    bases: Bases,
    cache: Cache,
    indexes: Mapping[str, str] | None = None,
    repository: Path | None = None,
) -> Mapping[str, Resolver]:
    """Give a resolver for each builder.

    ``indexes`` are the addresses that reconciler.yaml gives to aliases, ``repository`` the root of the manifests.
    ``bases`` finds base images, and what was seen in one is kept in ``cache``.
    """
    targets = ImageTargets(bases=bases, cache=cache)
    return {
        "assemble": UvResolver(environ=environ, indexes=indexes or {}, repository=repository, targets=targets),
        "host": UvResolver(environ=environ, indexes=indexes or {}, repository=repository),
        "user-managed": ObservedResolver(environ=environ),
    }
