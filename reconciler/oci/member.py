"""What stands in a layer: files, folders and links, with bytes that are read when they are needed (layer.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a member is. ``HARD`` is a second name of a file that stands before it in the same archive.

    ``WHITEOUT`` deletes what layers below have under a path, ``OPAQUE`` all that they have in a folder; each stands
    under the name of its mark (layer.md, "Whiteouts").
    """

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    HARD = "hard link"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque whiteout"


WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""What the name of a mark begins with, and the whole name of the one that empties a folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """A piece of a file, and the bytes that stand for it in a gzip member of that file alone (RFC 1952).

    The pieces of a file give the member one after another; either part of one may be empty.
    """

    plain: bytes
    packed: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One entry of a layer.

    ``path`` is relative to the root, normal, without a slash at either end. ``mode`` are its permissions, with setuid,
    setgid and the sticky bit. ``size`` is in bytes. ``read`` gives a file's bytes, each time anew, none for others.
    ``target`` is where a link leads, as written, or the path of the file that a hard link names again. ``digest``
    is what is known of a file's bytes unread, as RECORD writes it (``sha256=…``), empty where nobody said. ``packed``
    gives a file's bytes as they were compressed where it comes from, none where they were not.
    """

    path: str
    kind: Kind = Kind.FILE
    mode: int = 0o644
    size: int = 0
    read: Callable[[], Iterator[bytes]] | None = None
    target: str = ""
    uid: int = 0
    gid: int = 0
    digest: str = ""
    packed: Callable[[], Iterator[Packed]] | None = None


def file_of(path: str, data: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> Member:
    """Give a file whose bytes are held in memory."""
    return Member(path=path, mode=mode, size=len(data), read=lambda: iter((data,)), uid=uid, gid=gid)


def folder_of(path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Member:
    """Give a folder."""
    return Member(path=path, kind=Kind.FOLDER, mode=mode, uid=uid, gid=gid)


def link_of(path: str, target: str) -> Member:
    """Give a symbolic link."""
    return Member(path=path, kind=Kind.LINK, mode=0o777, target=target)


def whiteout_of(path: str) -> Member:
    """Delete what layers below have under this path."""
    folder, separator, name = path.rpartition("/")
    return Member(path=f"{folder}{separator}{WHITEOUT}{name}", kind=Kind.WHITEOUT)


def opaque_of(folder: str) -> Member:
    """Delete all that layers below have in this folder."""
    return Member(path=f"{folder}/{OPAQUE}", kind=Kind.OPAQUE)
