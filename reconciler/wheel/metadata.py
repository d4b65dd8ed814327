"""What a wheel says of itself: WHEEL, METADATA, RECORD and entry points (PEP 376, 427, 566, entry points)."""

from __future__ import annotations

import configparser
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.errors import CorruptError
from reconciler.values.pep import normalise, parse_version

MAX_METADATA = 64 << 20
"""Bytes of one of these files; RECORD of a large wheel has a megabyte."""
_DIST_INFO = ".dist-info"
_FILE_PARTS = (5, 6)
_ROW = 3
_MAJOR = "1"
_ALGORITHMS = ("sha256", "sha384", "sha512")
_SCRIPT = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*")
_POINT = re.compile(r"\s*(?P<module>[\w.]+)\s*:\s*(?P<attribute>[\w.]+)\s*(?:\[[^\]]*\]\s*)?")


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Script:
    """A command that calls a function."""

    name: str
    module: str
    attribute: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """What was read. ``name`` is as METADATA spells it, ``stem`` the beginning of ``.dist-info``.

    ``record`` are RECORD's hashes by path, ``unrecorded`` the paths that have none by the specification.
    """

    name: str
    version: str
    stem: str
    record: Mapping[str, str]
    unrecorded: frozenset[str]
    scripts: tuple[Script, ...] = ()

    @property
    def dist_info(self) -> str:
        """The folder of metadata."""
        return f"{self.stem}{_DIST_INFO}"

    @property
    def data(self) -> str:
        """The folder of what goes elsewhere than to the modules."""
        return f"{self.stem}.data"


def read_metadata(file: str, entries: Mapping[str, object], read: Callable[[str], bytes]) -> Metadata:
    """Read and check; ``read`` gives an entry's bytes. What is wrong is a CorruptError that names the file."""
    stem = _stem(file, entries)
    folder = f"{stem}{_DIST_INFO}"

    def text(name: str) -> str:
        path = f"{folder}/{name}"
        if path not in entries:
            raise CorruptError(f"{file}: there is no {path}")
        if getattr(entries[path], "size", 0) > MAX_METADATA:
            raise CorruptError(f"{file}: {path} has more than {MAX_METADATA} bytes")
        try:
            return read(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CorruptError(f"{file}: {path} is not UTF-8") from error

    version = _headers(text("WHEEL")).get("wheel-version", "")
    if version.partition(".")[0] != _MAJOR:
        raise CorruptError(f"{file}: its form is {version!a}, and this version reads {_MAJOR}.x")
    about = _headers(text("METADATA"))
    _refuse_other(file, about.get("name", ""), about.get("version", ""), stem)
    points = text("entry_points.txt") if f"{folder}/entry_points.txt" in entries else ""
    return Metadata(
        name=about["name"],
        version=about["version"],
        stem=stem,
        record=dict(_record(file, text("RECORD"))),
        unrecorded=frozenset(f"{folder}/{name}" for name in ("RECORD", "RECORD.jws", "RECORD.p7s")),
        scripts=tuple(sorted(_scripts(file, points))),
    )


def _stem(file: str, entries: Mapping[str, object]) -> str:
    found = {name.partition("/")[0] for name in entries if name.partition("/")[0].endswith(_DIST_INFO)}
    if len(found) != 1:
        raise CorruptError(f"{file}: {len(found)} folders of metadata (.dist-info), and a wheel has one")
    return found.pop().removesuffix(_DIST_INFO)


def _headers(text: str) -> dict[str, str]:
    """Read the first of each header, as far as the empty line; what follows is prose."""
    found: dict[str, str] = {}
    for line in text.split("\n\n", 1)[0].replace("\r\n", "\n").split("\n"):
        name, separator, value = line.partition(":")
        if separator and not name.startswith((" ", "\t")):
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _refuse_other(file: str, name: str, version: str, stem: str) -> None:
    """Refuse metadata of another package than the file's name says."""
    parts = file.removesuffix(".whl").split("-")
    if not file.endswith(".whl") or len(parts) not in _FILE_PARTS:
        raise CorruptError(f"{file} is no name of a wheel")
    own = stem.rpartition("-")
    pairs = [(name, version), (own[0], own[2])]
    if not all(_same(found, parts[0], said, parts[1]) for found, said in pairs):
        raise CorruptError(f"{file}: its metadata are those of {name or 'nothing'} {version}".rstrip())


def _same(name: str, other: str, version: str, written: str) -> bool:
    try:
        return normalise(name) == normalise(other) and parse_version(version) == parse_version(
            written.replace("_", "+", 1)
        )
    except ValueError:  # no version
        return False


def _record(file: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise CorruptError(f"{file}: RECORD can't be read: {error}") from error
    for row in rows:
        if not row:
            continue
        if len(row) != _ROW:
            raise CorruptError(f"{file}: RECORD has a line of {len(row)} fields")
        if row[1] and row[1].partition("=")[0] not in _ALGORITHMS:
            raise CorruptError(f"{file}: RECORD has a hash for {row[0]} that is none of {', '.join(_ALGORITHMS)}")
        yield row[0], row[1].rstrip("=")


def _scripts(file: str, text: str) -> Iterator[Script]:
    parser = configparser.RawConfigParser(delimiters=("=",), strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names are as they are written
    try:
        parser.read_string(text)
        sections = [section for section in ("console_scripts", "gui_scripts") if parser.has_section(section)]
        points = [pair for section in sections for pair in parser.items(section)]
    except configparser.Error as error:
        raise CorruptError(f"{file}: its entry points can't be read") from error
    for name, value in dict(points).items():
        match = _POINT.fullmatch(value)
        if match is None or _SCRIPT.fullmatch(name) is None:
            raise CorruptError(f"{file}: its entry point {name!a} names no command or no function")
        yield Script(name=name, module=match["module"], attribute=match["attribute"])
