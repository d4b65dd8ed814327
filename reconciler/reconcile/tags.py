"""The tags of an environment's repository **[format]**.

``build-<hex>`` and ``v<N>`` are written once; ``v<N>-<os>-<arch>``, ``v<N>-request`` and ``v<N>-lock`` name a version's
entries, so that a cleanup of untagged manifests takes nothing that is needed; ``current`` moves.
"""

from __future__ import annotations

import re

from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

CURRENT = "current"
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")


def version_tag(version: int) -> str:
    """Name a version's record."""
    return f"v{version}"


def build_tag(key: Digest) -> str:
    """Name the artifact of a build key."""
    return f"build-{key.hex}"


def platform_tag(version: int, platform: Platform) -> str:
    """Name a version's artifact for a platform: a plain image."""
    return f"v{version}-{platform.tag}"


def side_tag(version: int, entry: str) -> str:
    """Name a version's ``request`` or ``lock``."""
    return f"v{version}-{entry}"


def versions(tags: tuple[str, ...]) -> tuple[int, ...]:
    """List the versions among these tags, newest first."""
    found = (_VERSION.fullmatch(tag) for tag in tags)
    return tuple(sorted((int(match.group(1)) for match in found if match), reverse=True))
