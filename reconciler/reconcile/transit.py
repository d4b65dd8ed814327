"""The blobs of an environment on their way from one registry to another: side by side, streamed, only what lacks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from reconciler.oci.descriptor import Descriptor, Stream
from reconciler.ports import Executor, Registry
from reconciler.reconcile.images import each
from reconciler.values.digest import Digest

LARGE = 8 << 20
"""Bytes from which on it is told how far they are."""
_STEPS = 10
_MEGA = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many blobs were copied, taken from elsewhere in the target, there already; bytes copied, and of all."""

    copied: int = 0
    mounted: int = 0
    there: int = 0
    copied_bytes: int = 0
    all_bytes: int = 0

    @property
    def is_large(self) -> bool:
        """Tell whether it was told how far they are."""
        return self.copied > 0 and self.all_bytes >= LARGE


def carry(  # noqa: PLR0913  # from where, to where, what, how
    source: Registry,
    target: Registry,
    name: str,
    blobs: Sequence[Descriptor],
    *,
    executor: Executor | None,
    say: Callable[[str], None],
) -> Tally:
    """Bring each blob over; ``say`` is told how far that is where it is much, at most ten times.

    What a folder has is hashed, and read again from the source where it is damaged; a remote registry is asked.
    """
    transit = _Transit(source, target, name, blobs, say)
    each(blobs, transit.carry, executor)
    return transit.tally()


class _Transit:
    def __init__(
        self, source: Registry, target: Registry, name: str, blobs: Sequence[Descriptor], say: Callable[[str], None]
    ) -> None:
        self._source = source
        self._target = target
        self._name = name
        self._sizes = {blob.digest: blob.size for blob in blobs}
        self._all = sum(self._sizes.values())
        self._say = say
        self._guard = threading.Lock()
        self._read: dict[Digest, int] = {}
        self._there: set[Digest] = set()
        self._mounted: set[Digest] = set()
        self._step = 0

    def carry(self, blob: Descriptor) -> None:
        """Bring one blob over."""
        there = self._target.has_blob(self._name, blob)
        if not there or not self._target.remote:
            self._target.push_blob(self._name, Stream(descriptor=blob, read=partial(self._chunks, blob)))
        with self._guard:
            if blob.digest not in self._read:
                (self._there if there else self._mounted).add(blob.digest)

    def tally(self) -> Tally:
        """Count."""
        return Tally(
            copied=len(self._read),
            mounted=len(self._mounted),
            there=len(self._there),
            copied_bytes=sum(self._sizes[digest] for digest in self._read),
            all_bytes=self._all,
        )

    def _chunks(self, blob: Descriptor) -> Iterator[bytes]:
        with self._guard:
            self._read[blob.digest] = 0
        for chunk in self._source.fetch_blob(self._name, blob):
            yield chunk
            with self._guard:
                self._read[blob.digest] += len(chunk)
                self._tell()

    def _tell(self) -> None:
        settled = sum(self._sizes[digest] for digest in self._there | self._mounted)
        done = sum(self._read.values()) + settled
        step = done * _STEPS // max(self._all, 1)
        if self._all >= LARGE and step > self._step:
            self._step = step
            self._say(f"{done // _MEGA} of {self._all // _MEGA} MB")
