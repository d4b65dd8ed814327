"""Debian packages, opened as what they are: untrusted archives (deb(5), deb-control(5)).

A package is an ``ar`` archive of two ``tar`` archives: what dpkg has to know, and the files. What two readers could
take in two ways is refused, and so is whatever no package has: devices, whiteouts, one path twice, what leads out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from reconciler.debian.control import stanzas
from reconciler.errors import CorruptError
from reconciler.oci.inflate import gunzip, unxz
from reconciler.oci.member import WHITEOUT, Kind, Member
from reconciler.oci.untar import BLOCK, Streamed, read_entries
from reconciler.oci.zstd import unzstd

MAX_CONTROL = 64 << 20
"""Bytes of all that dpkg has to know of a package; lists of checksums of large packages are some of it."""
MAX_ENTRIES = 1_000_000
_CHUNK = 1 << 18
_MAGIC, _HEADER, _END = b"!<arch>\n", 60, b"`\n"
_FORMAT = re.compile(rb"2\.\d+\n")
_CONTROL, _DATA, _BINARY = "control.tar", "data.tar", "debian-binary"
_UNPACK: Mapping[str, Callable[[Iterable[bytes], str], Iterator[bytes]]] = {
    "": lambda chunks, _: iter(chunks),
    ".gz": gunzip,
    ".xz": unxz,
    ".zst": unzstd,
}
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,200}")  # Debian Policy, 5.6.1
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]{1,200}")
_ARCHITECTURE = re.compile(r"[a-z0-9-]{1,40}")
_FIELDS = {"Package": _NAME, "Version": _VERSION, "Architecture": _ARCHITECTURE}
_SCRIPT = re.compile(r"[a-z0-9][a-z0-9.+-]*")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_STANZA = "control"
_DATA_ALONE = frozenset({_STANZA, "md5sums", "shlibs", "symbols"})
"""What stands beside maintainer scripts and has nothing to do with what they do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a part of the package is in its file, in bytes, and how it is compressed (``.xz``)."""

    offset: int
    size: int
    ending: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Deb:
    """A package that is open. ``file`` is the name of its file.

    ``control`` are its fields by name in lower case, as :func:`stanzas` reads them, ``text`` the same as the package
    has it. ``scripts`` are the maintainer scripts by name, and what else goes with them (``conffiles``, ``triggers``,
    ``templates``); ``md5sums`` is the list of its files' checksums, empty where it has none.
    """

    file: str
    control: Mapping[str, str]
    text: str
    scripts: Mapping[str, str]
    md5sums: str
    stream: BinaryIO = field(repr=False)
    data: Place

    @property
    def name(self) -> str:
        """The package's name."""
        return self.control["package"]

    @property
    def version(self) -> str:
        """The package's version."""
        return self.control["version"]

    def members(self) -> Iterator[tuple[Member, Iterator[bytes]]]:
        """Give every file, folder and link as the package has it, with its bytes (:func:`oci.untar.read_tar`).

        What is damaged or hostile is a CorruptError that names the package's file.
        """
        try:
            yield from _checked(_entries(self.stream, self.data))
        except CorruptError as error:
            raise _named(self.file, error) from error


def open_deb(stream: BinaryIO, file: str) -> Deb:
    """Open a package by its bytes, which have to stay open while it is used, and the name of its file.

    Whatever is wrong with it is a CorruptError that names the file.
    """
    try:
        places = _places(stream)
        files = _control_files(stream, places[_CONTROL])
    except CorruptError as error:
        raise _named(file, error) from error
    text = _text(file, _STANZA, files.get(_STANZA, b""))
    return Deb(
        file=file,
        control=_fields(file, text),
        text=text,
        # A script may be a program (bash 5.1 has one), which nobody reads.
        scripts={
            name: data.decode("utf-8", "replace") for name, data in sorted(files.items()) if name not in _DATA_ALONE
        },
        md5sums=_text(file, "md5sums", files.get("md5sums", b"")),
        stream=stream,
        data=places[_DATA],
    )


def _named(file: str, error: CorruptError) -> CorruptError:
    return error if error.message.startswith(f"{file}: ") else CorruptError(f"{file}: {error.message}", hint=error.hint)


