"""Debian packages made for tests (deb(5)), right or wrong in one thing."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Iterable, Mapping

import zstandard

COMPRESS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, 1, mtime=0),
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": lambda data: zstandard.ZstdCompressor(level=1).compress(data),
}


def info(name: str, kind: bytes = tarfile.REGTYPE, mode: int | None = None, **fields: object) -> tarfile.TarInfo:
    """Give a header of a member; ``./`` stands before names, as dpkg writes them."""
    member = tarfile.TarInfo(name if name.startswith(("/", "..", "./")) else f"./{name}")
    member.type = kind
    member.mode = mode if mode is not None else 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def tarred(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Write an archive as dpkg does; folders that lack are not added."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, data in members:
            member.size = member.size or len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def ar(*members: tuple[str, bytes]) -> bytes:
    """Write an outer archive."""
    written = [b"!<arch>\n"]
    for name, data in members:
        written += [
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode(),
            data,
            b"\n" * (len(data) % 2),
        ]
    return b"".join(written)


def control_of(name: str, version: str = "1.0-1", architecture: str = "amd64", **fields: str) -> bytes:
    """Write a control file."""
    found = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        **fields,
        "Description": "made\n for tests",
    }
    return "".join(f"{field}: {value}\n" for field, value in found.items()).encode()


def make_deb(  # noqa: PLR0913  # each is what one test has otherwise
    name: str,
    files: Mapping[str, bytes | tuple[tarfile.TarInfo, bytes]] = {},
    *,
    version: str = "1.0-1",
    architecture: str = "amd64",
    scripts: Mapping[str, bytes] = {},
    ending: str = ".xz",
    fields: Mapping[str, str] = {},
) -> bytes:
    """Make a package of files (path to bytes, or to a whole member), with fields of its control file."""
    dpkg = {"control": control_of(name, version, architecture, **fields), **scripts}
    compress = COMPRESS[ending]
    data = [file if isinstance(file, tuple) else (info(path), file) for path, file in files.items()]
    return ar(
        ("debian-binary", b"2.0\n"),
        (f"control.tar{ending}", compress(tarred([(info(path), text) for path, text in dpkg.items()]))),
        (f"data.tar{ending}", compress(tarred([(info("./", tarfile.DIRTYPE), b""), *data]))),
    )
