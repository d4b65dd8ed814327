"""``/etc/ld.so.cache``: where the loader finds libraries, computed as ldconfig does and without running it.

The form is glibc's own (``glibc-ld.so.cache1.1``), which its loaders read since 2.2: a header, entries in falling order
of their names, and the texts that these point to. Entries are those of ``ldconfig -X``: a library in a folder of
``ld.so.conf``, or in one that Debian's loader knows by itself, under the name that it gives itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cmp_to_key
from typing import Final

from reconciler.oci.elf import Elf
from reconciler.oci.member import Member, file_of
from reconciler.oci.rootfs import Rootfs

CACHE = "etc/ld.so.cache"
CONFIGURATION = "etc/ld.so.conf"
TRIPLETS: Final = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_FLAGS: Final = {"amd64": 0x0303, "arm64": 0x0A03}
"""A library of the sixth C library, for 64 bits of that machine."""
_MAX_CONFIGURATION = 64 << 10
_MAX_INCLUDED = 8
_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_HEADER = struct.Struct("<20sIIB3xIIII")
_ENTRY = struct.Struct("<iIIIQ")
_HWCAPS = "glibc-hwcaps"
_HWCAP_EXTENSION = 1 << 62
_EXTENSION_MAGIC, _HWCAPS_TAG = 0xEAA42174, 1
_EXTENSION = struct.Struct("<IIIIII")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A library: the name that it is asked for by, where it is, and the hardware that it is for, empty for any."""

    soname: str
    path: str
    hardware: str = ""


def wanted(path: str, size: int) -> int:
    """Say how many bytes of a file the cache needs: those of the loader's configuration."""
    within = path == CONFIGURATION or (path.startswith(f"{CONFIGURATION}.d/") and path.endswith(".conf"))
    return min(size, _MAX_CONFIGURATION) if within else 0


def ldcache(root: Rootfs, architecture: str) -> Member:
    """Write the cache for a root that has the bytes which are :func:`wanted`. ``architecture`` is Debian's."""
    entries = [
        entry for folder in library_folders(root, architecture) for entry in _entries(root, folder, architecture)
    ]
    entries.sort(key=cmp_to_key(_compare))
    return file_of(CACHE, _written(entries, _FLAGS[architecture]))


