"""Layers as tar archives that are pure functions of what is in them (image-spec 1.1, layer.md).

They are not compressed here: compression libraries write different bytes for the same input.
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.errors import BuildError, CorruptError
from reconciler.oci.member import OPAQUE, WHITEOUT, Kind, Member, Packed, folder_of

_FOLDER_MODE = 0o755
_PERMISSIONS = 0o777
_BLOCK, _CHUNK = 512, 1 << 20
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")  # POSIX.1-1988 (ustar)
_NAME, _PREFIX = 100, 155
_MAX_SIZE, _MAX_OWNER, _MAX_MODE = 8**11 - 1, 8**7 - 1, 0o7777
_TYPES = {
    Kind.FILE: b"0", Kind.HARD: b"1", Kind.LINK: b"2", Kind.FOLDER: b"5", Kind.WHITEOUT: b"0", Kind.OPAQUE: b"0",
}  # fmt: skip
_EXTENDED = b"x"


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
    if any(part.startswith(WHITEOUT) for part in parts):
        raise ValueError(f"a name that begins with {WHITEOUT} deletes: {path!r}")
    if mode != mode & _PERMISSIONS:
        raise ValueError(f"not the permissions of a file: {mode:o}")


# -- what is streamed -------------------------------------------------------------------------------------------


def with_folders(members: Iterable[Member]) -> Iterator[Member]:
    """Give the members sorted by path, with the folders above them that are lacking: mode 755, owned by root.

    A folder that is given twice in the same way is kept once; any other path that is given twice is a BuildError.
    """
    found: dict[str, Member] = {}
    for member in members:
        there = found.setdefault(member.path, member)
        if there is not member and (there.kind is not Kind.FOLDER or there != member):
            raise BuildError(f"a layer can't hold /{member.path} twice")
    for path in [*found]:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found[folder] = folder_of(folder)
            folder = folder.rpartition("/")[0]
        # What is above that one is looked at for its own sake.
        if folder and found[folder].kind is not Kind.FOLDER:
            raise BuildError(f"a layer can't hold /{path}: /{folder} is no folder")
    return (found[path] for path in sorted(found))


def write_tar(members: Iterable[Member]) -> Iterator[bytes]:
    """Write an archive in pieces of about 1 MiB, as :func:`write_pieces` does, without what is compressed."""
    for piece in write_pieces(members):
        yield piece.plain if isinstance(piece, Packed) else piece


def write_pieces(members: Iterable[Member]) -> Iterator[bytes | Packed]:
    """Write an archive in pieces of about 1 MiB: at time 0, owners by number alone.

    Files that are compressed already are given as they are.

    Members come sorted by path, those above before those below (:func:`with_folders`). Their form is that of
    POSIX.1-1988 (ustar), with POSIX.1-2001 (pax) headers where a name, a size or an owner needs them. A path that
    is absolute, leads out, is not normal or out of order is a ValueError; so is one that would delete something,
    unless the member's kind says so. A file that gives another number of bytes than its size is a CorruptError.
    """
    buffer, last = bytearray(), ""
    for member in members:
        _refuse(_unmarked(member), member.mode & _PERMISSIONS)
        if member.path <= last:
            raise ValueError(f"{member.path!r} stands behind {last!r}")
        last = member.path
        buffer += _headers(member)
        if member.kind is Kind.FILE:
            for chunk in _content(member):
                if not isinstance(chunk, Packed):
                    buffer += chunk
                if len(buffer) >= _CHUNK or (buffer and isinstance(chunk, Packed)):
                    yield bytes(buffer)
                    buffer.clear()
                if isinstance(chunk, Packed):
                    yield chunk
            buffer += bytes(-member.size % _BLOCK)
    yield bytes(buffer) + bytes(2 * _BLOCK)


def _unmarked(member: Member) -> str:
    """Give the path of what a member is or deletes; a mark under a name that is none is a ValueError."""
    folder, separator, name = member.path.rpartition("/")
    if member.kind is Kind.OPAQUE and name == OPAQUE and folder:
        return folder
    if member.kind is Kind.WHITEOUT and name.startswith(WHITEOUT) and name != OPAQUE:
        return f"{folder}{separator}{name.removeprefix(WHITEOUT)}"
    if member.kind in (Kind.OPAQUE, Kind.WHITEOUT):
        raise ValueError(f"not the name of a {member.kind.value}: {member.path!r}")
    return member.path


def _content(member: Member) -> Iterator[bytes | Packed]:
    left = member.size
    read: Callable[[], Iterable[bytes | Packed]] | None = member.packed or member.read
    for chunk in read() if read is not None else ():
        left -= len(chunk.plain if isinstance(chunk, Packed) else chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise CorruptError(f"/{member.path} has not the {member.size} bytes that it was to have")


def _headers(member: Member) -> bytes:
    """Give the blocks before a member's bytes."""
    if member.mode != member.mode & _MAX_MODE:
        raise ValueError(f"not the permissions of a file: {member.mode:o}")
    name = f"{member.path}/" if member.kind is Kind.FOLDER else member.path
    extended: dict[str, str] = {}
    prefix, short = _split(name)
    if short is None:
        extended["path"] = name
    if _is_long(member.target):
        extended["linkpath"] = member.target
    size = member.size if member.kind is Kind.FILE else 0
    numbers = {"size": (size, _MAX_SIZE), "uid": (member.uid, _MAX_OWNER), "gid": (member.gid, _MAX_OWNER)}
    extended |= {key: str(value) for key, (value, most) in numbers.items() if value > most}
    plain = member if not extended and size == member.size else replace(
        member, target="" if "linkpath" in extended else member.target, size=0 if "size" in extended else size,
        uid=0 if "uid" in extended else member.uid, gid=0 if "gid" in extended else member.gid,
    )  # fmt: skip
    header = _header(plain, _TYPES[member.kind], prefix, name.encode()[:_NAME] if short is None else short)
    return _extension(extended) + header if extended else header


def _header(member: Member, kind: bytes, prefix: bytes, name: bytes) -> bytes:
    fields = [
        name, b"%07o" % member.mode, b"%07o" % member.uid, b"%07o" % member.gid, b"%011o" % member.size,
        b"%011o" % 0, b" " * 8, kind, member.target.encode(), b"ustar\x0000", b"", b"",
        b"%07o" % 0, b"%07o" % 0, prefix,
    ]  # fmt: skip
    fields[6] = b"%06o\0 " % sum(_HEADER.pack(*fields))
    return _HEADER.pack(*fields)


def _extension(records: Mapping[str, str]) -> bytes:
    data = b"".join(_record(key, value) for key, value in sorted(records.items()))
    about = Member(path="", size=len(data))
    return _header(about, _EXTENDED, b"", b"././@PaxHeader") + data + bytes(-len(data) % _BLOCK)


def _record(key: str, value: str) -> bytes:
    """Write ``LENGTH KEY=VALUE``, where the length counts its own digits (pax, extended header)."""
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while len(rest) + len(str(length)) != length:
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _is_long(text: str) -> bool:
    return len(text) > _NAME or not text.isascii()


def _split(name: str) -> tuple[bytes, bytes | None]:
    """Split a name between the two fields of a header; the second is none where it fits neither way."""
    if not name.isascii():
        return b"", None
    if len(name) <= _NAME:
        return b"", name.encode()
    place = name.rfind("/", 0, _PREFIX + 1)
    rest = name[place + 1 :]
    return (name[:place].encode(), rest.encode()) if place > 0 and 0 < len(rest) <= _NAME else (b"", None)
