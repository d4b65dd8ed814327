"""Maintainer scripts without the sections that debhelper wrote into them (debhelper(7), "#DEBHELPER#")."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BEGIN = re.compile(r"#\s*Automatically added by ([A-Za-z0-9_.+-]+)(?:/\S*)?\s*")
_END = re.compile(r"#\s*End automatically added section\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Lines that a tool wrote: ``tool`` is its name, without a version."""

    tool: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Divided:
    """A script's own text, and its generated sections in their order."""

    own: str
    sections: tuple[Section, ...]


def divide(script: str) -> Divided:
    """Take the generated sections out; one that does not end is the script's own text."""
    own: list[str] = []
    sections: list[Section] = []
    lines = script.splitlines()
    place = 0
    while place < len(lines):
        begin = _BEGIN.fullmatch(lines[place].strip())
        end = _end(lines, place) if begin is not None else None
        if begin is None or end is None:
            own.append(lines[place])
            place += 1
            continue
        sections.append(Section(tool=begin[1], text="\n".join(lines[place + 1 : end]) + "\n"))
        place = end + 1
    return Divided(own="".join(f"{line}\n" for line in own), sections=tuple(sections))


def _end(lines: list[str], begin: int) -> int | None:
    """Find the mark that ends a section; another beginning before it means that there is none."""
    for place in range(begin + 1, len(lines)):
        line = lines[place].strip()
        if _END.fullmatch(line):
            return place
        if _BEGIN.fullmatch(line):
            return None
    return None
