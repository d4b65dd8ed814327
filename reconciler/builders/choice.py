"""Which builder makes an environment, by its name. Pure: to choose one loads none."""

from __future__ import annotations

from dataclasses import replace

from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest


def choose(manifest: Manifest) -> str:
    """Name the builder that a manifest asks for; it may be one that is not in :data:`BUILDERS`."""
    if manifest.builder not in ("auto", "host"):
        return manifest.builder
    if manifest.builder == "auto" and manifest.docker.enabled:
        return "docker" if manifest.docker.base_dockerfile is not None else "assemble"
    return "user-managed" if manifest.python.user_managed_dependencies else "host"


def judge(desired: Desired) -> Desired:
    """Say which builder makes an environment, or why none of this version can."""
    judged = replace(desired, builder=choose(desired.manifest))
    if judged.builder in ("assemble", "docker"):
        from reconciler.builders.unassembled import refuse  # noqa: PLC0415  # one of them is enough for most
    else:
        from reconciler.builders.unsupported import refuse  # noqa: PLC0415  # the same
    refusal = refuse(judged)
    if refusal is None:
        return judged
    return replace(judged, refusal=refusal.message, refusal_field=refusal.field)
