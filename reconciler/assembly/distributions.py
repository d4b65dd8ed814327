"""The Python packages that a base image holds, and which files are theirs.

A package's own list says that: RECORD (PEP 376, PEP 627), else setuptools' ``installed-files.txt``. Debian leaves both
out, and its package manager has the list of the Debian package that holds it (dpkg(1), ``info/*.list``).
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.errors import BuildError
from reconciler.oci.member import Kind
from reconciler.oci.rootfs import Node, Rootfs
from reconciler.values.pep import normalise

MAX_LIST = 16 << 20
"""Bytes of a list of files."""
_LISTS = re.compile(r"(?:.*/)?(?:RECORD|installed-files\.txt)|var/lib/dpkg/info/[^/]+\.list")
_DPKG = re.compile(r"var/lib/dpkg/info/(?P<package>[^/:]+)(?::[^/]+)?\.list")
_DISTRIBUTION = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*)-(?P<version>[0-9][^-]*)(?:-py3[^-]*)?\.(?:dist|egg)-info"
)


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Distribution:
    """A package: its normalised name, its version, the folder that it is in, and the name of its metadata there."""

    name: str
    version: str
    folder: str
    info: str

    @property
    def path(self) -> str:
        """Where its metadata is."""
        return f"{self.folder}/{self.info}"


def wanted(path: str, size: int) -> int:
    """Say which files' bytes have to be read (:data:`reconciler.oci.rootfs.Wanted`)."""
    return size if size <= MAX_LIST and _LISTS.fullmatch(path) else 0


def site_folders(python: str, minor: str) -> tuple[str, ...]:
    """List where an interpreter finds packages, its own folders and Debian's."""
    prefix = python.rpartition("/")[0].rpartition("/")[0]
    folders = [f"lib/python{minor}/site-packages", f"lib/python{minor}/dist-packages", "lib/python3/dist-packages"]
    return tuple(f"{prefix}/{folder}".lstrip("/") for folder in [*folders, f"local/lib/python{minor}/dist-packages"])


def distributions(root: Rootfs, python: str, minor: str) -> tuple[Distribution, ...]:
    """Find the packages that an interpreter sees; of one that is there twice, the first is the one that counts."""
    found: list[Distribution] = []
    for folder in dict.fromkeys(root.resolve(folder) for folder in site_folders(python, minor)):
        for name in root.children(folder) if folder is not None else ():
            match = _DISTRIBUTION.fullmatch(name)
            if match is not None:
                name_, version = normalise(match["name"]), match["version"]
                found.append(Distribution(name=name_, version=version, folder=folder or "", info=name))
    return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Owners:
    """Which Debian package a path is of: ``lists`` are its files, by package."""

    lists: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, root: Rootfs) -> Owners:
        """Read the lists of the package manager; none where there is none."""
        found = ((_DPKG.fullmatch(path), node) for path, node in root.files())
        return cls(lists={match["package"]: tuple(_text(node).split("\n")) for match, node in found if match})

    def of_path(self, root: Rootfs, path: str) -> str | None:
        """Give the package that a path is of."""
        name = path.rpartition("/")[2]
        for package, lines in sorted(self.lists.items()):
            for line in lines:
                if line.endswith(f"/{name}") and _real(root, line) == path:
                    return package
        return None


def files_of(root: Rootfs, distribution: Distribution, owners: Owners, leaving: frozenset[str]) -> Iterator[str]:
    """Give the real paths of a package's files that are there, with what Python compiled of them.

    ``leaving`` are the names of all that go. Where nothing tells the files, or they can't be told from those of a
    package that stays, it is a BuildError with the package's name.
    """
    for path in (*_listed(root, distribution, owners, leaving), *_below(root, distribution.path)):
        real = _real(root, path)
        if real is not None and (node := _own(root, real)) is not None and node.kind is not Kind.FOLDER:
            yield real
            yield from _compiled(root, real)


def _listed(
    root: Rootfs, distribution: Distribution, owners: Owners, leaving: frozenset[str]
) -> Iterator[str] | tuple[str, ...]:
    record = _read(root, f"{distribution.path}/RECORD")
    if record:
        rows = csv.reader(io.StringIO(record, newline=""))
        return (posixpath.join(f"/{distribution.folder}", row[0]) for row in rows if row)
    installed = _read(root, f"{distribution.path}/installed-files.txt")
    if installed:
        return (posixpath.join(f"/{distribution.path}", line) for line in installed.splitlines() if line)
    package = owners.of_path(root, distribution.path)
    if package is None:
        raise BuildError(
            f"nothing in the base image says which files are those of {distribution.name} {distribution.version}",
            hint="write `base_packages: ignore`, or take a base image without it",
        )
    lines = owners.lists[package]
    staying = {normalise(match["name"]) for match in map(_distribution, lines) if match} - leaving
    if staying:
        raise BuildError(
            f"{distribution.name} of the base image is in Debian's {package}, which brings {min(staying)} as well",
            hint=f"require {min(staying)} too, or write `base_packages: ignore`",
        )
    return lines


def _distribution(line: str) -> re.Match[str] | None:
    return _DISTRIBUTION.fullmatch(line.rpartition("/")[2])


def _real(root: Rootfs, path: str) -> str | None:
    """Say where a file of the list is: through the links of its folders, and not through its own."""
    folder, _, name = posixpath.normpath(path).strip("/").rpartition("/")
    real = root.resolve(folder)
    return None if real is None or name in ("", ".", "..") else f"{real}/{name}".lstrip("/")


def _own(root: Rootfs, real: str) -> Node | None:
    folder, _, name = real.rpartition("/")
    above = root.lookup(folder)
    return None if above is None else above.children.get(name)


def _below(root: Rootfs, path: str) -> Iterator[str]:
    """Give the metadata's own files, whatever the list says."""
    waiting = [path]
    while waiting:
        path = waiting.pop()
        yield path
        waiting += (f"{path}/{name}" for name in root.children(path))


def _compiled(root: Rootfs, path: str) -> Iterator[str]:
    folder, _, name = path.rpartition("/")
    if name.endswith(".py"):
        kept = f"{folder}/__pycache__"
        names = root.children(kept)
        yield from (f"{kept}/{one}" for one in names if one.startswith(f"{name[:-2]}cpython-"))


def _read(root: Rootfs, path: str) -> str:
    node = root.lookup(path)
    return _text(node) if node is not None else ""


def _text(node: Node) -> str:
    return node.data.decode("utf-8", errors="surrogateescape")
