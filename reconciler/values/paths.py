"""Paths of files in the repository, checked as text before any file is opened.

A path is relative to the repository, with ``/``, and lies inside. No link is followed anywhere in the repository, so
that a path that stays inside as text stays inside on disk. What a repository keeps for itself (``.git``) is never
reached, nor spelled so that a file system takes it for that (git's own checks of HFS+ and NTFS names).
"""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 1024
MAX_COMPONENT = 255
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}){0,8}")
# An address, a drive, or a host as ssh names one.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[^/@:]+@[^/@:]+:")
_INVISIBLE = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])


def refusal(text: str) -> str | None:
    """Say why ``text`` can't be a path that a manifest names, or nothing. ``..`` is left to :func:`join`."""
    if _PLAIN.fullmatch(text):
        return None
    reason = _form_refusal(text)
    return reason or next((found for part in text.split("/") if (found := _part_refusal(part))), None)


def _form_refusal(text: str) -> str | None:
    reason = None
    if not text:
        reason = "a path can't be empty"
    elif len(text) > MAX_LENGTH:
        reason = f"a path has at most {MAX_LENGTH} characters"
    elif any(unicodedata.category(character) in _INVISIBLE for character in text):
        reason = f"the path {ascii(text)[:120]} holds a character that can't be seen"
    elif _SCHEME.match(text) or text.startswith("//"):
        reason = f"{_shown(text)} is an address; only files of this repository can be named"
    elif text.startswith("/"):
        reason = "the path is absolute; paths are relative to the file that names them"
    elif text.startswith("~"):
        reason = "a home folder can't be named; paths are relative to the file that names them"
    elif "\\" in text:
        reason = f"{ascii(text)[:120]} holds a backslash; paths are written with /"
    return reason


def join(folder: str, text: str) -> str:
    """Give the repository's path of ``text`` as a file in ``folder`` names it; ``""`` is the root itself.

    What is no path, leads out of the repository or into what git keeps for itself is a ValueError.
    """
    reason = refusal(text)
    if reason is not None:
        raise ValueError(reason)
    parts = folder.split("/") if folder else []
    for part in text.split("/"):
        if part == "..":
            if not parts:
                raise ValueError("the path leads out of the repository")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def folder_of(path: str) -> str:
    """Give the folder that a file stands in; ``""`` is the root."""
    return path.rpartition("/")[0]


def relative(path: str, folder: str) -> str:
    """Write a repository's path as seen from a folder, beginning with ``./`` or ``../``."""
    here = folder.split("/") if folder else []
    there = path.split("/") if path else []
    shared = 0
    while shared < min(len(here), len(there)) and here[shared] == there[shared]:
        shared += 1
    up = len(here) - shared
    return "/".join([*([".."] * up or ["."]), *there[shared:]])


def is_git_name(part: str) -> bool:
    """Tell whether a file system could take this name for ``.git``."""
    text = part if part.isascii() else unicodedata.normalize("NFKC", part)
    return text.casefold().split(":", 1)[0].rstrip(". ") in (".git", "git~1")


def _part_refusal(part: str) -> str | None:
    if len(part.encode("utf-8", "surrogatepass")) > MAX_COMPONENT:
        return f"a name in a path has at most {MAX_COMPONENT} bytes"
    if is_git_name(part):
        return "what git keeps for itself can't be named"
    if not part.isascii():
        folded = unicodedata.normalize("NFKC", part)
        if "/" in folded or "\\" in folded or folded.strip(" ") in (".", "..", "~"):
            return f"{ascii(part)[:120]} only looks like a path"
    return None


def _shown(text: str) -> str:
    """Give an address's scheme alone: the rest may hold a credential."""
    return repr(text.split(":", 1)[0][:20] + ":…")
