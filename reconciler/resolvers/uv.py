"""Locks for Python packages, solved by uv for the manifest's platforms and Python, never for this machine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from reconciler.clients.http.index import Http
from reconciler.clients.indexes import read_index_settings
from reconciler.clients.uv import Compiled, Uv
from reconciler.errors import ReconcilerError, ResolveError
from reconciler.lock.model import MACHINE_INDEX, Lock, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.ports import Resolution, Resolved
from reconciler.resolvers.explanation import failure, locate, mentioned
from reconciler.resolvers.newest import by_name, find_outdated, find_trapped, refuse_trapped
from reconciler.resolvers.notes import notes_on, unneeded
from reconciler.resolvers.origin import EMITTED, Indexes, Origin, bare, origin_of, parse_indexes
from reconciler.resolvers.preference import settle
from reconciler.resolvers.pylock import FORMAT, OUTPUT, Pin, parse_pylock, to_preference
from reconciler.resolvers.question import Question, name_of, question_of
from reconciler.resolvers.sizes import fetch_sizes
from reconciler.resolvers.target import Target, targets_of


@dataclass(frozen=True, kw_only=True, slots=True)
class UvResolver:
    """Implements :class:`reconciler.ports.Resolver` for ``python.pip`` and what goes with it.

    ``environ`` is the caller's environment, of which only named variables reach uv. ``indexes`` are the addresses that
    reconciler.yaml gives to aliases. ``repository`` is the root of the files that are not trusted. ``targets`` says
    what is solved for.
    """

    environ: Mapping[str, str] = field(repr=False)
    indexes: Mapping[str, str] = field(default_factory=dict, repr=False)
    repository: Path | None = None
    targets: Callable[[Resolution], tuple[Target, ...]] = targets_of

    def resolve(self, resolution: Resolution) -> Resolved:
        """Solve for every platform of the manifest."""
        desired = resolution.desired
        question = question_of(desired)
        _check_builds(question, resolution)
        targets = self.targets(resolution)
        settings = read_index_settings(self.environ, outside=self.repository)
        origin = origin_of(question, desired, configured=self.indexes, environ=self.environ, settings=settings)
        solver = Solver(
            uv=Uv(environ=self.environ, outside=self.repository),
            http=Http(environ={**self.environ, **origin.variables}),
            origin=origin,
            question=question,
            resolution=resolution,
        )
        with ThreadPoolExecutor(max(1, len(targets))) as pool:
            solved = list(pool.map(solver.solve, targets))
        platforms = {target.platform: lock for target, (lock, _) in zip(targets, solved, strict=True)}
        notes = [note for target in targets for note in target.notes]
        notes += [*(note for _, found in solved for note in found), *unneeded(desired, question, platforms.values())]
        return Resolved(lock=Lock(inputs=desired.inputs, platforms=platforms), notes=tuple(dict.fromkeys(notes)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Solver:
    """One question, asked for one platform after another."""

    uv: Uv
    http: Http
    origin: Origin
    question: Question
    resolution: Resolution

    @property
    def desired(self) -> Desired:
        """Whose question it is."""
        return self.resolution.desired

    def solve(self, target: Target) -> tuple[PlatformLock, tuple[str, ...]]:
        """Give a platform's lock, and what is worth saying about it."""
        if not self.question.requirements and not target.required:
            return self._lock(target, ()), ()
        question, pins = self._pins(target)
        pins = tuple(pin for pin in pins if pin.name not in target.installed)
        compared = by_name(pins, self.question, self._preference(target))
        indexes = self._indexes(question, target, pins) if compared or self.origin.addresses else Indexes()
        notes = self._refuse_trap(question, target, compared, indexes)
        packages = self._packages(pins, target, indexes)
        return self._lock(target, packages), (*notes, *notes_on(self.desired, packages))

    @staticmethod
    def _lock(target: Target, packages: tuple[Package, ...]) -> PlatformLock:
        return PlatformLock(
            interpreter=target.interpreter,
            libc=target.libc,
            packages=packages,
            observed={**target.replaceable, **target.installed},
            base=target.base,
            system=target.system,
        )

    def ask(self, question: Question, target: Target, versions: Mapping[str, str], *, emit: bool = False) -> Compiled:
        """Ask uv; ``versions`` stay where they can. With ``emit``, and none of these, it says where it looked."""
        files = question.files(self.origin.bare)
        output = "requirements.txt" if emit else OUTPUT
        if not emit and (versions or self.question.pins):
            files[output] = to_preference(versions, self.question.pins)
        arguments = [*question.arguments(target), *(EMITTED if emit else FORMAT)]
        return self.uv.compile(arguments, files, output=output, variables=self.origin.variables)

    def _pins(self, target: Target) -> tuple[Question, tuple[Pin, ...]]:
        """Solve; a package that must come from one source is required by name, since uv binds only those.

        Where nothing was found, it may be for one of these: only its own source has it.
        """
        question, preference = self.question.on(target), self._preference(target)
        while True:
            answer = self.ask(question, target, preference)
            pins = () if answer.status else parse_pylock(answer.output)
            named = {pin.name for pin in pins} or mentioned(answer.said, question.sources)
            indirect = named & question.sources.keys() - set(question.names)
            if indirect:
                question = question.with_requirements(*sorted(indirect))
            elif answer.status:
                raise self._failure(answer, question, target)
            else:
                asked = partial(self._ask_again, target)
                return question, settle(pins, preference, question, asked)

    def _ask_again(self, target: Target, question: Question, versions: Mapping[str, str]) -> Compiled:
        return self.ask(question, target, versions)

    def _failure(self, answer: Compiled, question: Question, target: Target) -> ReconcilerError:
        alias = self.origin.alias_in(answer.said)
        return failure(answer.said, desired=self.desired, question=question, target=target, alias=alias)

    def _indexes(self, question: Question, target: Target, pins: tuple[Pin, ...]) -> Indexes:
        held = question.with_constraints({pin.name: pin.version for pin in pins if pin.kind != "url"})
        answer = self.ask(held, target, {}, emit=True)
        if answer.status:
            raise self._failure(answer, question, target)
        return parse_indexes(answer.output, question, self.origin)

    def _refuse_trap(
        self, question: Question, target: Target, compared: tuple[Pin, ...], indexes: Indexes
    ) -> tuple[str, ...]:
        outdated, notes = find_outdated(compared, question, target, indexes, self.http)
        trapped = find_trapped(outdated, question, lambda asked: self.ask(asked, target, {}))
        refuse_trapped(trapped, self.desired, target)
        return notes

    def _preference(self, target: Target) -> dict[str, str]:
        """Say which versions stay: those of the lock before, and above them those of a project's own lock."""
        lock, free = self.resolution.preference, self.resolution.upgrade
        before = lock.platforms.get(target.platform) if lock else None
        kept = before.packages if before is not None and free is not None else ()
        stay = {package.name: package.version for package in kept if package.name not in (free or ())}
        return {**stay, **{name: versions[0] for name, versions in self.question.pins.items() if len(versions) == 1}}

    def _packages(self, pins: tuple[Pin, ...], target: Target, indexes: Indexes) -> tuple[Package, ...]:
        lock = self.resolution.preference
        before = lock.platforms.get(target.platform) if lock else None
        known = {package.sha256: package.size for package in before.packages} if before else {}
        sizes = fetch_sizes(pins, known, self.http)
        return tuple(sorted(self._package(pin, sizes[pin], indexes) for pin in pins))

    def _package(self, pin: Pin, size: int, indexes: Indexes) -> Package:
        if not pin.sha256:
            raise ResolveError(f"the index gives no sha256 for {pin.file}", where=locate(self.desired, pin.name))
        self._check_hash(pin)
        source = self.origin.source_of(indexes.taken_from.get(pin.name, ""))
        if pin.kind == "url":
            source = f"url:{bare(pin.url)}"
        elif pin.kind == "sdist":
            found = "" if source == MACHINE_INDEX else f"@{source}"
            source = f"built:{pin.file}@sha256:{pin.sha256}{found}"
        return Package(name=pin.name, version=pin.version, file=pin.file, size=size, sha256=pin.sha256, source=source)

    def _check_hash(self, pin: Pin) -> None:
        for requirement, admitted in self.question.hashes.items():
            if name_of(requirement) == pin.name and f"sha256:{pin.sha256}" not in admitted:
                raise ResolveError(
                    f"{pin.file} is none of the files whose hashes the requirement gives",
                    where=locate(self.desired, pin.name),
                    hint="give the hash of this platform's wheel as well",
                )


def _check_builds(question: Question, resolution: Resolution) -> None:
    if question.build_from_source and not resolution.build_allowed:
        raise ResolveError(
            "packages that are built from source resolve only in lock and apply",
            where=resolution.desired.manifest.locate("python.build_from_source"),
            hint="run `reconciler lock` and commit the lock",
        )
