"""A platform's lock as a requirements file with hashes, as ``pip install --require-hashes -r`` reads it.

Each line is written from parts that are checked here: a lock comes from a file or a registry, and nothing in it may
become an option, another line or another package (pip's "Requirements File Format").
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.lock.model import Package

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.!+_-]{0,198}[A-Za-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"https?://[!-~]+")
_BUILT = re.compile(r"built:[!-~]+@sha256:([0-9a-f]{64})(?:@index:[a-z0-9._-]+)?")


def to_requirements(packages: Iterable[Package]) -> bytes:
    """Write one line a package, sorted by name. A malformed part, or a source that pip can't pin, is a ValueError."""
    return "".join(f"{line}\n" for line in sorted(_to_line(package) for package in packages)).encode("ascii")


def is_built(package: Package) -> bool:
    """Tell whether a package is made from its source distribution."""
    kind = package.source.partition(":")[0]
    return kind == "built" or (kind == "url" and not package.file.endswith(".whl"))


def _to_line(package: Package) -> str:
    _check(_NAME, package.name, "a package's name")
    _check(_VERSION, package.version, "a version")
    kind, _, address = package.source.partition(":")
    if kind == "index":
        return f"{package.name}=={package.version} --hash=sha256:{_check(_SHA256, package.sha256, 'a sha256')}"
    if kind == "built":
        return f"{package.name}=={package.version} --hash=sha256:{_check(_BUILT, package.source, 'a source')}"
    if kind == "url":
        _check(_ADDRESS, address, "an address")
        return f"{package.name} @ {address} --hash=sha256:{_check(_SHA256, package.sha256, 'a sha256')}"
    raise ValueError(f"{package.name}: pip can't pin a package from {package.source[:80]!a} by its hash")


def _check(form: re.Pattern[str], text: str, what: str) -> str:
    match = form.fullmatch(text)
    if match is None:
        raise ValueError(f"not {what}: {text[:80]!a}")
    return match.group(match.lastindex or 0)
