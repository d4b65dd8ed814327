"""Names of environments, and references to one of their versions.

A name is one component of an OCI repository (distribution-spec 1.1, "Pulling manifests"), so that it stands in any
registry, as a folder on any file system, and in a tag.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GRAMMAR = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
MAX_LENGTH = 100
RESERVED_PREFIX = "reconciler-"
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_VERSION = re.compile(r"v?([1-9][0-9]{0,8})")
# Windows opens a device for these, whatever the folder and the extension.
_DEVICES = frozenset(["con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))])


def refusal(text: str) -> str | None:
    """Say why ``text`` is no name of an environment, or nothing when it is one."""
    if not text:
        return f"a name can't be empty; names match {GRAMMAR}"
    if len(text) > MAX_LENGTH:
        return f"a name has at most {MAX_LENGTH} characters, this one has {len(text)}"
    if _NAME.fullmatch(text) is None:
        return f"{text!a} is not a name; names match {GRAMMAR}"
    if text.startswith(RESERVED_PREFIX):
        return f"names that begin with {RESERVED_PREFIX!r} are the reconciler's own"
    if text.split(".", 1)[0] in _DEVICES:
        return f"{text!r} names a device on Windows; choose another name"
    return None


@dataclass(frozen=True, slots=True)
class Reference:
    """An environment, and which of its versions: a number, or none for ``current``."""

    name: str
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``NAME``, ``NAME:3``, ``NAME:v3``, ``NAME:current`` or ``NAME@latest``; else a ValueError.

        ``@latest`` is how Azure ML's users ask for the newest; here it means ``current``.
        """
        name, separator, version = text.partition("@" if "@" in text else ":")
        reason = refusal(name)
        if reason is not None:
            raise ValueError(reason)
        if not separator or version == ("latest" if separator == "@" else "current"):
            return cls(name)
        match = _VERSION.fullmatch(version)
        if match is None or separator == "@":
            raise ValueError(f"{ascii(text)[:120]} names no version; write {name}:3, {name}:current or {name}@latest")
        return cls(name, int(match.group(1)))

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"
