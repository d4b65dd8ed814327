"""Archives of standalone Pythons by their sha256."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.store.files import FileStore


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonStore(FileStore):
    """The archives below ``path``; every one is hashed when it is used."""

    ending: ClassVar[str] = ".tar.gz"
    kind: ClassVar[str] = "archive of Python"
