"""Wheels by their sha256."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.store.files import FileStore


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelStore(FileStore):
    """The wheels below ``path``; every file of a wheel is hashed when it is used."""

    ending: ClassVar[str] = ".whl"
    kind: ClassVar[str] = "wheel"
