"""The root file system that layers make, as far as one has to know it: names, links, and the bytes that are wanted.

Layers are applied one over another as overlay file systems do (image-spec 1.1, layer.md): what a layer deletes is
gone, a folder over a folder is one, anything else takes the place of what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from reconciler.errors import CorruptError
from reconciler.oci.elf import Elf, read_elf
from reconciler.oci.member import OPAQUE, WHITEOUT, Kind, Member

MAX_LINKS = 40
"""Links that are followed on the way to one file; Linux ends there too."""

Wanted = Callable[[str, int], int]
"""Says how many of a file's first bytes are kept, by its path and its size; none are where that is 0."""


@dataclass(eq=False, kw_only=True, slots=True)
class Node:
    """A file, folder or link.

    ``data`` is the beginning of a file, as far as it was wanted; ``elf`` what a program or library says of itself.
    """

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    data: bytes = b""
    elf: Elf | None = None
    children: dict[str, Node] = field(default_factory=dict)


def is_linked(member: Member) -> bool:
    """Tell whether a file may be a program or a library, by its name and its mode."""
    return member.kind is Kind.FILE and (bool(member.mode & 0o111) or ".so" in member.path.rpartition("/")[2])


class Rootfs:
    """A root file system in memory, without the bytes that nobody wants."""

    def __init__(self, wanted: Wanted = lambda _path, _size: 0) -> None:
        self._root = Node(kind=Kind.FOLDER)
        self._wanted = wanted

    # -- layers -------------------------------------------------------------------------------------------------

    def apply(self, entries: Iterable[tuple[Member, Iterator[bytes]]]) -> None:
        """Lay the entries of the next layer over what is there."""
        own: set[int] = set()  # what this layer brought is not deleted by it, in whatever order it comes
        for member, body in entries:
            folder, _, name = member.path.rpartition("/")
            if name == OPAQUE:
                self._empty(self._folder(folder), own)
            elif name.startswith(WHITEOUT):
                self._delete(self._folder(folder), name.removeprefix(WHITEOUT), own)
            else:
                self._add(self._folder(folder, own), name, member, body, own)

    def _folder(self, path: str, own: set[int] | None = None) -> Node:
        """Give a folder, made where it lacks; a link in its place is hidden by it, as in an overlay."""
        node = self._root
        for part in path.split("/") if path else ():
            there = node.children.get(part)
            if there is None or there.kind is not Kind.FOLDER:
                there = node.children[part] = Node(kind=Kind.FOLDER)
            if own is not None:
                own.add(id(there))
            node = there
        return node

    def _add(self, folder: Node, name: str, member: Member, body: Iterator[bytes], own: set[int]) -> None:
        there = folder.children.get(name)
        if member.kind is Kind.FOLDER and there is not None and there.kind is Kind.FOLDER:
            there.mode, there.uid, there.gid = member.mode, member.uid, member.gid
            own.add(id(there))
            return
        node = self._named(member.target) if member.kind is Kind.HARD else self._node(member, body)
        folder.children[name] = node
        own.add(id(node))

    def _node(self, member: Member, body: Iterator[bytes]) -> Node:
        most = self._wanted(member.path, member.size) if member.kind is Kind.FILE else 0
        data = bytearray()

        def passing() -> Iterator[bytes]:
            for piece in body:
                if len(data) < most:
                    data.extend(piece)
                yield piece

        elf = read_elf(passing()) if is_linked(member) else None
        while len(data) < most and (piece := next(body, b"")):
            data += piece
        return Node(
            kind=member.kind,
            mode=member.mode,
            uid=member.uid,
            gid=member.gid,
            size=member.size,
            target=member.target,
            data=bytes(data[: max(0, most)]),
            elf=elf,
        )

    def _named(self, path: str) -> Node:
        node: Node | None = self._root
        for part in path.split("/"):
            node = node.children.get(part) if node is not None else None
        if node is None or node.kind is not Kind.FILE:
            raise CorruptError(f"a layer has a second name for /{path}, which is no file of it")
        return node

    @staticmethod
    def _delete(folder: Node, name: str, own: set[int]) -> None:
        there = folder.children.get(name)
        if there is not None and id(there) in own and there.kind is Kind.FOLDER:
            Rootfs._empty(there, own)
        elif there is not None and id(there) not in own:
            del folder.children[name]

    @staticmethod
    def _empty(folder: Node, own: set[int]) -> None:
        for name in [*folder.children]:
            Rootfs._delete(folder, name, own)

    # -- looking ------------------------------------------------------------------------------------------------

    def lookup(self, path: str) -> Node | None:
        """Find what a path leads to through every link, the last one too; none where it leads nowhere."""
        found = self._walk(path)
        return None if found is None else found[1]

    def resolve(self, path: str) -> str | None:
        """Say where a path really is, relative to the root; none where it leads nowhere."""
        found = self._walk(path)
        return None if found is None else found[0]

    def children(self, path: str) -> tuple[str, ...]:
        """List the names in a folder, sorted; none where there is no such folder."""
        node = self.lookup(path)
        return () if node is None else tuple(sorted(node.children))

    def files(self) -> Iterator[tuple[str, Node]]:
        """Give every file by its real path, in no order."""
        return ((path, node) for path, node in self._all() if node.kind is Kind.FILE)

    def linked(self) -> Iterator[tuple[str, Elf]]:
        """Give every program and library by its path, also where a link is one, in no order."""
        for path, node in self._all():
            there = self.lookup(path) if node.kind is Kind.LINK else node
            if there is not None and there.elf is not None:
                yield path, there.elf

    @property
    def folder_links(self) -> dict[str, str]:
        """Every symbolic link that leads to a folder: its real path, and the folder's."""
        found = {}
        for path, node in self._all():
            if node.kind is Kind.LINK and (end := self._walk(path)) is not None and end[1].kind is Kind.FOLDER:
                found[path] = end[0]
        return dict(sorted(found.items()))

    def _all(self) -> Iterator[tuple[str, Node]]:
        waiting = [("", self._root)]
        while waiting:
            folder, node = waiting.pop()
            for name, child in node.children.items():
                path = f"{folder}/{name}" if folder else name
                yield path, child
                if child.kind is Kind.FOLDER:
                    waiting.append((path, child))

    def _walk(self, path: str) -> tuple[str, Node] | None:
        """Follow a path from the root, which ``..`` and absolute links never leave."""
        parts, links = [part for part in reversed(path.split("/")) if part], 0
        above: list[tuple[str, Node]] = [("", self._root)]
        while parts:
            part = parts.pop()
            if part == "..":
                above = above[:-1] if len(above) > 1 else above
            elif part != ".":
                node = above[-1][1].children.get(part)
                if node is None:
                    return None
                if node.kind is Kind.LINK:
                    links += 1
                    if links > MAX_LINKS:
                        return None
                    above = above[:1] if node.target.startswith("/") else above
                    parts += [piece for piece in reversed(node.target.split("/")) if piece]
                else:
                    above.append((part, node))
        return "/".join(name for name, _ in above[1:]), above[-1][1]
