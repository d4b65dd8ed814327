"""Content digests as OCI writes them (image-spec 1.1, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_FORM = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, order=True, slots=True)
class Digest:
    """A sha256 digest. One can be had only by hashing or by parsing, so that no other text passes as one."""

    hex: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read ``sha256:<64 lower-case hex digits>``; anything else is a ValueError."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"not a sha256 digest: {text[:100]!r}")
        return cls(match.group(1))

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Hash these bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    @property
    def short(self) -> str:
        """The first twelve digits, for people."""
        return self.hex[:12]

    def __str__(self) -> str:
        return f"sha256:{self.hex}"
