"""What stands over a root: files, folders and links that change it, seen together with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.debian.shell.expansion import matches
from reconciler.debian.shell.syntax import UnreadableError
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of, whiteout_of
from reconciler.oci.rootfs import MAX_LINKS, Node, Rootfs

_UMASK = 0o022


class Tree:
    """A root that is left as it is, and what changes it. Paths are absolute or relative to the root."""

    def __init__(self, root: Rootfs) -> None:
        self._root = root
        self._changes: dict[str, Node | None] = {}
        self.umask = _UMASK
        """What files and folders that are made may not be allowed."""

    # -- looking ------------------------------------------------------------------------------------------------

    def lstat(self, path: str) -> Node | None:
        """Give what stands at a path, a link too; none where nothing does."""
        return self._at(self.place(path, follows=False))

    def stat(self, path: str) -> Node | None:
        """Give what a path leads to."""
        return self._at(self.place(path))

    def place(self, path: str, *, follows: bool = True) -> str:
        """Say where a path really is, relative to the root, whether anything is there or not."""
        waiting, links, real = [part for part in reversed(path.split("/")) if part], 0, ""
        while waiting:
            part = waiting.pop()
            if part in (".", ".."):
                real = real.rpartition("/")[0] if part == ".." else real
                continue
            at = f"{real}/{part}" if real else part
            node = self._at(at)
            if node is None or node.kind is not Kind.LINK or not (waiting or follows):
                real = at
                continue
            links += 1
            if links > MAX_LINKS:
                return at
            real = "" if node.target.startswith("/") else real
            waiting += [piece for piece in reversed(node.target.split("/")) if piece]
        return real

    def _at(self, real: str) -> Node | None:
        if real in self._changes:
            return self._changes[real]
        folder, _, name = real.rpartition("/")
        above = self._root.lookup(folder)
        return above if not real else None if above is None else above.children.get(name)

    def children(self, path: str) -> tuple[str, ...]:
        """List the names in a folder, sorted."""
        real = self.place(path)
        node = self._root.lookup(real)
        names = set(node.children) if node is not None else set()
        for changed, there in self._changes.items():
            folder, _, name = changed.rpartition("/")
            if folder == real and name:
                (names.discard if there is None else names.add)(name)
        return tuple(sorted(names))

    def glob(self, pattern: str) -> list[str]:
        """Give the absolute paths that match a pattern, sorted; hidden names match none."""
        found = [""]
        for part in pattern.split("/")[1:]:
            found = [path for above in found for path in self._matching(above, part)]
        return sorted(found)

    def _matching(self, above: str, part: str) -> Iterator[str]:
        if not any(letter in part for letter in "*?["):
            if self.lstat(f"{above}/{part}") is not None:
                yield f"{above}/{part}"
            return
        for name in self.children(above or "/"):
            if matches(name, part) and not name.startswith("."):
                yield f"{above}/{name}"

    def data(self, path: str) -> bytes | None:
        """Give a file's bytes; none where there is no file. Bytes that were not kept are an UnreadableError."""
        node = self.stat(path)
        if node is None or node.kind is not Kind.FILE:
            return None
        if len(node.data) != node.size:
            raise UnreadableError(f"they read or change /{self.place(path)}, whose bytes are not kept")
        return node.data

    def text(self, path: str) -> str | None:
        """Give a file's text."""
        data = self.data(path)
        return None if data is None else data.decode(errors="surrogateescape")

    # -- changing -----------------------------------------------------------------------------------------------

    def put(self, member: Member) -> None:
        """Put a file, folder or link at its path, through links of the folders above; those that lack are made."""
        real = self.place(member.path, follows=False)
        self.make_folder(real.rpartition("/")[0])
        data = b"".join(member.read()) if member.read is not None else b""
        self._changes[real] = Node(
            kind=member.kind, mode=member.mode, uid=member.uid, gid=member.gid,
            size=len(data), target=member.target, data=data,
        )  # fmt: skip

    def write(self, path: str, data: bytes) -> None:
        """Write a file; one that is there keeps its mode and owner."""
        real = self.place(path)
        node = self._at(real)
        if node is not None and node.kind is Kind.FILE:
            self._changes[real] = Node(
                kind=Kind.FILE, mode=node.mode, uid=node.uid, gid=node.gid, size=len(data), data=data
            )
        else:
            self.put(file_of(real, data, mode=0o666 & ~self.umask))

    def make_folder(self, path: str) -> None:
        """Make a folder with those above it; one that is there stays as it is."""
        real = self.place(path)
        if not real or ((node := self._at(real)) is not None and node.kind is Kind.FOLDER):
            return
        self.make_folder(real.rpartition("/")[0])
        self._changes[real] = Node(kind=Kind.FOLDER, mode=0o777 & ~self.umask)

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link at a path."""
        self.put(link_of(path.strip("/"), target))

    def own(self, path: str, *, mode: int | None = None, uid: int | None = None, gid: int | None = None) -> bool:
        """Change whose a file or folder is and its mode; tell whether it is there."""
        real = self.place(path)
        node = self._at(real)
        if node is None or not real:
            return False
        wanted = (
            node.mode if mode is None else mode,
            node.uid if uid is None else uid,
            node.gid if gid is None else gid,
        )
        if wanted != (node.mode, node.uid, node.gid):
            data = self.data(real) or b""
            self._changes[real] = Node(
                kind=node.kind, mode=wanted[0], uid=wanted[1], gid=wanted[2],
                size=len(data), target=node.target, data=data,
            )  # fmt: skip
        return True

    def remove(self, path: str) -> None:
        """Delete a file, link, or folder with all that is in it."""
        real = self.place(path, follows=False)
        node = self._at(real)
        if node is None:
            return
        for name in self.children(real) if node.kind is Kind.FOLDER else ():
            self.remove(f"{real}/{name}")
        self._changes[real] = None

    def members(self) -> tuple[Member, ...]:
        """Give what stands over the root, sorted; what is as the root has it is left out."""
        return tuple(
            member
            for path, node in sorted(self._changes.items())
            for member in [_member(path, node)]
            if not self._is_there(path, node)
        )

    def _is_there(self, path: str, node: Node | None) -> bool:
        folder, _, name = path.rpartition("/")
        above = self._root.lookup(folder)
        # A folder that is itself seen through a link is nowhere but where the link leads.
        below = above.children.get(name) if above is not None else None
        if below is None or node is None:
            return below is node
        same = (below.kind, below.mode, below.uid, below.gid, below.target) == (
            node.kind, node.mode, node.uid, node.gid, node.target,
        )  # fmt: skip
        return same and below.size == node.size and below.data == node.data


def _member(path: str, node: Node | None) -> Member:
    if node is None:
        return whiteout_of(path)
    if node.kind is Kind.LINK:
        return link_of(path, node.target)
    if node.kind is Kind.FOLDER:
        return folder_of(path, mode=node.mode, uid=node.uid, gid=node.gid)
    made = file_of(path, node.data, mode=node.mode, uid=node.uid, gid=node.gid)
    return replace(made, kind=node.kind)
