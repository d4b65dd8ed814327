"""The catalog of ``reconciler.yaml``: what images are built on that name no base, and where CUDA wheels are. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from reconciler.manifest.model import Manifest
from reconciler.manifest.secrets import Finding
from reconciler.values.canonical import Json
from reconciler.values.pep import normalise

Fields = Mapping[str, Json]
Catalog = Mapping[str, Fields]
"""Compute to variant (``docker.base``) to entry; of ``gpu`` also ``cuda``: a version to what differs with it."""


def entry_of(catalog: Catalog, manifest: Manifest) -> Json:
    """Give the entry that a manifest is built on: that of its CUDA version, where the catalog has one for it."""
    entries = catalog.get(manifest.compute, {})
    own = _of_cuda(catalog, manifest.cuda) if manifest.compute == "gpu" else {}
    return own.get(manifest.docker.base, entries.get(manifest.docker.base))


def with_wheels(value: Fields, catalog: Catalog) -> Fields:
    """Fill in where the wheels of a manifest's CUDA version come from; what it says itself stands."""
    found = _of_cuda(catalog, _text(value.get("cuda")))
    alias = found.get("index")
    if alias is None:
        return value
    python = dict(cast("Fields", value.get("python", {})))
    packages = cast("list[str]", found.get("packages", []))
    if packages:
        own = cast("Fields", python.get("sources", {}))
        written = {normalise(name) for name in own}
        python["sources"] = {**{name: alias for name in packages if normalise(name) not in written}, **own}
    else:
        indexes = cast("list[Json]", python.get("indexes", []))
        python["indexes"] = indexes if alias in indexes else [alias, *indexes]
    return {**value, "python": python}


def unknown_cuda(value: Fields, catalog: Catalog) -> Iterator[Finding]:
    """Find a version that a catalog of versions has not."""
    version = _text(value.get("cuda"))
    known = _versions(catalog)
    if version is not None and known and not _of_cuda(catalog, version):
        hint = f"known are: {', '.join(sorted(known))}; add it under bases.gpu.cuda of reconciler.yaml"
        yield "cuda", f"the catalog has no CUDA {version}", hint


def _of_cuda(catalog: Catalog, version: str | None) -> Fields:
    """Give what the catalog says of a version: of 12.4.1 itself, else of 12.4."""
    known = _versions(catalog)
    if version is None:
        return {}
    return cast("Fields", known.get(version) or known.get(".".join(version.split(".")[:2])) or {})


def _versions(catalog: Catalog) -> Fields:
    found = catalog.get("gpu", {}).get("cuda")
    return found if isinstance(found, dict) else {}


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None
