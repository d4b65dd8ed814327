"""git as the source of what is read: a commit's own objects, and what history says about the working tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.clients.git import Git
from reconciler.clients.objects import Objects, TreeEntry
from reconciler.errors import SourceError
from reconciler.ports import Entry
from reconciler.sources.tree import DEFAULT_LIMIT, IGNORED, MAX_DEPTH, MAX_FILES, checked_parts
from reconciler.values import paths
from reconciler.values.commit import Commit, Revision

_FOLDER, _LINK, _SUBMODULE = "040000", "120000", "160000"


class GitHistory:
    """What git knows of the repository that ``root`` is in; outside git, nothing."""

    def __init__(self, root: Path) -> None:
        self._git = Git(root)

    @cached_property
    def _is_repository(self) -> bool:
        return self._git.is_repository()

    def revision(self, paths: Sequence[str]) -> Revision:
        """Tell the commit, the origin, and whether a file below ``paths`` differs from the commit.

        A file that git doesn't know counts as a difference, one that it ignores too; what ``IGNORED`` names doesn't.
        Without paths, and in a bare repository, nothing is compared.
        """
        if not self._is_repository:
            return Revision()
        origin = _without_credentials(self._git.settings().get("remote.origin.url", ""))
        status = self._git.status(paths) if paths else None
        if status is None:
            head = self._git.head()
            return Revision(commit=head.commit, origin=origin, branch=head.branch)
        changed = any(not IGNORED.intersection(path.rstrip("/").split("/")) for path in status.changed)
        return Revision(
            commit=status.commit,
            dirty=changed or status.commit is None,
            origin=origin,
            branch=status.branch,
        )

    def tracks(self, paths: Sequence[str]) -> bool:
        """Tell whether git keeps a file at or below one of these paths, relative to the root."""
        return self._is_repository and self._git.tracks(paths)

    def is_ancestor(self, ancestor: Commit, descendant: Commit) -> bool | None:
        """Tell whether one commit comes before another (or is it); none where history does not reach."""
        return self._git.is_ancestor(ancestor, descendant) if self._is_repository else None

    def deepen(self) -> bool:
        """Fetch from the origin what this clone lacks of history; tell whether there is more of it now.

        An origin that is not there, does not answer or does not let us in gives nothing; that is no error.
        """
        return self._is_repository and self._git.deepen()


class CommitSource:
    """The files of one commit, from its own objects: no working tree, no filter, no link."""

    def __init__(self, root: Path, revision: str) -> None:
        git = Git(root)
        if not git.is_repository():
            raise SourceError("not in a git repository", hint="leave out --at")
        self.commit = git.resolve(revision)
        self._objects: Objects = git.objects()
        self._trees: dict[str, Mapping[str, TreeEntry]] = {}
        top = self._objects.tree_of(self.commit)
        self._prefix = git.prefix().rstrip("/")
        self._trees[""] = self._named(top)

    def read(self, path: str, *, limit: int = DEFAULT_LIMIT) -> bytes:
        """Give a file's bytes. Missing, outside, no plain file or over ``limit`` is a SourceError."""
        entry = self._entry(path)
        if entry is None or entry.mode == _FOLDER:
            raise SourceError(f"{self._shown(path)} is a folder", hint="name a file")
        _refuse_mode(entry.mode, self._shown(path))
        if self._objects.size(entry.oid) > limit:
            raise SourceError(f"{self._shown(path)} is larger than {limit} bytes", hint="name a smaller file")
        return self._objects.read(entry.oid, "blob", limit=limit)

    def entries(self, folder: str) -> tuple[Entry, ...]:
        """List what stands directly in a folder, sorted by path. A missing folder is a SourceError."""
        parts = checked_parts(folder)
        start = "".join(f"{part}/" for part in parts)
        found = self._tree(parts)
        return tuple(sorted(Entry(start + entry.name, _plain_mode(entry.mode)) for entry in found.values()))

    def walk(self, folder: str) -> tuple[Entry, ...]:
        """List every file below a folder, sorted by path; links and submodules are a SourceError.

        A plain file is listed as itself. What is in ``IGNORED`` is left out.
        """
        entry = self._entry(folder)
        parts = checked_parts(folder)
        if entry is not None and entry.mode != _FOLDER:
            _refuse_mode(entry.mode, self._shown(folder))
            return (Entry("/".join(parts), _plain_mode(entry.mode)),)
        found: list[Entry] = []
        self._collect(parts, found)
        return tuple(sorted(found))

    def _collect(self, parts: list[str], found: list[Entry]) -> None:
        if len(parts) > MAX_DEPTH:
            raise SourceError(f"folders are nested more than {MAX_DEPTH} deep")
        for name, entry in self._tree(parts).items():
            path = "/".join([*parts, name])
            reason = paths.refusal(name)
            if name in IGNORED:
                continue
            if reason is not None:
                raise SourceError(reason, hint="rename the file")
            if entry.mode == _FOLDER:
                self._collect([*parts, name], found)
                continue
            _refuse_mode(entry.mode, self._shown(path))
            found.append(Entry(path, _plain_mode(entry.mode)))
            if len(found) > MAX_FILES:
                raise SourceError(f"a folder holds more than {MAX_FILES} files", hint="name a smaller folder")

    def _entry(self, path: str) -> TreeEntry | None:
        parts = checked_parts(path)
        if not parts:
            return None
        entry = self._tree(parts[:-1]).get(parts[-1])
        if entry is None:
            raise SourceError(
                f"{self._shown(path)} does not exist",
                hint="check the name; it is relative to the file that names it",
            )
        return entry

    def _tree(self, parts: list[str]) -> Mapping[str, TreeEntry]:
        whole = [*(self._prefix.split("/") if self._prefix else []), *parts]
        tree, path = self._trees[""], ""
        for part in whole:
            path = f"{path}/{part}" if path else part
            known = self._trees.get(path)
            if known is None:
                entry = tree.get(part)
                if entry is None:
                    raise SourceError(f"the folder {self._shown(path)} does not exist", hint="check the path")
                if entry.mode != _FOLDER:
                    _refuse_mode(entry.mode, self._shown(path))
                    raise SourceError(f"{self._shown(path)} is no folder", hint="check the path")
                known = self._trees[path] = self._named(entry.oid)
            tree = known
        return tree

    def _named(self, oid: bytes) -> Mapping[str, TreeEntry]:
        return {entry.name: entry for entry in self._objects.entries(oid)}

    def _shown(self, path: str) -> str:
        return f"{(path if path.isprintable() else ascii(path))[:200]} at {self.commit.short}"


def _refuse_mode(mode: str, path: str) -> None:
    if mode == _LINK:
        raise SourceError(f"{path} is a link", hint="put the file itself there; links are not followed")
    if mode == _SUBMODULE:
        raise SourceError(f"{path} is a submodule", hint="copy the files that are needed")


def _plain_mode(mode: str) -> str:
    """Give today's modes for a plain file; git once wrote 100664 too."""
    return ("100755" if int(mode, 8) & 0o100 else "100644") if mode.startswith("100") else mode


def _without_credentials(address: str) -> str | None:
    if "://" not in address:
        host, separator, path = address.partition(":")
        return f"{host.rpartition('@')[2]}{separator}{path}" or None
    try:
        parts = urlsplit(address)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    except ValueError:
        return None
