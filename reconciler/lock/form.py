"""What each text of a lock may look like; the schema in ``schemas/lock.schema.json`` says the same."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

MAX_SIZE = 1 << 50
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ALIAS = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_STEP = "[A-Za-z0-9_][A-Za-z0-9+._~%:-]"
_WORD = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_PLACE = re.compile(rf"{_WORD}(?:/{_WORD}){{0,4}}")
"""A suite or a component, which others may call as they like."""
_RELEASE = re.compile(r"[0-9]{8}(?:T[0-9]{4,6})?")
_PATTERNS = {
    "implementation": re.compile(r"[a-z]{1,32}"),
    "python version": re.compile(r"[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9A-Za-z.+]{1,32})?"),
    "abi": re.compile(r"[a-z0-9_]{1,64}"),
    "provider": re.compile(r"[a-z]{1,32}"),
    "libc": re.compile(r"(?:glibc|musl|macos) [0-9]{1,3}\.[0-9]{1,3}"),
    "name": re.compile(r"[a-z0-9_][a-z0-9._+-]{0,199}"),
    "version": re.compile(r"[A-Za-z0-9_][A-Za-z0-9!+._~:-]{0,199}"),
    "file": re.compile(r"[A-Za-z0-9_][A-Za-z0-9!+._~%-]{0,299}"),
    "sha256": _SHA256,
    "alias": _ALIAS,
    "suite": _PLACE,
    "component": _PLACE,
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
    "architecture": re.compile(r"[a-z0-9][a-z0-9-]{0,31}"),
    "path in an archive": re.compile(
        r"(?:[A-Za-z0-9_][A-Za-z0-9+._~%:-]{0,199}/){0,20}[A-Za-z0-9_][A-Za-z0-9+._~%:-]{0,299}"
    ),
    "archive": re.compile(rf"[a-z0-9][a-z0-9._-]{{0,254}}(?:/{_WORD}){{2,10}}"),
    "part": re.compile(r"base|python|added"),
    "variant": re.compile(r"standard|slim"),
    "distribution": re.compile(r"[a-z]{1,32}"),
    "image": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+~-]{0,999}"),
    "path in a base": re.compile(r"(?:[^\x00-\x1f\x7f/]{1,255}/)*[^\x00-\x1f\x7f/]{1,255}"),
    "accounts": re.compile(r"(?:[^\x00-\x08\x0b-\x1f\x7f]){0,100000}"),
}


def refusal(kind: str, text: str) -> str | None:
    """Say why ``text`` is no such thing, or nothing when it is one."""
    if kind == "source":
        return None if is_source(text) else f"{ascii(text)[:120]} is not a source of packages"
    if _PATTERNS[kind].fullmatch(text) is None:
        return f"{ascii(text)[:120]} is not a valid {kind}"
    return None


def is_source(text: str) -> bool:
    """Tell whether ``text`` names where a package came from, without a credential."""
    kind, _, rest = text.partition(":")
    if not rest or len(text) > 2000 or not text.isprintable() or " " in text:  # noqa: PLR2004  # no address is longer
        return False
    if kind in {"index", "channel", "python"}:
        return (_RELEASE if kind == "python" else _ALIAS).fullmatch(rest) is not None
    if kind == "built":
        file, _, digest = rest.partition("@sha256:")
        digest, separator, alias = digest.partition("@index:")
        named = not separator or (_ALIAS.fullmatch(alias) is not None and alias != "default")
        return refusal("file", file) is None and _SHA256.fullmatch(digest) is not None and named
    if kind == "git":
        address, _, commit = rest.rpartition("@")
        return _COMMIT.fullmatch(commit) is not None and _is_address(address)
    if kind == "path":
        return not rest.startswith("/") and "\\" not in rest and ".." not in rest.split("/")
    return kind == "url" and _is_address(rest)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return bool(parts.scheme) and parts.password is None and (parts.username in {None, "git"})
    except ValueError:
        return False
