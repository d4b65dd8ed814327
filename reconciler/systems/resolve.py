"""Choosing the packages of a base: its variant, its Python, and ``system_packages``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from reconciler.clients.debian.archives import Archives
from reconciler.debian.closure import Choice, Wish, close
from reconciler.debian.offer import Offer
from reconciler.debian.suites import Entry, Suite, parse_entry
from reconciler.debian.variants import packages_of
from reconciler.debian.version import parse_version
from reconciler.errors import ResolveError
from reconciler.lock.system import Archive, Part, System, SystemPackage
from reconciler.manifest.model import Manifest
from reconciler.manifest.wording import listed
from reconciler.ports import Ground, SystemQuestion
from reconciler.systems.interpreter import bring
from reconciler.systems.judgement import Debs, judge
from reconciler.systems.preference import staying, system_before
from reconciler.systems.standalone import Standalones
from reconciler.values.platform import Platform

_PACKAGE = re.compile(r"([a-z0-9][a-z0-9+.-]+)(?::([a-z0-9]+))?(?:=(.+))?")
_SHOWN = 6
_NEAR, _CLOSE = 3, 0.75


@dataclass(frozen=True, kw_only=True, slots=True)
class Solver:
    """Chooses packages from what ``archives`` offer, and an interpreter, which ``standalones`` may bring.

    Packages whose scripts were looked at are in ``debs`` then.
    """

    archives: Archives
    debs: Debs
    standalones: Standalones

    def resolve(self, question: SystemQuestion) -> Ground:
        """Choose the packages; what can't be had is a ResolveError with the line that asks for it."""
        manifest = question.desired.manifest
        entry, suite = _entry_of(question)
        before = system_before(question, suite.distribution, suite.name)
        question.tell(f"reading the archives of {suite.distribution} {suite.name}", passing=True)
        offer = self.archives.read(
            suite.distribution,
            suite.name,
            question.platform.architecture,
            manifest.system_repositories,
            known=before.archives if before is not None else (),
        )
        kept = staying(question, before, offer, self.debs)
        python = bring(question, suite, offer, kept, self.standalones)
        wishes = (*_variant(suite, entry.variant), *python.wishes, *_added(manifest, offer, question))
        choices = close(wishes, offer, kept)
        system = System(
            distribution=suite.distribution,
            suite=suite.name,
            variant=entry.variant,
            archives=_archives(choices, offer, before),
            packages=tuple(map(_package, choices)),
        )
        fetch = partial(self.archives.fetch, archives=system.archives, tell=question.tell)
        judge(choices, system, before, fetch, self.debs)
        return Ground(
            entry=question.entry,
            system=system,
            interpreter=python.path,
            build=python.build,
            notes=(*offer.notes, *python.notes),
        )

    def newer(self, system: System, platform: Platform) -> tuple[str, ...]:
        """Name the packages of a lock that the archives have in a newer version, sorted."""
        own = (system.distribution, f"{system.distribution}-security")
        offer = self.archives.read(
            system.distribution,
            system.suite,
            platform.architecture,
            [one.alias for one in system.archives if one.alias not in own],
            known=system.archives,
        )
        return tuple(sorted(one.name for one in system.packages if _is_behind(one, offer)))


def _is_behind(package: SystemPackage, offer: Offer) -> bool:
    locked = parse_version(package.version)
    return any(parse_version(one.version) > locked for one in offer.named(package.name))


def _entry_of(question: SystemQuestion) -> tuple[Entry, Suite]:
    manifest = question.desired.manifest
    try:
        entry = parse_entry(question.entry)
    except ValueError as error:
        raise ResolveError(str(error), where=manifest.locate("docker.base_image")) from error
    if entry is None:
        raise ResolveError(f"{question.entry} is an image", where=manifest.locate("docker.base_image"))
    return entry, entry.suite_for(manifest.python.version)


def _variant(suite: Suite, variant: str) -> Iterator[Wish]:
    names = packages_of(suite.distribution, suite.name, variant)
    return (Wish(name=name, part=Part.BASE) for name in names)


def _added(manifest: Manifest, offer: Offer, question: SystemQuestion) -> Iterator[Wish]:
    for number, text in enumerate(manifest.system_packages):
        where = manifest.locate(f"system_packages[{number}]")
        match = _PACKAGE.fullmatch(text)
        if match is None:
            raise ResolveError(f"{text[:80]!a} names no Debian package", where=where)
        name, architecture, version = match.groups(default="")
        if architecture not in ("", "any", "native", question.platform.architecture):
            raise ResolveError(
                f"{name} is asked for {architecture}, and the platform is {question.platform}",
                where=where,
                hint=f"write {name}",
            )
        try:
            if version:
                parse_version(version)
            _check_name(name, offer, question)
        except ValueError as error:
            raise ResolveError(str(error), where=where) from error
        yield Wish(name=name, part=Part.ADDED, version=version, where=where)


def _check_name(name: str, offer: Offer, question: SystemQuestion) -> None:
    """Refuse a name that no package has, or that several provide: which of them is not for us to say."""
    if offer.named(name):
        return
    provided = sorted({one.name for one in offer.providing(name)})
    if len(provided) == 1:
        return
    if provided:
        shown = ", ".join(provided[:_SHOWN]) + (", …" if len(provided) > _SHOWN else "")
        raise ValueError(f"{name} is no package, several provide it: name one of {shown}")
    raise ValueError(f"no package of {question.entry} is called {name}{_near(name, offer)}")


def _near(name: str, offer: Offer) -> str:
    known = {one for one in offer.names() if one[0] == name[0]}
    near = get_close_matches(name, sorted(known), n=_NEAR, cutoff=_CLOSE)
    return f"; did you mean {listed(near)}?" if near else ""


def _package(choice: Choice) -> SystemPackage:
    one = choice.candidate
    return SystemPackage(
        name=one.name,
        version=one.version,
        architecture=one.architecture,
        file=one.file,
        size=one.size,
        sha256=one.sha256,
        archive=one.archive,
        part=choice.part,
    )


def _archives(choices: Sequence[Choice], offer: Offer, before: System | None) -> tuple[Archive, ...]:
    """Say who vouched: an archive that nothing new came from is the one that it was."""
    old = {archive.name: archive for archive in before.archives} if before is not None else {}
    files = {package.sha256 for package in before.packages} if before is not None else set[str]()
    moved = {choice.candidate.archive for choice in choices if choice.candidate.sha256 not in files}
    named = {choice.candidate.archive for choice in choices}
    found = {name: archive for name, archive in old.items() if name in named}
    for archive in offer.archives:
        found[archive.name] = archive if archive.name in moved else old.get(archive.name, archive)
    return tuple(sorted(found.values()))
