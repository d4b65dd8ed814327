"""The layer over all packages: what their scripts would have made, told from what the layers below hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.assembly.libraries import Libraries, libraries_of_root
from reconciler.debian import configure, ldcache
from reconciler.debian.control import stanzas
from reconciler.debian.root import Contents, replaces
from reconciler.debian.scripts import HINT, Verdict, classify
from reconciler.debian.status import INFO, STATUS, list_of, parse_list
from reconciler.errors import BuildError
from reconciler.lock.system import SystemPackage
from reconciler.oci.member import Kind, Member, folder_of
from reconciler.oci.rootfs import Rootfs
from reconciler.oci.untar import decompress, read_tar
from reconciler.ports import Layer

_MAX_KNOWN, _SHOWN = 16 << 20, 3
Attributes = tuple[int, int, int]
Entries = Iterator[tuple[Member, Iterator[bytes]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Filled:
    """A layer, and the packages in it; one that holds a standalone Python has none."""

    layer: Layer
    packages: tuple[SystemPackage, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Configured:
    """What stands over all packages, and which shared libraries the whole root has and lacks."""

    members: tuple[Member, ...]
    libraries: Libraries


def configured(layers: Sequence[Filled], architecture: str) -> Configured:
    """Give what stands over ``layers``, from the lowest.

    Packages of two layers that have one path without the upper one replacing the lower are a BuildError, and so is a
    package whose scripts would have to be run.
    """
    root, scan = Rootfs(_wanted), _Scan()
    for number, filled in enumerate(layers):
        stream = filled.layer.stream
        root.apply(scan.watch(number, read_tar(decompress(stream.descriptor.media_type, stream.chunks()))))
    _check(scan.meetings, root, layers)
    verdicts = {one.name: _verdict(root, one) for filled in layers for one in filled.packages}
    restored = [*scan.restored]
    root.apply((member, iter(())) for member in restored)
    made = [*configure.configure(root, verdicts, architecture=architecture)]
    root.apply((member, member.read() if member.read else iter(())) for member in made)
    members = _with_folders((*restored, *made, ldcache.ldcache(root, architecture)), root)
    return Configured(members=tuple(members), libraries=libraries_of_root(root, architecture))


def _wanted(path: str, size: int) -> int:
    own = min(size, _MAX_KNOWN) if path.startswith((f"{INFO}/", f"{STATUS}/")) else 0
    return max(own, configure.wanted(path, size), ldcache.wanted(path, size))


def _with_folders(members: Iterable[Member], root: Rootfs) -> Iterator[Member]:
    """Give members with the folders above them as the root has them: a layer that has a folder says its permissions."""
    own = {member.path: member for member in members}
    above = {path[:place] for path in own for place, character in enumerate(path) if character == "/"}
    for path in above - own.keys():
        node = root.lookup(path)
        yield folder_of(path) if node is None else folder_of(path, mode=node.mode, uid=node.uid, gid=node.gid)
    yield from own.values()


def _verdict(root: Rootfs, package: SystemPackage) -> Verdict:
    verdict = classify(package.name, package.version, _scripts(root, package.name))
    if verdict.is_refused:
        raise BuildError(f"the Debian package {package.name} can't be laid out: {verdict.why}", hint=HINT)
    return verdict


def _scripts(root: Rootfs, package: str) -> dict[str, str]:
    found = {}
    for name in root.children(INFO):
        owner, _, script = name.rpartition(".")
        if owner == package:
            found[script] = _text(root, f"{INFO}/{name}")
    return found


def _text(root: Rootfs, path: str) -> str:
    node = root.lookup(path)
    return "" if node is None else node.data.decode("utf-8", "replace")


# -- one path in two layers -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Meeting:
    """A path that two layers have, by their numbers."""

    path: str
    lower: int
    upper: int


@dataclass(kw_only=True)
class _Scan:
    """What layers have in common: the last owner of every path, and what folders were like where they came first."""

    owners: dict[str, tuple[int, Member]] = field(default_factory=dict)
    folders: dict[str, Attributes] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    meetings: list[Meeting] = field(default_factory=list)

    def watch(self, number: int, entries: Entries) -> Entries:
        """Pass a layer's entries on."""
        for member, body in entries:
            there = self.owners.get(member.path)
            if member.kind is Kind.FOLDER:
                self._folder(member)
            if there is not None and there[0] != number and not _is_same(there[1], member):
                self.meetings.append(Meeting(path=member.path, lower=there[0], upper=number))
            self.owners[member.path] = (number, member)
            yield member, body

    def _folder(self, member: Member) -> None:
        about = (member.mode, member.uid, member.gid)
        if self.folders.setdefault(member.path, about) != about:
            self.changed.add(member.path)

    @property
    def restored(self) -> Iterator[Member]:
        """Folders as they came first: to dpkg a folder that is there is as it is."""
        for path in sorted(self.changed):
            mode, uid, gid = self.folders[path]
            yield folder_of(path, mode=mode, uid=uid, gid=gid)


def _is_same(one: Member, other: Member) -> bool:
    if one.kind is other.kind is Kind.FOLDER:
        return True
    return one.kind is other.kind is Kind.LINK and one.target == other.target


def _check(meetings: Sequence[Meeting], root: Rootfs, layers: Sequence[Filled]) -> None:
    for meeting in meetings:
        lower, upper = (_owners(root, meeting.path, layers[number]) for number in (meeting.lower, meeting.upper))
        if not any(replaces(one, other) for one in upper for other in lower):
            both = f"{_shown(lower)} and {_shown(upper)}"
            raise BuildError(
                f"/{meeting.path} is in the Debian packages {both}, and neither replaces the other",
                hint="take one of them out of system_packages",
            )


def _shown(owners: Sequence[Contents]) -> str:
    names = ", ".join(one.name for one in owners[:_SHOWN])
    return names if len(owners) == 1 else f"one of {names}{', …' if len(owners) > _SHOWN else ''}"


def _known(root: Rootfs, package: SystemPackage) -> Contents:
    (fields,) = [*stanzas(_text(root, f"{STATUS}/{package.name}").splitlines())] or [{}]
    return Contents(name=package.name, version=package.version, replaces=fields.get("replaces", ""), members=())


def _owners(root: Rootfs, path: str, filled: Filled) -> Sequence[Contents]:
    """Give the packages of a layer that say that they have a file; where none does, any may have it."""
    packages = [_known(root, one) for one in filled.packages]
    return [one for one in packages if path in parse_list(_text(root, list_of(one.name)))] or packages
