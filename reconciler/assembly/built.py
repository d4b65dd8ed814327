"""Wheels that were made from source distributions: what is known of one, and who knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.values.digest import Digest


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltWheel:
    """A wheel that was made from a source distribution: its file's name, its bytes' hash and count, how to read them.

    Whoever reads it compares it with its hash, or takes it from where that is done.
    """

    file: str
    sha256: str
    size: int
    read: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)


class BuiltWheels(Protocol):
    """Wheels that were made from source distributions, by what went into them; of one key the first counts."""

    def find(self, key: Digest) -> BuiltWheel | None:
        """Give the wheel with that key; none where nobody of ours made one."""

    def keep(self, key: Digest, wheel: BuiltWheel, *, anew: bool = False) -> BuiltWheel:
        """Keep a wheel and give the one that counts: another's, where that was there first.

        With ``anew`` it replaces what is there, whose bytes were lost.
        """


class NoBuiltWheels:
    """Nothing was made before, and nothing is kept."""

    def find(self, key: Digest) -> BuiltWheel | None:
        """Find none."""
        del key
        return None

    def keep(self, key: Digest, wheel: BuiltWheel, *, anew: bool = False) -> BuiltWheel:
        """Give it back."""
        del key, anew
        return wheel
