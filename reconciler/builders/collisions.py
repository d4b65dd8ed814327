"""Layers that may have one path with two contents, told from what they claim; only those are looked into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from reconciler.assembly.key import LAYER_CLAIMS
from reconciler.assembly.layers import LayerPlan, Role
from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.member import Member
from reconciler.ports import Layer
from reconciler.values.digest import Digest
from reconciler.wheel.claims import Claims, parse_claims
from reconciler.wheel.collision import merge

Groups = Sequence[tuple[str, Iterable[Member]]]
"""Wheels by the name of their files, with the files that they leave."""


def suspected(plans: Sequence[LayerPlan], made: Mapping[Digest, Layer]) -> tuple[tuple[LayerPlan, LayerPlan], ...]:
    """Give the pairs of layers of packages whose claims meet."""
    claims = {plan.key: claims_in(made[plan.key].stream.descriptor) for plan in plans if plan.role is Role.PACKAGES}
    packages = [plan for plan in plans if plan.key in claims]
    return tuple((one, other) for one, other in combinations(packages, 2) if claims[one.key].meet(claims[other.key]))


def compare(pairs: Sequence[tuple[LayerPlan, LayerPlan]], look: Callable[[LayerPlan], Groups]) -> None:
    """Look into suspected layers; one path with two contents is a BuildError that names both wheels."""
    for one, other in pairs:
        merge([*look(one), *look(other)])


def claims_in(descriptor: Descriptor) -> Claims:
    """Read what a layer claims; what can't be read is a CorruptError."""
    try:
        return parse_claims(descriptor.annotations.get(LAYER_CLAIMS, ""))
    except ValueError as error:
        raise CorruptError(f"layer {descriptor.digest}: {LAYER_CLAIMS}: {error}") from error
