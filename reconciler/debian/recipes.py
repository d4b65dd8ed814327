"""The packages whose scripts were read by a person, and what they make instead (a reviewed table)."""

from __future__ import annotations

RECIPES: frozenset[str] = frozenset(
    [
        "base-files",
        "base-passwd",
        "bash",
        "ca-certificates",
        "dash",
        "debconf",
        "libc-bin",
        "libc6",
        "libpam-runtime",
        "libpam0g",
        "login",
        "mount",
        "passwd",
        "perl",
        "perl-base",
        "python3",
        "python3-minimal",
        "tzdata",
        "util-linux",
    ]
)
