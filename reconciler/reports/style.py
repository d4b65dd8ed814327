"""How a report is shown: in colour or not, how wide, how much. Whoever calls decides that."""

from __future__ import annotations

from dataclasses import dataclass

_CODES = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}
_END = "\x1b[0m"


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """``width`` is in cells; ``verbose`` lists unchanged environments and every difference."""

    colour: bool = False
    width: int = 100
    verbose: bool = False

    def paint(self, text: str, colour: str) -> str:
        """Colour a text, where colour is wanted."""
        return f"\x1b[{_CODES[colour]}m{text}{_END}" if self.colour and text else text


PLAIN = Style()
