"""The files of several packages in one layer: a path has one owner, and ``Replaces`` says which (Debian Policy 7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reconciler.debian.places import EVERYWHERE, LOADERS, MERGED, link_to
from reconciler.debian.relation import parse_relations
from reconciler.errors import BuildError, CorruptError
from reconciler.oci.member import Kind, Member, folder_of, link_of

_PLAIN = (0o755, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """A package's files, folders and links, where they are in a root. ``replaces`` is its field, as written.

    A hard link leads to a file of the package, which is not always in the root itself: those that are not are
    ``hidden``.
    """

    name: str
    version: str
    replaces: str
    members: tuple[Member, ...]
    hidden: tuple[Member, ...] = ()


def lay(packages: Sequence[Contents]) -> tuple[Member, ...]:
    """Give what packages have together, in no order.

    A path that two have is the one's that replaces the other; where neither does it is a BuildError that names both.
    """
    owned: dict[str, tuple[Contents, Member]] = {}
    for package in sorted(packages, key=lambda package: package.name):
        for member in package.members:
            there = owned.get(member.path)
            owned[member.path] = (package, member) if there is None else _settled(there, (package, member))
    kept: dict[str, list[Member]] = {}
    for package, member in owned.values():
        kept.setdefault(package.name, []).append(member)
    by_name = {package.name: package for package in packages}
    return tuple(member for name, members in kept.items() for member in _linked(by_name[name], members))


def skeleton(members: Iterable[Member], architecture: str, *, lowest: bool) -> Iterator[Member]:
    """Give the links of merged-/usr that go with members, and the folders that they lead to.

    The ``lowest`` layer has those that every root has; others are where something is behind them.
    """
    there = {member.path for member in members}
    used = {"/".join(path.split("/")[:2]) for path in there}
    everywhere = {*EVERYWHERE, LOADERS} if architecture == "amd64" else {*EVERYWHERE}
    for path, target in MERGED.items():
        if (path in everywhere) if lowest else (path not in EVERYWHERE and target in used):
            yield link_of(path, link_to(path))
            if target.startswith("usr/") and target not in there:
                yield folder_of(target)


def replaces(one: Contents, other: Contents) -> bool:
    """Tell whether a package may take files of another one."""
    try:
        relations = parse_relations(one.replaces)
    except ValueError as error:
        raise CorruptError(f"the Debian package {one.name} {one.version}: Replaces: {error}") from error
    return any(relation.name == other.name and relation.admits(other.version) for (relation, *_) in relations)


def _settled(there: tuple[Contents, Member], come: tuple[Contents, Member]) -> tuple[Contents, Member]:
    """Say whose a path is that two packages have, or one has on both sides of the merge."""
    (owner, old), (package, new) = there, come
    if old.kind is new.kind is Kind.FOLDER:
        return there if _about(new) == _PLAIN else come if _about(old) == _PLAIN else there
    if replaces(package, owner):
        return come
    if replaces(owner, package):
        return there
    both = f"{owner.name} and {package.name}" if owner.name != package.name else f"{owner.name} twice"
    raise BuildError(
        f"/{new.path} is in the Debian packages {both}, and neither replaces the other",
        hint="take one of them out of system_packages",
    )


def _about(member: Member) -> tuple[int, int, int]:
    return member.mode, member.uid, member.gid


def _linked(package: Contents, kept: Sequence[Member]) -> Iterator[Member]:
    """Give what a package keeps, with hard links as archives need them: the first name is the file."""
    files = {member.path: member for member in (*package.members, *package.hidden) if member.kind is Kind.FILE}
    names: dict[str, list[str]] = {}
    for member in kept:
        if member.kind in (Kind.FILE, Kind.HARD):
            names.setdefault(member.target or member.path, []).append(member.path)
        else:
            yield member
    for file, paths in names.items():
        first, *others = sorted(paths)
        yield replace(files[file], path=first)
        yield from (replace(files[file], path=path, kind=Kind.HARD, size=0, read=None, target=first) for path in others)
