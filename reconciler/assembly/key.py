"""Keys of layers: what went into one, so that a layer made once is found again **[format]**."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.values.canonical import Json, digest_of
from reconciler.values.digest import Digest

LAYER_KEY = "dev.reconciler.layer-key"
"""The annotation on a layer's descriptor."""
RECIPE = 1
"""How layers are written, counted: another order, header or compressor makes other bytes of the same input."""


def layer_key(kind: str, inputs: Mapping[str, Json]) -> Digest:
    """Hash what a layer is a pure function of; ``kind`` says what its inputs mean."""
    return digest_of({"recipe": RECIPE, "kind": kind, "inputs": dict(inputs)})
