"""Which machine code a wheel holds, and which C library that needs: read from its ELF files (System V ABI, gABI)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.wheel.archive import Wheel

_ELF = b"\x7fELF"
_BIG_ENDIAN = 2
_HEAD = 20
_ARCHITECTURES = {62: "amd64", 183: "arm64"}
_NEEDED = re.compile(rb"GLIBC_([0-9]{1,3})\.([0-9]{1,3})(?:\.[0-9]{1,3})?\0")
"""A version of glibc's symbols, as it stands among a file's strings."""
_MUSL = re.compile(rb"libc\.musl-[a-z0-9_]{1,20}\.so\.[0-9]\0")
_OVERLAP = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """What a wheel's machine code is for.

    ``architectures`` are in OCI's words, or numbers of the ABI; without machine code there are none. ``glibc`` is the
    newest version that any of it needs, ``musl`` whether any was linked to musl.
    """

    architectures: frozenset[str] = frozenset()
    glibc: tuple[int, int] | None = None
    musl: bool = False


def native_of(wheel: Wheel) -> Native:
    """Read every file of a wheel; one that is not what RECORD says is a CorruptError."""
    architectures: set[str] = set()
    versions: set[tuple[int, int]] = set()
    musl = False
    for entry in wheel.entries:
        architecture = None
        for place, window in enumerate(_windows(wheel.read(entry))):
            architecture = _architecture(window) if place == 0 else architecture
            if architecture is not None:
                architectures.add(architecture)
                versions |= {(int(major), int(minor)) for major, minor in _NEEDED.findall(window)}
                musl = musl or _MUSL.search(window) is not None
    return Native(architectures=frozenset(architectures), glibc=max(versions, default=None), musl=musl)


def _windows(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Give chunks, each behind the end of the one before: what is looked for may stand in two."""
    tail = b""
    for chunk in chunks:
        yield tail + chunk
        tail = (tail + chunk)[-_OVERLAP:]


def _architecture(start: bytes) -> str | None:
    if not start.startswith(_ELF) or len(start) < _HEAD:
        return None
    machine = int.from_bytes(start[18:20], "big" if start[5] == _BIG_ENDIAN else "little")
    return _ARCHITECTURES.get(machine, str(machine))
