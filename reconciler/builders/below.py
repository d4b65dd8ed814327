"""Files of packages that the environment below has too: the same ones, or an error; told from what layers claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.assembly.key import LAYER_CLAIMS, LAYER_KEY
from reconciler.assembly.layers import LayerPlan, Role
from reconciler.assembly.place import place_of
from reconciler.builders.collisions import Groups, claims_in
from reconciler.errors import BuildError
from reconciler.lock.model import ENVIRONMENT
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.manifest import parse_image
from reconciler.oci.member import Member
from reconciler.oci.rootfs import Node, Rootfs
from reconciler.oci.untar import decompress, read_tar
from reconciler.ports import BaseImage, Layer
from reconciler.values.digest import Digest


def suspected_below(
    plans: Iterable[LayerPlan], made: Mapping[Digest, Layer], below: Sequence[Descriptor]
) -> tuple[LayerPlan, ...]:
    """Give the layers of packages whose claims meet those of a layer below."""
    claims = [claims_in(layer) for layer in below if LAYER_CLAIMS in layer.annotations]
    packages = [plan for plan in plans if plan.role is Role.PACKAGES]
    return tuple(
        plan for plan in packages if any(claims_in(made[plan.key].stream.descriptor).meet(other) for other in claims)
    )


def compare_below(groups: Groups, base: BaseImage, links: Mapping[str, str]) -> None:
    """Read the layers of the environment below for paths of these wheels; another content is a BuildError."""
    own = {place_of(member.path, links): (name, member) for name, members in groups for member in members}
    root = Rootfs(lambda path, size: size if path in own else 0)
    for layer in parse_image(base.manifest).layers:
        if LAYER_KEY in layer.annotations:
            root.apply(read_tar(decompress(layer.media_type, base.registry.fetch_blob(base.repository, layer))))
    for path, (name, member) in sorted(own.items()):
        there = root.lookup(path)
        if there is not None and not _is_same(there, member):
            raise BuildError(
                f"{name} and {base.reference.removeprefix(ENVIRONMENT)}, which it builds on, both have /{path}, "
                "and not the same",
                hint="leave one of the two packages away, or write python.base_packages: ignore",
            )


def _is_same(there: Node, member: Member) -> bool:
    if (there.kind, there.mode, there.size) != (member.kind, member.mode, member.size):
        return False
    return there.data == b"".join(member.read() if member.read is not None else ())
