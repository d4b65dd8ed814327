"""Keys of layers and of built wheels: what went in, so that one made once is found again **[format]**."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.lock.model import Package
from reconciler.values.canonical import Json, digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

LAYER_KEY = "dev.reconciler.layer-key"
"""The annotation on a layer's descriptor."""
LAYER_CLAIMS = "dev.reconciler.layer-claims"
"""The annotation that says what a layer of packages claims of the environment (``wheel.claims``)."""
LAYER_PART = "dev.reconciler.layer-part"
"""The annotation on a layer of a base that is made of packages: what it holds (``base``, ``python``, ``added`` …)."""
LAYER_LIBRARIES = "dev.reconciler.layer-libraries"
"""The annotation that says which shared libraries a layer of packages needs and offers (``assembly.libraries``)."""
RECIPE = 1
"""How layers are written, counted: another order, header or compressor makes other bytes of the same input."""
WHEEL_RECIPE = 1
"""How wheels are made from source distributions, counted."""


def layer_key(kind: str, inputs: Mapping[str, Json]) -> Digest:
    """Hash what a layer is a pure function of; ``kind`` says what its inputs mean."""
    return digest_of({"recipe": RECIPE, "kind": kind, "inputs": dict(inputs)})


def wheel_key(package: Package, *, python: str, compiled_for: tuple[Platform, str] | None = None) -> Digest:
    """Hash what a wheel is made from: a source distribution, and the Python (``3.11``) that builds it.

    One with compiled code is for a platform and a C library as well; a pure one serves all of them.
    """
    inputs: dict[str, Json] = {"sdist": package.sha256, "python": python}
    if compiled_for is not None:
        inputs |= {"platform": str(compiled_for[0]), "libc": compiled_for[1]}
    return digest_of({"recipe": WHEEL_RECIPE, "kind": "wheel", "inputs": inputs})
