"""The forms that images are exported in, by name. A form is a function and one line here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from reconciler.errors import StoreError, UsageError
from reconciler.oci.descriptor import Image
from reconciler.oci.member import Kind, Member
from reconciler.oci.packed import layout_members, to_docker_archive, to_oci_archive
from reconciler.oci.tar import with_folders
from reconciler.store.durable import TEMPORARY, create_file, disk_errors, rename_folder
from reconciler.values.platform import Platform

_MARK = "oci-layout"


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """What is exported: images by platform, the name and version that they are known by, and the path to write."""

    images: Mapping[Platform, Image]
    name: str
    version: int
    output: Path

    @property
    def tag(self) -> str:
        """The tag of an image in a layout, and behind the name in Docker's words."""
        return f"v{self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A form: whether it holds several platforms, the one archive that it is (none for a folder), and its writer."""

    has_platforms: bool
    write: Callable[[Export], None]
    archive: Callable[[Export], Iterator[bytes]] | None = None


def _oci(export: Export) -> Iterator[bytes]:
    return to_oci_archive(export.images, export.tag)


def _docker(export: Export) -> Iterator[bytes]:
    (image,) = export.images.values()
    return to_docker_archive(image, [f"{export.name}:{export.tag}"])


def _file(export: Export, chunks: Iterator[bytes]) -> None:
    if export.output.is_dir():
        raise UsageError(f"{export.output} is a folder", hint="name a file, or take `--to dir`")
    if not export.output.parent.is_dir():
        raise StoreError(f"no folder {export.output.parent}", hint="make it, or write to another one")
    create_file(export.output, chunks, keep=lambda: False)


def _folder(export: Export) -> None:
    """Write a layout beside its place, then put it there; only an empty folder or a layout gives way."""
    place = export.output
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place} is a file", hint="name a folder, or take `--to oci-archive`")
    if place.is_dir() and any(place.iterdir()) and not (place / _MARK).is_file():
        raise UsageError(f"{place} is there already and is no image layout", hint="name a new folder")
    if not place.parent.is_dir():
        raise StoreError(f"no folder {place.parent}", hint="make it, or write to another one")
    with disk_errors(place, "write"):
        new = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=place.parent))
    try:
        _fill(new, layout_members(export.images, export.tag))
        with disk_errors(place, "write"):
            new.chmod(0o777 & ~_umask())
            if place.is_dir():
                place.rename(old := new.with_name(f"{new.name}.old"))
                rename_folder(new, place)
                shutil.rmtree(old)
            else:
                rename_folder(new, place)
    finally:
        with suppress(OSError):
            shutil.rmtree(new, ignore_errors=True)


def _fill(folder: Path, members: Iterator[Member]) -> None:
    for member in with_folders(members):
        path = folder / member.path
        if member.kind is Kind.FOLDER:
            with disk_errors(path, "make the folder"):
                path.mkdir()
        elif member.read is not None:
            create_file(path, member.read())


def _umask() -> int:
    before = os.umask(0)
    os.umask(before)
    return before


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "oci-archive": Format(has_platforms=True, write=lambda export: _file(export, _oci(export)), archive=_oci),
        "docker-archive": Format(
            has_platforms=False, write=lambda export: _file(export, _docker(export)), archive=_docker
        ),
        "dir": Format(has_platforms=True, write=_folder),
    }
)
"""Name to form. ``docker``, an engine, is no form: :func:`reconciler.runners.container.provide`."""
