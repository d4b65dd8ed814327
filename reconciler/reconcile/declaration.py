"""What the repository declares: manifests, what they reach, and their locks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import ManifestError, SourceError
from reconciler.lock.document import parse_lock
from reconciler.lock.model import Lock
from reconciler.manifest.config import Config
from reconciler.manifest.desired import Desired
from reconciler.manifest.identity import desire
from reconciler.manifest.model import Manifest
from reconciler.manifest.parse import ParsedDocument, collisions, manifest_from, read_value
from reconciler.manifest.problem import Problem
from reconciler.ports import Cache, Source
from reconciler.values.digest import Digest
from reconciler.values.location import Location

SUFFIXES = (".yaml", ".yml")
MAX_MANIFESTS = 100_000
LOCK_LIMIT = 64 << 20
"""Bytes of a committed lock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What the repository declares: every environment that is valid, and every problem of those that are not.

    ``files`` is how many manifests there are, ``locks`` where each committed lock stands.
    """

    desired: tuple[Desired, ...]
    problems: tuple[Problem, ...]
    files: int
    locks: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that make a manifest invalid."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def require_valid(self) -> None:
        """Raise what is wrong, all of it, as one ManifestError."""
        errors = self.errors
        if errors:
            files = len({problem.location.path for problem in errors})
            raise ManifestError(f"{len(errors)} problem(s) in {files} file(s)", problems=errors)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """How manifests are read: from where, with which configuration and schema, and who judges what can be built."""

    source: Source
    config: Config
    schema: str
    cache: Cache
    judge: Callable[[Desired], Desired]


def manifest_paths(source: Source, folder: str) -> tuple[str, ...]:
    """Find manifests: ``FOLDER/NAME.yaml`` (or ``.yml``), and ``FOLDER/NAME/environment.yaml`` (or ``.yml``)."""
    found: list[str] = []
    for entry in source.entries(folder):
        if entry.path.endswith(SUFFIXES):
            found.append(entry.path)
        elif entry.mode == "040000":
            inside = {item.path for item in source.entries(entry.path)}
            found += [path for suffix in SUFFIXES if (path := f"{entry.path}/environment{suffix}") in inside]
    if len(found) > MAX_MANIFESTS:
        raise SourceError(f"{folder} holds more than {MAX_MANIFESTS} manifests")
    return tuple(found)


def lock_path(manifest: str, name: str) -> str:
    """Say where an environment's committed lock stands: ``NAME.lock.json`` beside the manifest."""
    folder, separator, _ = manifest.rpartition("/")
    return f"{folder}{separator}{name}.lock.json"


def declare(reading: Reading, paths: Sequence[str]) -> Declared:
    """Read manifests, what they reach and their locks; nothing that is wrong hides what is right."""
    manifests, problems = _read_manifests(reading, paths)
    problems += collisions(manifests)
    present = _present_locks(reading.source, paths)
    desired: list[Desired] = []
    locks: dict[str, str] = {}
    for manifest in manifests:
        lock = None
        try:
            lock = _read_lock(reading.source, manifest, present)
        except (ManifestError, SourceError) as error:
            problems += _problems(error, manifest.path)
        try:
            desired.append(_desire(reading, manifest, lock))
        except (ManifestError, SourceError) as error:
            problems += _problems(error, manifest.path)
        if lock_path(manifest.path, manifest.name) in present:
            locks[manifest.name] = lock_path(manifest.path, manifest.name)
    ordered = tuple(sorted(desired, key=lambda item: item.name))
    return Declared(desired=ordered, problems=tuple(sorted(set(problems))), files=len(paths), locks=locks)


def _desire(reading: Reading, manifest: Manifest, lock: Lock | None) -> Desired:
    return reading.judge(
        desire(manifest, reading.source.read, reading.source.walk, bases=reading.config.bases, lock=lock)
    )


def _present_locks(source: Source, paths: Iterable[str]) -> frozenset[str]:
    folders = {path.rpartition("/")[0] for path in paths}
    return frozenset(
        entry.path
        for folder in sorted(folders)
        for entry in source.entries(folder)
        if entry.path.endswith(".lock.json")
    )


def _read_lock(source: Source, manifest: Manifest, present: frozenset[str]) -> Lock | None:
    path = lock_path(manifest.path, manifest.name)
    return parse_lock(source.read(path, limit=LOCK_LIMIT), path) if path in present else None


def _read_manifests(reading: Reading, paths: Sequence[str]) -> tuple[list[Manifest], list[Problem]]:
    manifests: list[Manifest] = []
    problems: list[Problem] = []
    fresh: dict[str, ParsedDocument] = {}
    schema = Digest.of(reading.schema.encode()).short
    for path in paths:
        try:
            data = reading.source.read(path)
            key = f"manifest:{schema}:{Digest.of(data).hex}"
            parsed = fresh.get(key) or _cached(reading.cache, key)
            if parsed is None:
                parsed = fresh[key] = read_value(data, path, reading.schema)
            manifests.append(manifest_from(parsed, path, reading.config))
        except (ManifestError, SourceError) as error:
            problems += _problems(error, path)
    if fresh:
        reading.cache.put_many({key: parsed.to_json() for key, parsed in fresh.items()})
    return manifests, problems


def _cached(cache: Cache, key: str) -> ParsedDocument | None:
    value = cache.get(key)
    return None if value is None else ParsedDocument.from_json(value)


def _problems(error: ManifestError | SourceError, path: str) -> list[Problem]:
    carried = error.problems if isinstance(error, ManifestError) else ()
    found = [problem for problem in carried if isinstance(problem, Problem)]
    return found or [Problem(error.where or Location(path), error.message, error.hint or "")]
