"""What a layer of packages claims of an environment, short enough to stand beside its key **[format]**.

Two layers whose claims do not meet have no path in common, so that nobody has to know what is in them. Where they meet
somebody has to look. A folder with few entries is claimed by its entries, one with more as a whole, but for one that
packages share as a namespace, so that these do not meet.

A claim is a letter and six characters of base 64, 36 bits of the sha256 of a path: ``d`` a whole folder, ``x`` a folder
that is claimed by its entries, ``f`` a file, with four characters more, 24 bits of what its digest says. Claims are
sorted and joined without anything between them.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from reconciler.oci.member import Member

FEW = 8
"""Entries that a folder may have to be claimed by them."""
FEW_SHARED = 64
"""The same for a folder that is no module of its own: packages share such a one (PEP 420)."""
DEPTH = 6
"""Folders below the environment, or below its modules, that are looked into."""
_LETTERS, _PATH, _CONTENT = "dfx", 6, 4
_MODULES = "/site-packages"
_SHARED = ("bin", "etc", "include", "lib", "share")


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """Claims that were read: folders as a whole, folders by their entries, and files with their content."""

    whole: frozenset[str]
    opened: frozenset[str]
    files: frozenset[tuple[str, str]]

    def meet(self, other: Claims) -> bool:
        """Tell whether the two may have one path with two contents."""
        own, others = {path for path, _ in self.files}, {path for path, _ in other.files}
        if self.whole & (other.whole | other.opened | others) or other.whole & (self.opened | own):
            return True
        if own & other.opened or others & self.opened:
            return True
        return any(path in others for path, _ in self.files - other.files)


def parse_claims(text: str) -> Claims:
    """Read what :func:`claims_of` wrote; anything else is a ValueError."""
    whole: set[str] = set()
    opened: set[str] = set()
    files: set[tuple[str, str]] = set()
    place = 0
    while place < len(text):
        letter, path = text[place], text[place + 1 : place + 1 + _PATH]
        place += 1 + _PATH
        if letter not in _LETTERS or len(path) != _PATH or place + (letter == "f") * _CONTENT > len(text):
            raise ValueError("these are no claims")
        if letter == "f":
            content = text[place : place + _CONTENT]
            place += _CONTENT
            files.add((path, content))
        else:
            (whole if letter == "d" else opened).add(path)
    return Claims(whole=frozenset(whole), opened=frozenset(opened), files=frozenset(files))


@dataclass(eq=False, slots=True)
class _Folder:
    folders: dict[str, _Folder] = field(default_factory=dict)
    files: dict[str, Member] = field(default_factory=dict)


def claims_of(members: Iterable[Member], prefix: str) -> str:
    """Write the claims of the files of a layer, all of which stand below ``prefix``."""
    root = _Folder()
    for member in members:
        *above, name = member.path.removeprefix(f"{prefix}/").split("/")
        folder = root
        for part in above:
            folder = folder.folders.setdefault(part, _Folder())
        folder.files[name] = member
    return "".join(sorted(set(_claims(root, "", 0))))


def _claims(folder: _Folder, path: str, depth: int) -> Iterator[str]:
    shared = _is_shared(path)
    few = FEW_SHARED if folder.folders and "__init__.py" not in folder.files else FEW
    if not shared and (len(folder.folders) + len(folder.files) > few or depth > DEPTH):
        yield f"d{_hash(path, _PATH)}"
        return
    if path:
        yield f"x{_hash(path, _PATH)}"
    for name, member in folder.files.items():
        yield f"f{_hash(_join(path, name), _PATH)}{_hash(_content(member), _CONTENT)}"
    for name, child in folder.folders.items():
        yield from _claims(child, _join(path, name), 0 if shared else depth + 1)


def _is_shared(path: str) -> bool:
    """Tell whether a folder is everybody's: the environment, and those that every environment has."""
    return path in ("", *_SHARED) or path.endswith(_MODULES) or (path.startswith("lib/") and path.count("/") == 1)


def _content(member: Member) -> str:
    digest = member.digest or f"sha256={_whole(member)}"
    return f"{member.kind.value} {member.mode:o} {member.size} {digest}"


def _whole(member: Member) -> str:
    hashed = sha256()
    for chunk in member.read() if member.read is not None else ():
        hashed.update(chunk)
    return urlsafe_b64encode(hashed.digest()).decode().rstrip("=")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _hash(text: str, characters: int) -> str:
    return urlsafe_b64encode(sha256(text.encode("utf-8", "surrogateescape")).digest()).decode()[:characters]
