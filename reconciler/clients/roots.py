"""The root file system of a base image, read from its layers without unpacking one."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.manifest import parse_image
from reconciler.oci.rootfs import Rootfs, Wanted
from reconciler.oci.untar import decompress, read_tar
from reconciler.ports import BaseImage


def read_root(base: BaseImage, wanted: Wanted, layers: Sequence[Descriptor] | None = None) -> Rootfs:
    """Read every layer, or these; ``wanted`` says which files' bytes are kept. What is damaged is a CorruptError."""
    root = Rootfs(wanted)
    for layer in parse_image(base.manifest).layers if layers is None else layers:
        try:
            root.apply(read_tar(decompress(layer.media_type, base.registry.fetch_blob(base.repository, layer))))
        except CorruptError as error:
            raise CorruptError(
                f"base image {base.reference}: {error.message}",
                where=error.where,
                hint=error.hint or "take another base image, or push it again",
                detail=error.detail,
            ) from error
    return root
