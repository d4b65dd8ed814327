"""One OCI image layout on disk, opened for reading, and made anew (image-spec 1.1, image-layout.md).

Its folders are held open and nothing in it is reached through a link, so that no blob comes from elsewhere.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Descriptor
from reconciler.oci.document import MAX_MANIFEST
from reconciler.registries.index import LAYOUT, MAX_INDEX, LayoutIndex, check_layout, empty_index, parse_layout_index
from reconciler.store.durable import disk_errors, make_folders, rename_folder, write_file
from reconciler.store.reading import iterate_plain, open_folder, read_plain, size_of
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
        with _believing(self.path / "oci-layout", self.path):
            check_layout(read_plain("oci-layout", parent=self.folder, limit=MAX_MANIFEST))
        with _believing(self.path / "index.json", self.path):
            return parse_layout_index(read_plain("index.json", parent=self.folder, limit=MAX_INDEX))

    def manifest(self, digest: Digest) -> bytes | None:
        """Give a manifest's bytes, hashed, none where it is not there."""
        path = self.path / "blobs" / "sha256" / digest.hex
        with _believing(path, None):
            try:
                data = read_plain(digest.hex, parent=self.blobs, limit=MAX_MANIFEST)
            except FileNotFoundError:
                return None
            if sha256(data).hexdigest() != digest.hex:
                raise ValueError("its content is not what its name says")
            return data

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; more or less than its size, or another hash, is a CorruptError."""
        path = self.path / "blobs" / "sha256" / descriptor.digest.hex
        left, hashed = descriptor.size, sha256()
        with _believing(path, None):
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
        with disk_errors(self.path / "blobs" / "sha256" / digest.hex, "read"):
            return size_of(digest.hex, parent=self.blobs)


@contextmanager
def open_layout(path: Path) -> Iterator[OpenedLayout | None]:
    """Open the layout at ``path``; none where nothing at all is there, a CorruptError where it is no layout."""
    with ExitStack() as opened:
        with _believing(path, path):
            try:
                folder = opened.enter_context(open_folder(str(path)))
            except FileNotFoundError:
                if path.parent.is_symlink() and not path.parent.exists():
                    raise
                folder = None
        if folder is None:
            yield None
            return
        with _believing(path / "blobs", path):
            above = opened.enter_context(open_folder("blobs", parent=folder))
        with _believing(path / "blobs" / "sha256", path):
            blobs = opened.enter_context(open_folder("sha256", parent=above))
        yield OpenedLayout(path=path, folder=folder, blobs=blobs)


def make_layout(path: Path) -> None:
    """Make an empty layout, there as a whole or not at all; for the holder of its lock alone. Else a StoreError."""
    unfinished = path.parent / f".new-{path.name}"
    with disk_errors(unfinished, "remove"), suppress(FileNotFoundError):
        shutil.rmtree(unfinished)
    make_folders(unfinished / "blobs" / "sha256")
    write_file(unfinished / "oci-layout", LAYOUT)
    write_file(unfinished / "index.json", empty_index().to_bytes())
    rename_folder(unfinished, path)


@contextmanager
def _believing(path: Path, layout: Path | None) -> Iterator[None]:
    """Turn what is wrong with a file's form (OSError, ValueError) into a CorruptError; other OSErrors: StoreError.

    ``layout`` is given where the whole layout can't be used.
    """
    with disk_errors(path, "read"):
        try:
            yield
        except ValueError as error:
            raise CorruptError(f"{path}: {error}", hint=_hint(layout)) from error
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise CorruptError(f"{path}: {_FORMS.get(error.errno or 0, error.strerror)}", hint=_hint(layout)) from error


def _hint(layout: Path | None) -> str:
    if layout is None:
        return "apply stores it again"
    return f"restore {layout} from a copy, or move it away and apply again; it is not taken for empty"
