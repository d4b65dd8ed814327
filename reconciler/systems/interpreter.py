"""The interpreter of a base of packages: the packages that it is, or the build that it is unpacked from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.debian.candidate import Candidate
from reconciler.debian.closure import Offer, Wish
from reconciler.debian.suites import Suite
from reconciler.debian.version import parse_version
from reconciler.errors import NotFoundError, ResolveError, UnavailableError
from reconciler.lock.model import Package
from reconciler.lock.system import Part
from reconciler.ports import SystemQuestion
from reconciler.systems.provider import DISTRIBUTION, decide, neither
from reconciler.systems.standalone import NAME, Standalones

_UPSTREAM = re.compile(r"(?:[0-9]+:)?(3\.[0-9]+\.[0-9]+)")
_WITHOUT_DISTUTILS = (3, 12)
"""The first Python whose standard library has no distutils (PEP 632); that of older ones is a package of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Brought:
    """The interpreter's path, relative to the root; the packages that it needs, or its build; what is worth saying."""

    path: str
    wishes: tuple[Wish, ...] = ()
    build: Package | None = None
    notes: tuple[str, ...] = ()


def bring(
    question: SystemQuestion, suite: Suite, offer: Offer, staying: Mapping[str, Candidate], standalones: Standalones
) -> Brought:
    """Say which interpreter serves; where none does, a ResolveError names what can be written instead."""
    manifest, own = question.desired.manifest, _own_version(suite, offer, staying)
    if decide(manifest, suite, own) == DISTRIBUTION:
        return Brought(path=f"usr/bin/python{suite.python}", wishes=_packages(suite))
    before = question.preference.interpreter.build if question.preference is not None else None
    moves = question.upgrade is None or question.upgrade_base or NAME in question.upgrade
    try:
        chosen = standalones.choose(manifest.python.version, question.platform, preference=None if moves else before)
    except (ResolveError, NotFoundError, UnavailableError) as error:
        raise neither(manifest, suite, own, error) from error
    return Brought(path=chosen.interpreter, build=chosen.build, notes=chosen.notes)


def _packages(suite: Suite) -> tuple[Wish, ...]:
    """Give what a Python needs to be whole."""
    minor = tuple(map(int, suite.python.split(".")))
    names = ("python3", *(("python3-distutils",) if minor < _WITHOUT_DISTUTILS else ()))
    return tuple(Wish(name=name, part=Part.PYTHON) for name in names)


def _own_version(suite: Suite, offer: Offer, staying: Mapping[str, Candidate]) -> str:
    """Give the exact version of the suite's Python; only the minor one where no archive has it."""
    name = f"python{suite.python}"
    there = [staying[name]] if name in staying else [*offer.named(name)]
    if not there:
        return suite.python
    match = _UPSTREAM.match(max(there, key=lambda one: parse_version(one.version)).version)
    return match[1] if match is not None else suite.python
