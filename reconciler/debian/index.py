"""A Packages index in a form that is read without parsing it again: the stanzas, and where each one begins.

::

    reconciler-index 1 HEX        HEX is the sha256 of all that follows
    {"names": {...}, "provided": {...}, "essential": [...]}
    Package: ...                  stanzas with the fields that are needed

``names`` and ``provided`` lead from a name to offsets of stanzas in the last part.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.debian.candidate import Candidate, parse_candidate
from reconciler.debian.control import stanzas
from reconciler.errors import CorruptError

_MAGIC = b"reconciler-index 1 "
_KEPT = (
    *("Package", "Source", "Version", "Architecture", "Essential", "Priority", "Section", "Multi-Arch"),
    *("Installed-Size", "Depends", "Pre-Depends", "Recommends", "Provides", "Conflicts", "Breaks", "Replaces"),
    *("Filename", "Size", "SHA256"),
)
_WANTED = frozenset(name.encode("ascii") for name in _KEPT)
_FIELD = re.compile(rb"([a-z0-9][a-z0-9+.-]*)[^,]*")


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """An index that was parsed; candidates are made when they are asked for."""

    data: bytes
    start: int
    names: Mapping[str, Sequence[int]]
    provided: Mapping[str, Sequence[int]]
    essential_at: Sequence[int]

    def named(self, name: str, archive: str) -> Iterator[Candidate]:
        """Give every version of a package."""
        return (self._at(offset, archive) for offset in self.names.get(name, ()))

    def providing(self, name: str, archive: str) -> Iterator[Candidate]:
        """Give the packages that provide a name, whatever their own is."""
        return (self._at(offset, archive) for offset in self.provided.get(name, ()))

    def essential(self, archive: str) -> Iterator[Candidate]:
        """Give the packages that are essential."""
        return (self._at(offset, archive) for offset in self.essential_at)

    def _at(self, offset: int, archive: str) -> Candidate:
        begin = self.start + offset
        end = self.data.find(b"\n\n", begin)
        try:
            text = self.data[begin:end].decode("utf-8")
            return parse_candidate(next(stanzas(text.splitlines())), archive)
        except (ValueError, StopIteration) as error:
            raise CorruptError(f"the index of {archive} can't be used: {error}") from error


def pack_index(lines: Iterable[bytes]) -> bytes:
    """Parse a Packages index and give the form in which it is kept; what is no index is a CorruptError."""
    names: dict[str, list[int]] = {}
    provided: dict[str, list[int]] = {}
    essential: list[int] = []
    out, stanza, offset = [], dict[bytes, bytes](), 0
    for stanza in _slim(lines):
        name = stanza.get(b"Package", b"").decode("ascii", "replace")
        names.setdefault(name, []).append(offset)
        for one in dict.fromkeys(_provides(stanza)):
            provided.setdefault(one, []).append(offset)
        if stanza.get(b"Essential") == b"yes":
            essential.append(offset)
        text = b"\n".join(b"%s: %s" % item for item in stanza.items()) + b"\n\n"
        out.append(text)
        offset += len(text)
    table = json.dumps({"names": names, "provided": provided, "essential": essential}, separators=(",", ":"))
    body = b"".join((table.encode("ascii"), b"\n", *out))
    return b"%s%s\n%s" % (_MAGIC, hashlib.sha256(body).hexdigest().encode("ascii"), body)


def read_index(data: bytes) -> PackageIndex | None:
    """Read what :func:`pack_index` gave; none where it is damaged, or of another version."""
    head, _, body = data.partition(b"\n")
    if head != b"%s%s" % (_MAGIC, hashlib.sha256(body).hexdigest().encode("ascii")):
        return None
    end = body.index(b"\n")
    table = json.loads(body[:end])
    return PackageIndex(body, end + 1, table["names"], table["provided"], table["essential"])


def _slim(lines: Iterable[bytes]) -> Iterator[dict[bytes, bytes]]:
    """Give the fields of each stanza that are kept; what goes on over lines is joined."""
    fields: dict[bytes, bytes] = {}
    name: bytes | None = None
    for raw in lines:
        line = raw.rstrip()
        if not line:
            if fields:
                yield fields
            fields, name = {}, None
        elif line[0] in b" \t":
            if name is not None:
                fields[name] += b" " + line.strip()
        else:
            head, separator, value = line.partition(b":")
            if not separator:
                raise CorruptError(f"it is no Packages index: {line[:60]!a}")
            name = head if head in _WANTED else None
            if name is not None:
                fields[name] = value.strip()
    if fields:
        yield fields


def _provides(stanza: Mapping[bytes, bytes]) -> Iterator[str]:
    for match in _FIELD.finditer(stanza.get(b"Provides", b"")):
        yield match.group(1).decode("ascii")
