"""Which packages stay at the file that a lock has, and what they depend on where no archive offers them any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.debian.candidate import Candidate, parse_candidate
from reconciler.debian.closure import Offer
from reconciler.debian.deb import open_deb
from reconciler.debian.relation import Alternatives, Relation, parse_relations
from reconciler.errors import CorruptError, NotFoundError
from reconciler.lock.system import System, SystemPackage
from reconciler.ports import SystemQuestion
from reconciler.systems.judgement import Debs


def system_before(question: SystemQuestion, distribution: str, suite: str) -> System | None:
    """Give the packages of the lock that is preferred, where they are of the same suite."""
    system = question.preference.system if question.preference is not None else None
    if system is None or (system.distribution, system.suite) != (distribution, suite):
        return None
    return system


def staying(question: SystemQuestion, before: System | None, offer: Offer, debs: Debs) -> dict[str, Candidate]:
    """Give the packages that need not move, by name; what no archive offers any more is looked up in ``debs``."""
    if before is None or question.upgrade is None or question.upgrade_base:
        return {}
    old = {package.name: package for package in before.packages}
    kept = {
        name: _candidate(package, offer, debs, old) for name, package in old.items() if name not in question.upgrade
    }
    return {name: candidate for name, candidate in kept.items() if candidate is not None}


def _candidate(package: SystemPackage, offer: Offer, debs: Debs, old: Mapping[str, SystemPackage]) -> Candidate | None:
    """Give a package as an archive would offer it; none where nobody knows what it needs."""
    offered = offer.named(package.name)
    same = next((one for one in offered if one.version == package.version), None) or _opened(package, debs)
    known = same or next(iter(offered), None)
    if known is None:
        return None
    file = replace(
        known,
        version=package.version,
        architecture=package.architecture,
        file=package.file,
        size=package.size,
        sha256=package.sha256,
        archive=package.archive,
    )
    return file if same is not None else _as_before(file, old)


def _opened(package: SystemPackage, debs: Debs) -> Candidate | None:
    """Read what a package says of itself, where its file is on this machine."""
    try:
        with debs.open(package.sha256) as stream:
            control = open_deb(stream, package.file).control
        fields = {name.lower(): value for name, value in control.items()}
        file = {"filename": package.file, "size": str(package.size), "sha256": package.sha256}
        return parse_candidate({**fields, **file}, package.archive)
    except (NotFoundError, CorruptError, ValueError):
        return None  # it is fetched, and checked, where it is needed


def _as_before(package: Candidate, old: Mapping[str, SystemPackage]) -> Candidate:
    """Take relations of another version for those of this one.

    Its lock was whole, so what it needed is there in the versions that the lock has; where the other one needs exactly
    one version, it is taken that this one did as well.
    """
    return replace(
        package,
        depends=_fitted(package.depends, old),
        pre_depends=_fitted(package.pre_depends, old),
        conflicts="",
        breaks="",
    )


def _fitted(text: str, old: Mapping[str, SystemPackage]) -> str:
    return ", ".join(" | ".join(str(one) for one in _group(group, old)) for group in parse_relations(text))


def _group(group: Alternatives, old: Mapping[str, SystemPackage]) -> Iterator[Relation]:
    for one in group:
        package = old.get(one.name)
        if package is None:
            yield one
        elif one.sign == "=":
            yield replace(one, version=package.version)
        else:
            yield replace(one, sign="", version="")
