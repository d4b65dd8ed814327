"""What stands in a local registry: for comparing two that should be alike, byte by byte."""

from __future__ import annotations

import json
from pathlib import Path


def standing(root: Path) -> dict[str, object]:
    """Give each repository's tags with their digests, and the names of all its blobs (which are their digests)."""
    found: dict[str, object] = {}
    for folder in sorted((root / ".reconciler" / "registry").iterdir()):
        if folder.name.startswith("."):
            continue
        entries = json.loads((folder / "index.json").read_bytes())["manifests"]
        tags = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in entries}
        found[folder.name] = (tags, sorted(path.name for path in (folder / "blobs" / "sha256").iterdir()))
    return found
