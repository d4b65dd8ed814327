"""Which wheel was made from a source distribution, by the key of what went in; the wheels are in the wheel store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from reconciler.assembly.built import BuiltWheel
from reconciler.store.durable import disk_errors, make_folders, replace_file
from reconciler.store.locks import locked
from reconciler.store.usage import mark_used
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class BuiltStore:
    """What was made on this machine; each is a small file beside the wheels, and worth nothing without its wheel."""

    wheels: WheelStore

    def find(self, key: Digest) -> BuiltWheel | None:
        """Give the wheel with that key; none where nobody made one here, or its bytes are gone."""
        path = self._path(key, ".json")
        with disk_errors(path, "read"):
            try:
                about = json.loads(path.read_bytes())
                wheel = self.wheel(str(about["file"]), str(Digest.parse(about["digest"]).hex), int(about["size"]))
            except (FileNotFoundError, ValueError, TypeError, KeyError):
                return None
        if not self.wheels.holds(wheel.sha256, wheel.size):
            return None
        mark_used(path)
        return wheel

    def keep(self, key: Digest, wheel: BuiltWheel) -> None:
        """Remember a wheel whose bytes are in the wheel store."""
        about = {"file": wheel.file, "digest": f"sha256:{wheel.sha256}", "size": wheel.size}
        replace_file(self._path(key, ".json"), json.dumps(about).encode())

    def wheel(self, file: str, sha256: str, size: int) -> BuiltWheel:
        """Describe a wheel of the wheel store."""
        return BuiltWheel(file=file, sha256=sha256, size=size, read=partial(self._read, sha256))

    def making(self, key: Digest) -> AbstractContextManager[None]:
        """Keep others from making the same."""
        make_folders(self.wheels.path)
        return locked(self._path(key, ".lock"))

    def _read(self, sha256: str) -> Iterator[bytes]:
        with self.wheels.open(sha256) as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def _path(self, key: Digest, ending: str) -> Path:
        return self.wheels.path / f"built-{key.hex}{ending}"
