"""What is wrong with a manifest or the configuration, one value a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.values.location import Location


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """One finding: where, what, and the likely fix. ``severity`` is ``error`` or ``warning``."""

    location: Location
    message: str
    hint: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        text = f"{self.location}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text
