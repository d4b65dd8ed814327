"""Named sources of packages: which address an alias stands for on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.errors import ResolveError
from reconciler.values.location import Location

VARIABLE = "RECONCILER_INDEX_"


def variable_of(alias: str) -> str:
    """Give the variable that binds an alias: ``RECONCILER_INDEX_TEAM_PYPI`` for ``team-pypi``."""
    return VARIABLE + re.sub(r"[^A-Z0-9]", "_", alias.upper())


def bind(
    alias: str, *, configured: Mapping[str, str], environ: Mapping[str, str], named: Mapping[str, str], where: Location
) -> str:
    """Give an alias's address: from reconciler.yaml, else the environment, else uv's own settings.

    One that is bound nowhere is a ResolveError.
    """
    found = configured.get(alias) or environ.get(variable_of(alias)) or named.get(alias)
    if found:
        return found
    raise ResolveError(
        f"the package source {alias} has no address on this machine",
        where=where,
        hint=f"bind it in reconciler.yaml, in the variable {variable_of(alias)}, "
        f'or as an [[index]] with name = "{alias}" in uv.toml',
    )
