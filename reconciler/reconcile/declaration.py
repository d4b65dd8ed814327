"""What the repository declares: manifests, what they reach, and their locks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import ManifestError, SourceError
from reconciler.lock.document import parse_lock
from reconciler.lock.model import Lock
from reconciler.manifest.checks import expected_name
from reconciler.manifest.config import Config
from reconciler.manifest.desired import Desired
from reconciler.manifest.identity import desire
from reconciler.manifest.model import Manifest
from reconciler.manifest.parse import ParsedDocument, collisions, manifest_from, read_value
from reconciler.manifest.problem import Problem
from reconciler.plan.order import MAX_CHAIN, base_problems
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
    below = _read_below(reading, manifests, paths)
    present = _present_locks(reading.source, [*paths, *(manifest.path for manifest in below)])
    definition = _Definition(reading, present, (*manifests, *below))
    desired = [one for manifest in manifests if (one := definition.of(manifest)) is not None]
    asked = {manifest.path for manifest in manifests}
    problems += [problem for path, found in definition.problems for problem in found if path in asked]
    problems += _base_problems(reading, [*desired, *filter(None, map(definition.of, below))], paths)
    locks = {
        manifest.name: path for manifest in manifests if (path := lock_path(manifest.path, manifest.name)) in present
    }
    ordered = tuple(sorted(desired, key=lambda item: item.name))
    return Declared(desired=ordered, problems=tuple(sorted(set(problems))), files=len(paths), locks=locks)


class _Definition:
    """Manifests and what they reach, each read once, what is below before what stands on it."""

    def __init__(self, reading: Reading, present: frozenset[str], manifests: Sequence[Manifest]) -> None:
        self.problems: list[tuple[str, list[Problem]]] = []
        self._reading = reading
        self._present = present
        self._named = {manifest.name: manifest for manifest in reversed(manifests)}
        self._found: dict[str, Desired | None] = {}

    def of(self, manifest: Manifest) -> Desired | None:
        """Give what is desired; none where something is wrong, which :attr:`problems` then says by path."""
        for one in reversed(self._chain(manifest)):
            if one.path not in self._found:
                self._found[one.path] = self._read(one)
        return self._found[manifest.path]

    def _chain(self, manifest: Manifest) -> list[Manifest]:
        """List a manifest and those below it; a circle ends where it closes, and a chain where it is too long."""
        chain = {manifest.path: manifest}
        while manifest.docker.base_environment is not None and len(chain) <= MAX_CHAIN + 1:
            base = self._named.get(manifest.docker.base_environment)
            if base is None or base.path in chain or base.path in self._found:
                break
            chain[base.path] = manifest = base
        return [*chain.values()]

    def _read(self, manifest: Manifest) -> Desired | None:
        reading, problems = self._reading, list[Problem]()
        self.problems.append((manifest.path, problems))
        lock = None
        try:
            lock = _read_lock(reading.source, manifest, self._present)
        except (ManifestError, SourceError) as error:
            problems += _problems(error, manifest.path)
        source, bases, below = reading.source, reading.config.bases, self._below(manifest)
        try:
            return reading.judge(desire(manifest, source.read, source.walk, bases=bases, lock=lock, below=below))
        except (ManifestError, SourceError) as error:
            problems += _problems(error, manifest.path)
        return None

    def _below(self, manifest: Manifest) -> Desired | None:
        base = self._named.get(manifest.docker.base_environment or "")
        below = self._found.get(base.path) if base is not None else None
        return below if below is None or len(below.chain) <= MAX_CHAIN else None


def _read_below(reading: Reading, manifests: Sequence[Manifest], paths: Sequence[str]) -> list[Manifest]:
    """Read the manifests that these build on and that are not among them; what is wrong with one is not asked here."""
    named = {manifest.name for manifest in manifests}
    waiting = [name for manifest in manifests if (name := manifest.docker.base_environment) is not None]
    found: list[Manifest] = []
    places: dict[str, str] | None = None
    while waiting:
        name = waiting.pop()
        if name in named:
            continue
        places = _places(reading) if places is None else places
        named.add(name)
        path = places.get(name)
        read = _read_manifests(reading, [path])[0] if path is not None and path not in paths else []
        found += read
        waiting += [base for manifest in read if (base := manifest.docker.base_environment) is not None]
    return found


def _places(reading: Reading) -> dict[str, str]:
    """Say in which file each environment has to be declared, by its name."""
    folder = reading.config.manifests
    return {expected_name(path, folder) or "": path for path in manifest_paths(reading.source, folder)}


def _base_problems(reading: Reading, desired: Sequence[Desired], paths: Sequence[str]) -> list[Problem]:
    """Check what builds on another environment, as far as that was asked for."""
    bases = {base for one in desired if (base := one.manifest.docker.base_environment) is not None}
    others = {expected_name(path, reading.config.manifests) or "" for path in paths} if bases else set()
    if bases - others - {one.name for one in desired}:
        others |= set(_places(reading))
    return [found for found in base_problems(desired, others) if found.location.path in paths]


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
