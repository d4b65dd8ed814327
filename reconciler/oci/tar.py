"""A layer as a tar archive that is a pure function of the files in it (image-spec 1.1, layer.md).

It is not compressed: compression libraries write different bytes for the same input.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

_FOLDER_MODE = 0o755
_PERMISSIONS = 0o777
_WHITEOUT = ".wh."


def to_tar(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Write files (path to mode and bytes) with the folders above them, sorted, owned by root, at time 0.

    POSIX.1-2001 (pax) headers stand only where a name needs them. A path that is absolute, leads out, is not
    normal, or would delete something (a whiteout) is a ValueError; so is a mode beyond permissions.
    """
    for path, (mode, _) in files.items():
        _refuse(path, mode)
    folders = {folder for path in files for folder in _above(path)}
    if taken := folders & files.keys():
        raise ValueError(f"both a file and a folder: {min(taken)!r}")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for path in sorted(folders | files.keys()):
            if path in folders:
                archive.addfile(_member(f"{path}/", _FOLDER_MODE, tarfile.DIRTYPE, 0))
            else:
                mode, data = files[path]
                archive.addfile(_member(path, mode, tarfile.REGTYPE, len(data)), io.BytesIO(data))
    return buffer.getvalue()


def _member(name: str, mode: int, kind: bytes, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode = mode
    member.type = kind
    member.size = size
    return member


def _above(path: str) -> tuple[str, ...]:
    parts = path.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(1, len(parts)))


def _refuse(path: str, mode: int) -> None:
    parts = path.split("/")
    if "" in parts or "." in parts or ".." in parts or "\0" in path:
        raise ValueError(f"not a path inside a layer: {path!r}")
    if any(part.startswith(_WHITEOUT) for part in parts):
        raise ValueError(f"a name that begins with {_WHITEOUT} deletes: {path!r}")
    if mode != mode & _PERMISSIONS:
        raise ValueError(f"not the permissions of a file: {mode:o}")