def library_folders(root: Rootfs, architecture: str) -> tuple[str, ...]:
    """List the folders that the loader looks in, as written, each once wherever links lead."""
    triplet = TRIPLETS[architecture]
    named = [*_configured(root, CONFIGURATION, 0), f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib"]
    found: dict[str, str] = {}
    for folder in named:
        real = root.resolve(folder)
        if real is not None:
            found.setdefault(real, folder)
    return tuple(found.values())


# -- which libraries --------------------------------------------------------------------------------------------


def _configured(root: Rootfs, path: str, depth: int) -> Iterator[str]:
    node = root.lookup(path)
    for line in node.data.decode("utf-8", "replace").splitlines() if node is not None else ():
        words = line.partition("#")[0].split()
        if words[:1] == ["include"] and depth < _MAX_INCLUDED:
            for pattern in words[1:]:
                for included in _matching(root, pattern):
                    yield from _configured(root, included, depth + 1)
        elif words and words[0].startswith("/"):
            # "=libc6" behind a folder is from when there were several C libraries.
            yield words[0].partition("=")[0].rstrip("/") or "/"


def _matching(root: Rootfs, pattern: str) -> list[str]:
    folder, _, names = (pattern if pattern.startswith("/") else f"/etc/{pattern}").rpartition("/")
    return [f"{folder}/{name}" for name in root.children(folder) if fnmatchcase(name, names)]


def _entries(root: Rootfs, folder: str, architecture: str) -> Iterator[Entry]:
    for soname, name in _libraries(root, folder, architecture).items():
        # ldconfig makes the link that has the name; where no package brought it, the file itself serves as well.
        there = root.lookup(f"{folder}/{soname}")
        yield Entry(soname=soname, path=f"{folder}/{soname if there is not None and there.elf else name}")
    hardware = f"{folder}/{_HWCAPS}"
    for kind in root.children(hardware):
        for soname, name in _libraries(root, f"{hardware}/{kind}", architecture).items():
            yield Entry(soname=soname, path=f"{hardware}/{kind}/{name}", hardware=kind)


def _libraries(root: Rootfs, folder: str, architecture: str) -> Mapping[str, str]:
    """Give the file of each name in a folder: a file rather than a link, then the one of the highest version."""
    best: dict[str, tuple[bool, str]] = {}
    for name in root.children(folder):
        elf = _library(root, f"{folder}/{name}", architecture) if _is_library(name) else None
        if elf is None:
            continue
        soname = elf.soname or name
        plain = _is_plain_link(root, folder, name, soname)
        if plain and name != soname:  # since glibc 2.37 what linkers look for can be asked for as well
            best.setdefault(name, (False, name))
        own, there = (not plain, name), best.get(soname)
        if there is None or own[0] > there[0] or (own[0] == there[0] and compare_names(there[1], name) < 0):
            best[soname] = own
    return {soname: name for soname, (_, name) in best.items()}


def _is_library(name: str) -> bool:
    return name.startswith(("lib", "ld-", "ld.")) and ".so" in name and not name.endswith(".py")


def _library(root: Rootfs, path: str, architecture: str) -> Elf | None:
    node = root.lookup(path)
    elf = node.elf if node is not None else None
    return elf if elf is not None and elf.shared and elf.machine == architecture else None


def _is_plain_link(root: Rootfs, folder: str, name: str, soname: str) -> bool:
    """Tell whether it is the link of a library's own name, or the one that linkers look for."""
    real = root.resolve(folder)
    if root.resolve(f"{folder}/{name}") == f"{real}/{name}":
        return False
    return name == soname or (name.endswith(".so") and soname.startswith(name))


# -- how they are written ---------------------------------------------------------------------------------------


def compare_names(one: str, other: str) -> int:
    """Compare names of libraries, numbers in them by their value, as the loader's search does."""
    left, right = 0, 0
    while left < len(one):
        digit, digits = one[left].isdigit(), right < len(other) and other[right].isdigit()
        if digit and digits:
            first, second = _number(one, left), _number(other, right)
            if int(first) != int(second):
                return int(first) - int(second)
            left, right = left + len(first), right + len(second)
        elif digit or digits:
            return 1 if digit else -1
        elif right == len(other) or one[left] != other[right]:
            return ord(one[left]) - (ord(other[right]) if right < len(other) else 0)
        else:
            left, right = left + 1, right + 1
    return -(right < len(other))


def _number(text: str, start: int) -> str:
    end = start
    while end < len(text) and text[end].isdigit():
        end += 1
    return text[start:end]


def _compare(one: Entry, other: Entry) -> int:
    """Order entries: names fall, and of one name those for some hardware come first; others stay as they were."""
    order = compare_names(other.soname, one.soname)
    if order == 0 and one.hardware != other.hardware:
        return -1 if (not one.hardware, one.hardware) < (not other.hardware, other.hardware) else 1
    return order


def _written(entries: list[Entry], flags: int) -> bytes:
    kinds = sorted({entry.hardware for entry in entries if entry.hardware})
    start = _HEADER.size + _ENTRY.size * len(entries)
    texts, places = _texts({text for entry in entries for text in (entry.soname, entry.path)} | {*kinds}, start)
    extension = -(-(start + len(texts)) // 4) * 4
    table = b"".join(
        _ENTRY.pack(flags, places[entry.soname], places[entry.path], 0, _hwcap(entry, kinds)) for entry in entries
    )
    header = _HEADER.pack(_MAGIC, len(entries), len(texts), _LITTLE_ENDIAN, extension if kinds else 0, 0, 0, 0)
    more = _extension(extension, [places[kind] for kind in kinds]) if kinds else b""
    return (header + table + texts).ljust(extension if kinds else 0, b"\0") + more


def _hwcap(entry: Entry, kinds: list[str]) -> int:
    return _HWCAP_EXTENSION | kinds.index(entry.hardware) if entry.hardware else 0


def _extension(start: int, places: list[int]) -> bytes:
    size = 4 * len(places)
    return _EXTENSION.pack(_EXTENSION_MAGIC, 1, _HWCAPS_TAG, 0, start + _EXTENSION.size, size) + struct.pack(
        f"<{len(places)}I", *places
    )


def _texts(texts: Iterable[str], start: int) -> tuple[bytes, dict[str, int]]:
    """Join texts, one that another ends with in its end, and say where each begins."""
    joined, places, last, begins = bytearray(), {}, b"", start
    for reversed_text in sorted((text.encode()[::-1] for text in texts), reverse=True):
        text = reversed_text[::-1]
        if not last.endswith(text):
            last, begins = text, start + len(joined)
            joined += text + b"\0"
        places[text.decode()] = begins + len(last) - len(text)
    return bytes(joined), places
