"""The files and links that maintainer scripts would have made, computed from what a root has. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.debian.scripts import Verdict
from reconciler.oci.member import Member
from reconciler.oci.rootfs import Rootfs


def wanted(path: str, size: int) -> int:
    """Say how many of a file's first bytes :func:`configure` reads (:data:`reconciler.oci.rootfs.Wanted`)."""
    del path, size
    return 0


def configure(root: Rootfs, verdicts: Mapping[str, Verdict], *, architecture: str) -> tuple[Member, ...]:
    """Give what stands over a root when its packages are configured, sorted by path.

    ``verdicts`` are those of all packages of the root, by name. ``architecture`` is Debian's (``amd64``).
    """
    del root, verdicts, architecture
    return ()
