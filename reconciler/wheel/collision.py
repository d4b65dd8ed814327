"""The same path in two packages: equal bytes are kept once, others are an error that names both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType

from reconciler.errors import BuildError
from reconciler.oci.member import Member

NOBODYS: Mapping[str, str] = MappingProxyType({})


def merge(groups: Iterable[tuple[str, Iterable[Member]]], taken: Mapping[str, str] = NOBODYS) -> tuple[Member, ...]:
    """Give the files of several wheels, by the name of each; the first by name keeps what several have.

    What two have with other bytes, another mode, or once as a file and once as a folder, is a BuildError. The paths of
    files that are ``taken``, path to whose it is, count as had by those.
    """
    files: dict[str, tuple[str, Member]] = {}
    folders: dict[str, str] = {}
    for path, owner in taken.items():
        _above(path, owner, folders)
    for name, members in sorted(groups, key=lambda group: group[0]):
        for member in members:
            if member.path in taken:
                raise _clash(name, taken[member.path], member.path)
            owner, there = files.setdefault(member.path, (name, member))
            if there is not member and not _equal(there, member):
                raise _clash(owner, name, member.path)
            _above(member.path, name, folders)
    for path in folders.keys() & {*files, *taken}:
        raise _clash(files[path][0] if path in files else taken[path], folders[path], path)
    return tuple(member for _, member in files.values())


def _above(path: str, name: str, folders: dict[str, str]) -> None:
    folder = path.rpartition("/")[0]
    while folder and folder not in folders:
        folders[folder] = name
        folder = folder.rpartition("/")[0]


def _equal(one: Member, other: Member) -> bool:
    if (one.kind, one.mode, one.size) != (other.kind, other.mode, other.size):
        return False
    if one.digest.partition("=")[0] == other.digest.partition("=")[0] != "":
        return one.digest == other.digest
    return _hashed(one) == _hashed(other)


def _hashed(member: Member) -> bytes:
    hashed = sha256(member.target.encode("utf-8", "surrogateescape"))
    for chunk in member.read() if member.read is not None else ():
        hashed.update(chunk)
    return hashed.digest()


def _clash(one: str, other: str, path: str) -> BuildError:
    return BuildError(
        f"{one} and {other} both have /{path}, and not the same",
        hint="keep one of the two packages: remove the other, or the one that depends on it",
    )
