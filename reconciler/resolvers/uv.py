"""Locks for Python packages, solved by uv for the manifest's platforms and Python, never for this machine's."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.clients.http import Http
from reconciler.clients.indexes import read_index_settings
from reconciler.clients.uv import Compiled, Uv
from reconciler.errors import ResolveError
from reconciler.lock.model import MACHINE_INDEX, Lock, Package, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.ports import Resolution, Resolved
from reconciler.resolvers.explanation import failure, locate
from reconciler.resolvers.origin import Origin, bare, origin_of
from reconciler.resolvers.pylock import Pin, parse_pylock, to_preference
from reconciler.resolvers.question import OUTPUT, Question, question_of
from reconciler.resolvers.sizes import fetch_sizes
from reconciler.resolvers.target import Target, targets_of


@dataclass(frozen=True, kw_only=True, slots=True)
class UvResolver:
    """Implements :class:`reconciler.ports.Resolver` for ``python.pip`` and what goes with it.

    ``environ`` is the caller's environment, of which only named variables reach uv. ``indexes`` are the addresses that
    reconciler.yaml gives to aliases. ``repository`` is the root of the files that are not trusted.
    """

    environ: Mapping[str, str] = field(repr=False)
    indexes: Mapping[str, str] = field(default_factory=dict, repr=False)
    repository: Path | None = None

    def resolve(self, resolution: Resolution) -> Resolved:
        """Solve for every platform of the manifest."""
        desired = resolution.desired
        targets = targets_of(desired)
        question = question_of(desired)
        _check_builds(question, resolution)
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
        notes = tuple(dict.fromkeys(note for _, found in solved for note in found))
        return Resolved(lock=Lock(inputs=desired.inputs, platforms=platforms), notes=notes)


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
        if not self.question.requirements:
            return PlatformLock(interpreter=target.interpreter, libc=target.libc), ()
        pins = self._pins(self.question, target)
        packages = self._packages(pins, target)
        return PlatformLock(interpreter=target.interpreter, libc=target.libc, packages=packages), ()

    def ask(self, question: Question, target: Target, preference: Mapping[str, str]) -> Compiled:
        """Ask uv; nothing is believed of a failure here."""
        files = question.files(self.origin.bare)
        if preference:
            files[OUTPUT] = to_preference(preference)
        return self.uv.compile(question.arguments(target), files, output=OUTPUT, variables=self.origin.variables)

    def _pins(self, question: Question, target: Target) -> tuple[Pin, ...]:
        answer = self.ask(question, target, self._preference(target))
        if answer.status:
            alias = self.origin.alias_in(answer.said)
            raise failure(answer.said, desired=self.desired, question=question, target=target, alias=alias)
        return parse_pylock(answer.output)

    def _preference(self, target: Target) -> dict[str, str]:
        lock, free = self.resolution.preference, self.resolution.upgrade
        before = lock.platforms.get(target.platform) if lock else None
        if before is None or free is None:
            return {}
        return {package.name: package.version for package in before.packages if package.name not in free}

    def _packages(self, pins: tuple[Pin, ...], target: Target) -> tuple[Package, ...]:
        lock = self.resolution.preference
        before = lock.platforms.get(target.platform) if lock else None
        known = {package.sha256: package.size for package in before.packages} if before else {}
        sizes = fetch_sizes(pins, known, self.http)
        return tuple(sorted(self._package(pin, sizes[pin]) for pin in pins))

    def _package(self, pin: Pin, size: int) -> Package:
        if not pin.sha256:
            raise ResolveError(f"the index gives no sha256 for {pin.file}", where=locate(self.desired, pin.name))
        source = MACHINE_INDEX
        if pin.kind == "url":
            source = f"url:{bare(pin.url)}"
        elif pin.kind == "sdist":
            source = f"built:{pin.file}@sha256:{pin.sha256}"
        return Package(name=pin.name, version=pin.version, file=pin.file, size=size, sha256=pin.sha256, source=source)


def _check_builds(question: Question, resolution: Resolution) -> None:
    if question.build_from_source and not resolution.build_allowed:
        raise ResolveError(
            "packages that are built from source resolve only in lock and apply",
            where=resolution.desired.manifest.locate("python.build_from_source"),
            hint="run `reconciler lock` and commit the lock",
        )
