"""Where the files of Debian packages go in a root, and which stay out of it **[format]**.

The root is merged-/usr (Debian bug 978636): what packages have in ``/bin`` is in ``/usr/bin``, and ``/bin`` is a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from reconciler.oci.member import Kind, Member

_LIBRARIES = ("lib32", "lib64", "libo32", "libx32")
MERGED: Mapping[str, str] = MappingProxyType(
    {name: f"usr/{name}" for name in ("bin", "sbin", "lib", *_LIBRARIES)} | {"var/run": "run", "var/lock": "run/lock"}
)
"""Folders that are links in a root, and where they lead: those of merged-/usr, and those that ``base-files`` moves."""
EVERYWHERE = ("bin", "sbin", "lib", "var/run", "var/lock")
"""The links that every root has; others are where a package has something behind them."""
LOADERS = "lib64"
"""Where programs for amd64 name their loader, so that its roots have it too."""
_OWN_TARGETS: Mapping[str, str] = MappingProxyType({"var/run": "/run", "var/lock": "/run/lock"})
"""Links that are absolute, as ``base-files`` writes them; those of merged-/usr are relative, as ``usrmerge`` does."""
_LEFT_OUT = re.compile(r"usr/share/(?:bug|doc|doc-base|gtk-doc|info|linda|lintian|locale|man)(?:/.*)?")
_STAYS = re.compile(r"usr/share/doc/[^/]+(?:/copyright)?")
"""Licences ask that their text goes along; a folder that is a link leads to that of another package."""
_ASKED = re.compile(r"(?:doc|manpages|locales|language-pack)-.+|manpages|locales|.+-(?:doc|docs|l10n|locale|locales)")
"""Packages that are there for what else stays out: whoever names one has asked for it.

Those with a program's man pages are none of them: the program's own package brings them along (``git-man``).
"""


def link_to(path: str) -> str:
    """Say what stands in the link of a merged folder."""
    return _OWN_TARGETS.get(path, MERGED[path])


def place_of(path: str) -> str:
    """Say where a path of a package is in a root."""
    top, separator, rest = path.partition("/")
    if top == "var" and separator:
        second, separator, rest = rest.partition("/")
        top = f"var/{second}"
    return f"{MERGED[top]}{separator}{rest}" if top in MERGED else path


def is_asked_for(package: str) -> bool:
    """Tell whether a package is documentation or languages by its name, so that all of it stays."""
    return _ASKED.fullmatch(package) is not None


def stays(member: Member) -> bool:
    """Tell whether a member, in its place, is part of a root: documentation, man pages and languages are not."""
    if _LEFT_OUT.fullmatch(member.path) is None:
        return True
    if member.kind is Kind.FOLDER or _STAYS.fullmatch(member.path) is None:
        return False
    return member.path.endswith("/copyright") or member.kind is Kind.LINK


def placed(members: Iterable[Member]) -> Iterator[Member]:
    """Put members where they are in a root.

    Links that ``base-files`` has for the merged folders are not members, and neither is a link to the same file on the
    other side of the merge (``/bin/which`` to ``/usr/bin/which``).
    """
    for member in members:
        path = place_of(member.path)
        if member.kind is Kind.LINK and (member.path in MERGED or _leads_to_itself(member, path)):
            continue
        target = place_of(member.target) if member.kind is Kind.HARD else member.target
        if member.kind is Kind.HARD and target == path:
            continue
        yield replace(member, path=path, target=target)


def _leads_to_itself(member: Member, path: str) -> bool:
    parts = [] if member.target.startswith("/") else member.path.split("/")[:-1]
    for part in member.target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts = [*parts, part]
    return place_of("/".join(parts)) == path
