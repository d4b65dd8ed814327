"""The resolvers by the builder that they lock for. A resolver is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.ports import Resolver
from reconciler.resolvers.observed import ObservedResolver
from reconciler.resolvers.uv import UvResolver


def resolvers(
    environ: Mapping[str, str], *, indexes: Mapping[str, str] | None = None, repository: Path | None = None
) -> Mapping[str, Resolver]:
    """Give a resolver for each builder.

    ``indexes`` are the addresses that reconciler.yaml gives to aliases, ``repository`` the root of the manifests.
    """
    return {
        "host": UvResolver(environ=environ, indexes=indexes or {}, repository=repository),
        "user-managed": ObservedResolver(environ=environ),
    }
