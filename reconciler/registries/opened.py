"""One OCI image layout on disk, opened for reading, and made anew (image-spec 1.1, image-layout.md).

Its folders are held open and nothing in it is reached through a link, so that no blob comes from elsewhere.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.document import MAX_MANIFEST
from reconciler.registries.index import LAYOUT, MAX_INDEX, LayoutIndex, check_layout, empty_index, parse_layout_index
from reconciler.store.durable import disk_errors, make_folders, rename_folder, store_error, write_file
from reconciler.store.reading import FOLDER_FLAGS, iterate_plain, read_plain, size_of
from reconciler.values.digest import Digest

_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.EFBIG})
"""What the system says where something stands that is not the plain file or the folder of a layout."""
_FORMS = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "not a folder",
    errno.ELOOP: "a link, and links are not followed",
    errno.EISDIR: "a folder instead of a file",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedLayout:
    """A layout that is there: its folder, and that of its blobs."""

    path: Path
    folder: int
    blobs: int

    def index(self) -> LayoutIndex:
        """Read which tags there are; anything broken is a CorruptError."""
        with _Believing(self.path, "oci-layout"):
            check_layout(read_plain("oci-layout", parent=self.folder, limit=MAX_MANIFEST))
        with _Believing(self.path, "index.json"):
            return parse_layout_index(read_plain("index.json", parent=self.folder, limit=MAX_INDEX))

    def manifest(self, digest: Digest) -> bytes | None:
        """Give a manifest's bytes, hashed, none where it is not there."""
        with _Believing(self.path, f"blobs/sha256/{digest.hex}", whole=False):
            try:
                data = read_plain(digest.hex, parent=self.blobs, limit=MAX_MANIFEST)
            except FileNotFoundError:
                return None
            if sha256(data).hexdigest() != digest.hex:
                raise ValueError("its content is not what its name says")
            return data

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; more or less than its size, or another hash, is a CorruptError."""
        left, hashed = descriptor.size, sha256()
        with _Believing(self.path, f"blobs/sha256/{descriptor.digest.hex}", whole=False):
            for chunk in iterate_plain(descriptor.digest.hex, parent=self.blobs):
                left -= len(chunk)
                if left < 0:
                    raise ValueError(f"longer than {descriptor.size} bytes")
                hashed.update(chunk)
                yield chunk
            if left or hashed.hexdigest() != descriptor.digest.hex:
                raise ValueError(f"its content is not the {descriptor.size} bytes that its name says")

    def size(self, digest: Digest) -> int | None:
        """Tell the size of a blob, none where it is not there."""
        try:
            return size_of(digest.hex, parent=self.blobs)
        except OSError as error:
            raise store_error(error, self.path / "blobs" / "sha256" / digest.hex, "read") from error


class open_layout:  # noqa: N801  # it is used as a function, and a generator costs more than the calls inside
    """Open the layout at ``path``; none where nothing at all is there, a CorruptError where it is no layout."""

    __slots__ = ("_opened", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[int] = []

    def __enter__(self) -> OpenedLayout | None:
        try:
            return self._open()
        except BaseException:
            self._close()
            raise

    def __exit__(self, *_: object) -> None:
        self._close()

    def _open(self) -> OpenedLayout | None:
        opened, path = self._opened, self._path
        with _Believing(path, ""):
            try:
                opened.append(os.open(path, FOLDER_FLAGS))
            except FileNotFoundError:
                if leads_nowhere(path.parent):
                    raise
                return None
        with _Believing(path, "blobs"):
            opened.append(os.open("blobs", FOLDER_FLAGS, dir_fd=opened[-1]))
        with _Believing(path, "blobs/sha256"):
            opened.append(os.open("sha256", FOLDER_FLAGS, dir_fd=opened[-1]))
        return OpenedLayout(path=path, folder=opened[0], blobs=opened[-1])

    def _close(self) -> None:
        for descriptor in self._opened:
            os.close(descriptor)
        self._opened.clear()


def has_plain_blob(path: Path, digest: Digest) -> bool:
    """Tell at once, without opening anything, that a blob stands in a layout with no link on the way to it.

    Only a yes is an answer; :func:`open_layout` tells what else there is.
    """
    layout = str(path)
    blobs = f"{layout}/blobs"
    folder = f"{blobs}/sha256"
    try:
        return stat.S_ISREG(os.lstat(f"{folder}/{digest.hex}").st_mode) and all(
            stat.S_ISDIR(os.lstat(place).st_mode) for place in (layout, blobs, folder)
        )
    except OSError:
        return False


def make_layout(path: Path) -> None:
    """Make an empty layout, there as a whole or not at all; for the holder of its lock alone. Else a StoreError."""
    unfinished = path.parent / f".new-{path.name}"
    remove(unfinished)
    make_folders(unfinished / "blobs" / "sha256")
    write_file(unfinished / "oci-layout", LAYOUT)
    write_file(unfinished / "index.json", empty_index().to_bytes())
    rename_folder(unfinished, path)


def leads_nowhere(path: Path) -> bool:
    """Tell whether a folder is not there because a link on the way to it leads nowhere, as to a disk that is not in."""
    while not os.path.lexists(path):
        path = path.parent
    return not path.exists()


def remove(path: Path) -> None:
    """Remove a folder, or whatever has its name, where there is something; links are not followed. Else a StoreError.

    A folder loses its name first, so that it is never there in part.
    """
    with disk_errors(path, "remove"), suppress(FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            return
        doomed = path.parent / f".old-{path.name.lstrip('.')}"
        if doomed.exists():
            shutil.rmtree(doomed)
        path.rename(doomed)
        shutil.rmtree(doomed)


class _Believing:
    """Turns what is wrong with a file's form (OSError, ValueError) into a CorruptError; other OSErrors: StoreError.

    ``whole`` says that with this file the whole layout can't be used. A class, since it stands around every read.
    """

    __slots__ = ("_layout", "_name", "_whole")

    def __init__(self, layout: Path, name: str, *, whole: bool = True) -> None:
        self._layout = layout
        self._name = name
        self._whole = whole

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, (OSError, ValueError)):
            return
        path = self._layout / self._name
        if isinstance(error, ValueError):
            reason = str(error)
        elif error.errno in _NO_FILE:
            reason = _FORMS.get(error.errno or 0, error.strerror or "")
        else:
            raise store_error(error, path, "read") from error
        raise CorruptError(f"{path}: {reason}", hint=_hint(self._layout if self._whole else None)) from error


def _hint(layout: Path | None) -> str:
    if layout is None:
        return "apply stores it again"
    return f"restore {layout} from a copy, or move it away and apply again; it is not taken for empty"
