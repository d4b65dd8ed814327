"""What of a base image is deleted where our packages take the place of its own (``base_packages: replace``).

Python would see both: modules of the one that ours lacks, and two versions of one name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.assembly.distributions import Owners, distributions, files_of, site_folders
from reconciler.assembly.venv import minor_of
from reconciler.errors import CorruptError
from reconciler.lock.model import Base, PlatformLock
from reconciler.oci.member import Kind, Member, folder_of, whiteout_of
from reconciler.oci.rootfs import Node, Rootfs

_SHORTEST = 2
_STANDARD = frozenset(["bin", "etc", "games", "include", "lib", "lib64", "libexec", "man", "sbin", "share", "src"])
"""Folders that a system has, empty or not; so are those of a path with fewer than two others above."""
_DEEPEST = 100


def replaced_names(lock: PlatformLock) -> tuple[str, ...]:
    """List the packages that both the base and the lock have, where the base's were not kept."""
    return tuple(sorted({package.name for package in lock.packages} & lock.observed.keys()))


def whiteouts_of(root: Rootfs, base: Base, version: str, names: Sequence[str]) -> Iterator[Member]:
    """Give the marks that delete every file of these packages, and the folders above the marks as they are.

    A folder that nothing else is in is deleted as a whole, but for those that every system has, and where packages are.
    What nothing tells the files of is a BuildError with its name.
    """
    minor, leaving, owners = minor_of(version), frozenset(names), Owners.of(root)
    gone = {
        path
        for found in distributions(root, base.python, minor)
        if found.name in leaving
        for path in files_of(root, found, owners, leaving)
    }
    if any(path.count("/") > _DEEPEST for path in gone):
        raise CorruptError(f"a package of the base image has a path of more than {_DEEPEST} folders")
    kept = {root.resolve(folder) for folder in (*site_folders(base.python, minor), base.python.rpartition("/")[0])}
    going = _Going(
        files=gone,
        folders={above for path in gone for above in _above(path)},
        kept={above for path in kept if path for above in (*_above(path), path)},
    )
    top = root.lookup("")
    assert top is not None  # noqa: S101  # a root is always there
    yield from going.marks(top, "")


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Going:
    """The files that go, the folders above them, and folders that stay even where they are empty then."""

    files: set[str]
    folders: set[str]
    kept: set[str]

    def marks(self, folder: Node, path: str) -> Iterator[Member]:
        """Give the marks in a folder and below, each folder that holds one before them."""
        found: list[Member] = []
        for name, node in sorted(folder.children.items()):
            own = f"{path}/{name}" if path else name
            if own in self.files or self._is_empty(node, own):
                found.append(whiteout_of(own))
            elif own in self.folders and node.kind is Kind.FOLDER:
                found += self.marks(node, own)
        if found and path:
            yield folder_of(path, mode=folder.mode, uid=folder.uid, gid=folder.gid)
        yield from found

    def _is_empty(self, folder: Node, path: str) -> bool:
        """Tell whether a folder is one that nothing is left in."""
        return (
            path in self.folders
            and path not in self.kept
            and path.count("/") >= _SHORTEST
            and path.rpartition("/")[2] not in _STANDARD
            and all(
                f"{path}/{name}" in self.files or self._is_empty(node, f"{path}/{name}")
                for name, node in folder.children.items()
            )
        )
