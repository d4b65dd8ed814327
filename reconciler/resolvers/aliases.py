"""Named sources of packages, where a manifest asks for them: each must have an address on this machine."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.clients.aliases import address_of, variable_of
from reconciler.errors import ResolveError
from reconciler.values.location import Location


def bind(
    alias: str, *, configured: Mapping[str, str], environ: Mapping[str, str], named: Mapping[str, str], where: Location
) -> str:
    """Give an alias's address; one that is bound nowhere is a ResolveError that names the places to bind it."""
    found = address_of(alias, configured=configured, environ=environ, named=named)
    if found:
        return found
    raise ResolveError(
        f"the package source {alias} has no address on this machine",
        where=where,
        hint=f"bind it in reconciler.yaml, in the variable {variable_of(alias)}, "
        f'or as an [[index]] with name = "{alias}" in uv.toml',
    )
