"""What a manifest says about an environment and how it is run, as a record keeps it. Pure."""

from __future__ import annotations

from reconciler.manifest.model import Manifest
from reconciler.plan.change import Change, Reason
from reconciler.record import Metadata
from reconciler.values.canonical import Json

_RUN_FIELDS = {"shm_size": "docker.shm_size", "arguments": "docker.arguments", "checks": "checks"}


def metadata_of(manifest: Manifest) -> Metadata:
    """Give the part of a manifest that builds nothing; ``run`` holds only what is set."""
    return Metadata(
        description=manifest.description,
        tags=manifest.tags,
        owner=manifest.owner,
        protected=manifest.protected,
        renamed_from=manifest.renamed_from,
        run=_run_of(manifest),
    )


def metadata_changes(old: Metadata, manifest: Manifest) -> tuple[Change, ...]:
    """Name each field whose value is not the recorded one; mappings by key."""
    new = metadata_of(manifest)
    if new == old:
        return ()
    pairs: list[tuple[str, Json, Json]] = [
        ("description", old.description, new.description),
        ("owner", old.owner, new.owner),
        ("protected", old.protected, new.protected),
        ("renamed_from", old.renamed_from, new.renamed_from),
        *((f"tags.{key}", old.tags.get(key), new.tags.get(key)) for key in sorted({*old.tags, *new.tags})),
        *((_RUN_FIELDS.get(key, key), old.run.get(key), new.run.get(key)) for key in sorted({*old.run, *new.run})),
    ]
    return tuple(
        Change(reason=Reason.METADATA, path=path, old=before, new=after, location=manifest.locate(path))
        for path, before, after in pairs
        if before != after
    )


def _run_of(manifest: Manifest) -> dict[str, Json]:
    docker, checks = manifest.docker, manifest.checks
    run: dict[str, Json] = {}
    if docker.shm_size is not None:
        run["shm_size"] = docker.shm_size
    if docker.arguments:
        run["arguments"] = list(docker.arguments)
    if checks.imports or checks.command:
        run["checks"] = {"imports": list(checks.imports), "command": list(checks.command)}
    return run
