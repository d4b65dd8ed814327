"""Which packages share a layer: large ones alone, the others in groups that a change does not reshuffle **[format]**.

A group is cut by project names alone: those whose sha256 begins with the same bits. It is divided while it is over
:data:`GROUP`, so that adding, removing or changing a package touches the group that it is in and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Generic, Protocol, TypeVar

from reconciler.errors import BuildError

ALONE = 1 << 20
"""Bytes of a wheel from which it has a layer of its own."""
GROUP = 8 << 20
"""Bytes of wheels that a group holds at most, unless one name's are more."""
_BITS = 256


class Sized(Protocol):
    """A package of any kind: its name, and the bytes of its file. Packages of one kind are sorted by what they are."""

    @property
    def name(self) -> str:
        """Its project."""

    @property
    def size(self) -> int:
        """The size of its file."""

    def __lt__(self, other: Any, /) -> bool: ...  # noqa: ANN401  # whatever is of its kind


Packed = TypeVar("Packed", bound=Sized)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group(Generic[Packed]):
    """The packages of one layer, sorted; ``name`` is the project, or the bits that the projects' hashes share."""

    name: str
    packages: tuple[Packed, ...]


def pack(packages: Sequence[Packed], *, limit_layers: int) -> tuple[Group[Packed], ...]:
    """Divide packages among at most ``limit_layers`` layers, in an order that is theirs alone.

    Where they would be more, the sizes from which packages stand alone and groups are divided are doubled. No room for
    one layer is a BuildError.
    """
    if not packages:
        return ()
    if limit_layers < 1:
        raise BuildError("there is no room for a layer of packages", hint="take a base image with fewer layers")
    scale = 1
    while len(groups := _divided(packages, scale)) > limit_layers:
        scale *= 2
    return groups


def _divided(packages: Sequence[Packed], scale: int) -> tuple[Group[Packed], ...]:
    alone = [package for package in sorted(packages) if package.size >= ALONE * scale]
    others = [package for package in sorted(packages) if package.size < ALONE * scale]
    single = (Group(name=package.name, packages=(package,)) for package in alone)
    return (*single, *_groups([(_bits(package.name), package) for package in others], "", GROUP * scale))


def _groups(packages: Sequence[tuple[str, Packed]], prefix: str, most: int) -> Iterator[Group[Packed]]:
    if not packages:
        return
    total = sum(package.size for _, package in packages)
    if total <= most or len({bits for bits, _ in packages}) == 1:
        yield Group(name=f"packages {prefix}".rstrip(), packages=tuple(package for _, package in packages))
        return
    for bit in "01":
        longer = prefix + bit
        yield from _groups([pair for pair in packages if pair[0].startswith(longer)], longer, most)


def _bits(name: str) -> str:
    return f"{int.from_bytes(sha256(name.encode()).digest()):0{_BITS}b}"
