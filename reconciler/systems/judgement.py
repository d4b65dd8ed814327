"""Refusing, while a lock is made, what can't be installed without running its maintainer scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol

from reconciler.debian.closure import Choice
from reconciler.debian.deb import open_deb
from reconciler.debian.scripts import HINT, Verdict, classify
from reconciler.errors import ResolveError
from reconciler.lock.system import System, SystemPackage

Fetch = Callable[[Sequence[SystemPackage]], None]


class Debs(Protocol):
    """The packages on this machine: :class:`reconciler.store.debs.DebStore`."""

    def open(self, sha256: str) -> BinaryIO:
        """Open a package."""


def judge(choices: Sequence[Choice], system: System, before: System | None, fetch: Fetch, debs: Debs) -> None:
    """Look at the scripts of the packages that the lock did not have before, which ``fetch`` brings into ``debs``.

    All that are refused are in one ResolveError, at the line that asks for the first of them.
    """
    known = {package.sha256 for package in before.packages} if before is not None else set[str]()
    new = [package for package in system.packages if package.sha256 not in known]
    fetch(new)
    wishes = {choice.candidate.name: choice.wish for choice in choices}
    refused = [(package, verdict) for package in new if (verdict := _judged(package, debs)).is_refused]
    lines = [_line(package, verdict, wishes[package.name].name) for package, verdict in refused]
    if refused:
        where = wishes[refused[0][0].name].where
        raise ResolveError(lines[0], where=where, hint=HINT, detail="\n".join(lines[1:]) or None)


def _judged(package: SystemPackage, debs: Debs) -> Verdict:
    with debs.open(package.sha256) as stream:
        return classify(package.name, package.version, open_deb(stream, package.file).scripts)


def _line(package: SystemPackage, verdict: Verdict, wished: str) -> str:
    needed = "" if wished == package.name else f", which {wished} needs,"
    return f"{package.name} {package.version}{needed} can't be installed without running its scripts: {verdict.why}"