def _text(file: str, name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CorruptError(f"{file}: {name} is not UTF-8") from error


def _fields(file: str, text: str) -> Mapping[str, str]:
    try:
        (found,) = stanzas(text.splitlines())
    except ValueError as error:
        raise CorruptError(f"{file}: its control file can't be read as one stanza") from error
    for name, form in _FIELDS.items():
        if form.fullmatch(found.get(name.lower(), "")) is None:
            raise CorruptError(f"{file}: its control file names no {name} that can be read")
    return found


# -- the outer archive ------------------------------------------------------------------------------------------


def _places(stream: BinaryIO) -> Mapping[str, Place]:
    """Find the two archives: ``debian-binary`` stands first, then control, then data; the rest is passed over."""
    found: dict[str, Place] = {}
    for number, (name, place) in enumerate(_outer(stream)):
        stem, dot, rest = name.partition(".tar")
        part = f"{stem}{dot}"
        if number == 0:
            stream.seek(place.offset)
            if name != _BINARY or _FORMAT.fullmatch(stream.read(min(place.size, 16))) is None:
                raise CorruptError("it is no package of format 2")
        elif part in found or (part == _DATA and _CONTROL not in found):
            raise CorruptError(f"its {name} is not where it has to be")
        elif part in (_CONTROL, _DATA):
            if rest not in _UNPACK:
                raise CorruptError(f"its {name[:40]!a} is compressed in a way that is not read")
            found[part] = Place(offset=place.offset, size=place.size, ending=rest)
        elif not name.startswith("_") and _DATA not in found:
            raise CorruptError(f"it holds {name[:40]!a}, which has no meaning")
    if len(found) != len((_CONTROL, _DATA)):
        raise CorruptError("it holds no files")
    return found


def _outer(stream: BinaryIO) -> Iterator[tuple[str, Place]]:
    end = stream.seek(0, 2)
    stream.seek(0)
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise CorruptError("it is no Debian package")
    offset = len(_MAGIC)
    while offset < end:
        stream.seek(offset)
        header = stream.read(_HEADER)
        digits = header[48:58].rstrip(b" ")
        if len(header) != _HEADER or header[58:] != _END or not digits.isdigit():
            raise CorruptError("it is no ar archive that can be read")
        place = Place(offset=offset + _HEADER, size=int(digits), ending="")
        if place.offset + place.size > end:
            raise CorruptError("it ends early")
        yield header[:16].rstrip(b" ").removesuffix(b"/").decode("ascii", "backslashreplace"), place
        offset = place.offset + place.size + place.size % 2


# -- the inner ones ---------------------------------------------------------------------------------------------


def _entries(stream: BinaryIO, place: Place) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Give the entries of an inner archive; it is read to its end, where what was cut short shows."""
    reader = Streamed(_UNPACK[place.ending](_chunks(stream, place), "what it holds"))
    yield from read_entries(reader, limit=MAX_ENTRIES, devices=False)
    while rest := reader.take(BLOCK):
        if rest.strip(b"\0"):
            raise CorruptError("something stands behind the end of what it holds")


def _chunks(stream: BinaryIO, place: Place) -> Iterator[bytes]:
    offset, left = place.offset, place.size
    while left:
        stream.seek(offset)
        chunk = stream.read(min(_CHUNK, left))
        if not chunk:
            raise CorruptError("it ends early")
        offset, left = offset + len(chunk), left - len(chunk)
        yield chunk


def _control_files(stream: BinaryIO, place: Place) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    left = MAX_CONTROL
    for member, body in _checked(_entries(stream, place)):
        left -= member.size
        if member.kind is not Kind.FILE or _SCRIPT.fullmatch(member.path) is None:
            raise CorruptError(f"{member.path[:60]!a} stands among what dpkg has to know")
        if left < 0:
            raise CorruptError(f"what dpkg has to know of it is more than {MAX_CONTROL} bytes")
        found[member.path] = b"".join(body)
    return found


def _checked(entries: Iterable[tuple[Member, Iterator[bytes]]]) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Refuse what no package has; a hard link leads to a file that stands before it."""
    seen: dict[str, Kind] = {}
    for member, body in entries:
        _refuse(member, seen)
        seen[member.path] = member.kind
        yield member, body


def _refuse(member: Member, seen: Mapping[str, Kind]) -> None:
    parts = member.path.split("/")
    if _CONTROL_CHARACTER.search(member.path) or not _is_text(member.path) or not _is_text(member.target):
        raise CorruptError(f"{member.path[:120]!a} is no name for a file")
    if member.path in seen and not (member.kind is seen[member.path] is Kind.FOLDER):
        raise CorruptError(f"/{member.path} is there twice")
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if any(seen.get(folder, Kind.FOLDER) is not Kind.FOLDER for folder in above):
        raise CorruptError(f"/{member.path} is below what is no folder")
    if any(part.startswith(WHITEOUT) for part in parts):
        raise CorruptError(f"/{member.path} would delete what is below it")
    if member.kind is Kind.HARD and seen.get(member.target) not in (Kind.FILE, Kind.HARD):
        raise CorruptError(f"/{member.path} is a second name of what is no file of it")
    if member.kind is Kind.LINK and (not member.target or "\0" in member.target):
        raise CorruptError(f"/{member.path} is a link to nowhere")


def _is_text(name: str) -> bool:
    """Tell whether a name is UTF-8."""
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)
