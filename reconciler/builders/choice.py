"""Which builder makes an environment, by its name. Pure: to choose one loads none."""

from __future__ import annotations

from reconciler.manifest.model import Manifest


def choose(manifest: Manifest) -> str:
    """Name the builder that a manifest asks for; it may be one that is not in :data:`BUILDERS`."""
    if manifest.builder not in ("auto", "host"):
        return manifest.builder
    if manifest.builder == "auto" and manifest.docker.enabled:
        return "docker" if manifest.docker.base_dockerfile is not None else "assemble"
    return "user-managed" if manifest.python.user_managed_dependencies else "host"
