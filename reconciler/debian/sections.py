"""The sections that debhelper wrote into maintainer scripts (debhelper(7), "#DEBHELPER#"), known by their marks."""

from __future__ import annotations

import re
from collections.abc import Callable

_BEGIN = re.compile(r"#\s*Automatically added by ([A-Za-z0-9_.+-]+)(?:/\S*)?\s*")
_END = re.compile(r"#\s*End automatically added section\s*")
IDLE_TOOLS = frozenset(
    """
    dh_installsystemd dh_installsystemduser dh_systemd_enable dh_systemd_start dh_installinit dh_installdeb
    dh_python2 dh_python3 dh_pypy dh_installmenu dh_installmime dh_installinfo dh_installman dh_installmodules
    dh_makeshlibs dh_icons dh_desktop dh_gconf dh_apparmor dh_strip dh_installemacsen dh_elpa dh_installxfonts
    dh_installudev dh_installdebconf dh_installdocs dh_scrollkeeper dh_bash-completion dh_installlogcheck
    """.split()  # noqa: SIM905  # a list of words
)
"""Tools whose sections do nothing to a root at rest: services, bytecode, caches that are made again, upgrades."""


def without_sections(script: str, leaves_out: Callable[[str], bool]) -> str:
    """Put a command that does nothing in place of the sections of some tools; marks that lack their end are none."""
    kept: list[str] = []
    lines = script.splitlines()
    place = 0
    while place < len(lines):
        begin = _BEGIN.fullmatch(lines[place].strip())
        end = _end(lines, place) if begin is not None and leaves_out(begin[1]) else None
        kept.append(lines[place] if end is None else ":")
        place = place + 1 if end is None else end + 1
    return "".join(f"{line}\n" for line in kept)


def _end(lines: list[str], begin: int) -> int | None:
    """Find the mark that ends a section; another beginning before it means that there is none."""
    for place in range(begin + 1, len(lines)):
        line = lines[place].strip()
        if _END.fullmatch(line):
            return place
        if _BEGIN.fullmatch(line):
            return None
    return None
