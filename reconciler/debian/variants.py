"""Which packages a base has before the interpreter and ``system_packages``: the catalog's variants.

These are roots: what they depend on comes with them. Packages count on essential ones without naming them (Debian
Policy 3.8), so ``standard`` has all of those but for the few that only serve a machine: dpkg, login and
init-system-helpers.
"""

from __future__ import annotations

from reconciler.debian.suites import SLIM

# Accounts, the loader and C.UTF-8, a shell for `os.system`, what wheels may count on (PEP 600), certificates, time
# zones, and the names of services and protocols for `socket`.
_SLIM = """
base-files base-passwd ca-certificates dash libc-bin libexpat1 libgcc-s1 libstdc++6 netbase tzdata zlib1g
"""
_ESSENTIAL = """
bash bsdutils coreutils debianutils diffutils findutils grep gzip hostname ncurses-base ncurses-bin perl-base sed
sysvinit-utils tar util-linux
"""
# `docker exec` and notebooks want a shell with its tools, `ps` and a terminal's names; `kubectl cp` wants tar.
_STANDARD = f"{_SLIM} {_ESSENTIAL} procps"
# Their tzdata lacks the older names of time zones, which data still has (US/Eastern).
_SPLIT_TZDATA = frozenset(["trixie", "noble"])
# Else usrmerge is chosen with what needs either, to merge what is merged already, and with it all of perl.
_ASKS_WHETHER_MERGED = frozenset(["bookworm"])


def packages_of(distribution: str, suite: str, variant: str) -> tuple[str, ...]:
    """Name the packages of a variant, sorted. ``distribution`` and ``suite`` are as in a lock."""
    del distribution  # the names are Debian's in Ubuntu too
    names = (_SLIM if variant == SLIM else _STANDARD).split()
    names += ["tzdata-legacy"] if suite in _SPLIT_TZDATA else []
    names += ["usr-is-merged"] if suite in _ASKS_WHETHER_MERGED else []
    return tuple(sorted(names))
