"""What version control says about the files that were read."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Commit:
    """A git commit's object name: 40 hex digits (SHA-1) or 64 (SHA-256)."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Commit:
        """Read a full object name; anything else is a ValueError."""
        if _FORM.fullmatch(text) is None:
            raise ValueError(f"not a commit: {text[:80]!r}")
        return cls(text)

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return self.hex


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """Where the manifests came from: a commit (none outside git), whether files differ from it, and the origin.

    ``origin`` is the remote's address without credentials; ``branch`` is none on a detached head.
    """

    commit: Commit | None = None
    dirty: bool = False
    origin: str | None = None
    branch: str | None = None
