"""The addresses that aliases of package sources stand for on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.clients.address import leads_to_link_local
from reconciler.errors import BuildError, ResolveError
from reconciler.values.location import Location

VARIABLE = "RECONCILER_INDEX_"


def variable_of(alias: str) -> str:
    """Give the variable that binds an alias: ``RECONCILER_INDEX_TEAM_PYPI`` for ``team-pypi``."""
    return VARIABLE + re.sub(r"[^A-Z0-9]", "_", alias.upper())


def bind(  # noqa: PLR0913  # the three places in the order in which they count, and how their lack is said
    alias: str,
    *,
    configured: Mapping[str, str],
    environ: Mapping[str, str],
    named: Mapping[str, str],
    failure: type[BuildError | ResolveError],
    where: Location | None = None,
) -> str:
    """Give an alias's address: from reconciler.yaml, else the environment, else uv's own settings.

    One that is bound nowhere is a ``failure`` that names the places to bind it.
    """
    found = configured.get(alias) or environ.get(variable_of(alias)) or named.get(alias)
    if found and leads_to_link_local(found):
        raise failure(f"the package source {alias} has a link-local address, which is not used", where=where)
    if found:
        return found
    raise failure(
        f"the package source {alias} has no address on this machine",
        where=where,
        hint=f"bind it in reconciler.yaml, in the variable {variable_of(alias)}, "
        f'or as an [[index]] with name = "{alias}" in uv.toml',
    )
