"""The addresses that aliases of package sources stand for on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping

VARIABLE = "RECONCILER_INDEX_"


def variable_of(alias: str) -> str:
    """Give the variable that binds an alias: ``RECONCILER_INDEX_TEAM_PYPI`` for ``team-pypi``."""
    return VARIABLE + re.sub(r"[^A-Z0-9]", "_", alias.upper())


def address_of(
    alias: str, *, configured: Mapping[str, str], environ: Mapping[str, str], named: Mapping[str, str]
) -> str | None:
    """Give an alias's address: from reconciler.yaml, else the environment, else uv's own settings; else none."""
    return configured.get(alias) or environ.get(variable_of(alias)) or named.get(alias)
