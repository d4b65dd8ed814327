"""Archives made for tests, of any form that tools write: of an OCI layout, and of ``docker save``."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Content
from reconciler.oci.manifest import parse_image
from reconciler.values.digest import Digest


def member(name: str, data: bytes = b"", *, target: str = "", kind: bytes = b"") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.linkname = len(data), target
    info.type = kind or (tarfile.SYMTYPE if target else tarfile.REGTYPE)
    return info, data


def tarred(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def layout_files(layout: Path) -> dict[str, bytes]:
    """Give the files of a layout by their names in an archive of it."""
    return {
        path.relative_to(layout).as_posix(): path.read_bytes()
        for path in sorted(layout.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def oci_archive(files: Mapping[str, bytes]) -> bytes:
    return tarred(member(name, data) for name, data in files.items())


def saved_files(
    layout: Path, digest: Digest, *tags: str, old: bool = False, packed: bool = False
) -> dict[str, bytes | str]:
    """Give what ``docker save`` would write of an image: names to bytes, or to where a link leads.

    ``old`` is as engines before 25 write it: a folder a layer, the second of equal layers a link to the first.
    ``packed`` leaves layers compressed, as nobody but the specification does.
    """
    blobs = layout / "blobs/sha256"
    manifest = parse_image(
        Content(media_type="application/vnd.oci.image.manifest.v1+json", data=(blobs / digest.hex).read_bytes())
    )
    config = (blobs / manifest.config.digest.hex).read_bytes()
    files: dict[str, bytes | str] = {f"{manifest.config.digest.hex}.json": config}
    names: list[str] = []
    first: dict[bytes, str] = {}
    for place, layer in enumerate(manifest.layers):
        data = (blobs / layer.digest.hex).read_bytes()
        data = data if packed else gzip.decompress(data)
        name = f"{place:064x}/layer.tar" if old else f"{sha256(data).hexdigest()}.tar"
        if data in first:
            files.setdefault(name, f"../{first[data]}")
        else:
            files[name] = data
            first[data] = name
        names.append(name)
    listed = [{"Config": f"{manifest.config.digest.hex}.json", "RepoTags": list(tags) or None, "Layers": names}]
    return {**files, "manifest.json": json.dumps(listed).encode()}


def docker_archive(files: Mapping[str, bytes | str]) -> bytes:
    return tarred(
        member(name, target=found) if isinstance(found, str) else member(name, found) for name, found in files.items()
    )


def environment_of(config: Content) -> Mapping[str, str]:
    return parse_config(config).environment
