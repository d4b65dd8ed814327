"""What the reconciler asks of the world: one Protocol a need.

Adapters implement them, ``reconcile`` uses them, ``cli.wiring`` brings both together. An adapter maps every error of
the system behind it to ``reconciler.errors``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, TypeVar

from reconciler.assembly.built import BuiltWheels, NoBuiltWheels
from reconciler.lock.model import Lock, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Manifest
from reconciler.oci.descriptor import Blob, Content, Descriptor, Image, Stream
from reconciler.values.canonical import Json
from reconciler.values.commit import Commit, Revision
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

Input = TypeVar("Input")
Output = TypeVar("Output")


# -- the repository ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True, slots=True)
class Entry:
    """A file below a folder: its path relative to the repository, and its git mode.

    Modes are ``100644``, ``100755``, ``120000`` (a link), ``040000`` (a folder), ``160000`` (a submodule).
    """

    path: str
    mode: str


class Source(Protocol):
    """The files of one revision. Every path is relative to the repository's root, with ``/``, and stays inside."""

    def read(self, path: str, *, limit: int = 1 << 20) -> bytes:
        """Give a file's bytes. Missing, unreadable, outside, no plain file or over ``limit`` is a SourceError."""

    def entries(self, folder: str) -> tuple[Entry, ...]:
        """List what stands directly in a folder, sorted by path. A missing folder is a SourceError."""

    def walk(self, folder: str) -> tuple[Entry, ...]:
        """List every file below a folder, sorted by path; links and submodules are a SourceError."""


class History(Protocol):
    """What version control knows."""

    def revision(self, paths: Sequence[str]) -> Revision:
        """Tell the commit, the origin, and whether a file below ``paths`` differs from the commit."""

    def is_ancestor(self, ancestor: Commit, descendant: Commit) -> bool | None:
        """Tell whether one commit comes before another (or is it); none where history does not reach."""

    def deepen(self) -> bool:
        """Fetch from the origin what this clone lacks of history; tell whether there is more of it now."""


# -- the registry -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """Something that a registry can do (``push``, ``list tags``): whether it does, none where that can't be told.

    ``detail`` says how that was found out, or what follows; ``hint`` what to do where it is needed and not there.
    """

    name: str
    supported: bool | None
    detail: str = ""
    hint: str = ""


class Registry(Protocol):
    """Bytes and tags, by repository; nothing is believed before it is hashed.

    A repository is an environment's name, or one of our own (``reconciler-state``, ``reconciler-wheels``). Errors:
    NotFoundError only where the registry itself says that something is not there, DeniedError, UnavailableError,
    CorruptError, StoreError.
    """

    @property
    def address(self) -> str:
        """How people and records name this registry."""

    @property
    def remote(self) -> bool:
        """Whether others write to it from elsewhere, each question costs a request, and it verifies what it takes."""

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest, verified."""

    def resolve(self, repository: str, reference: str | Digest) -> Digest | None:
        """Tell which manifest a tag or a digest names, none where it is not there; its content is not read."""

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; what differs from its size or digest is a CorruptError, at the latest at the end."""

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """Tell whether a blob of that digest is there."""

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        """Store a blob; it is durable when this returns. It may be taken from another repository, and is then not read.

        A blob that is not what its descriptor says is a CorruptError, and not stored.
        """

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        """Store a manifest or index and move these tags to it, all in one step where the registry can."""

    def delete(self, repository: str, reference: str | Digest) -> None:
        """Delete a tag, or a manifest by its digest with every tag that names it.

        A NotFoundError where there is none, a RegistryError where the registry does not delete.
        """

    def tags(self, repository: str) -> tuple[str, ...]:
        """List tags, sorted; empty where there is no such repository."""

    def repositories(self) -> tuple[str, ...] | None:
        """List repositories, sorted; none where the registry can't tell."""

    def claim(self, repository: str) -> None:
        """Make sure that the repository is there and that we may write to it; a DeniedError where we may not.

        Some registries answer "denied" for a repository that is not there yet; after this they answer for what is in
        it. What it may leave is one blob of two bytes that nothing names.
        """

    def features(self, repository: str) -> tuple[Feature, ...]:
        """Find out what the registry can do for a repository, leaving nothing behind; it may not answer."""

    def writing(self, repository: str) -> AbstractContextManager[None]:
        """Keep other writers of this repository out, where the registry can; waits its turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A file or folder of a registry's storage that is worth a word: its path as people type it, and its size in bytes.

    ``digest`` is what a blob's name says. ``fault`` says what is wrong with it; nothing is wrong with what is merely
    named by nothing, or left over from a write that was cut off (``leftover``).
    """

    path: str
    size: int = 0
    digest: Digest | None = None
    fault: str = ""
    leftover: bool = False


class Inspected(Protocol):
    """The storage of a registry, where it can be looked at from below; nothing is written."""

    def place(self, repository: str, digest: Digest | None = None) -> str:
        """Say where a blob is kept, or the whole repository, as people type it."""

    def copy_of(self, repository: str, digest: Digest) -> str | None:
        """Find a whole copy of a repository's blob kept elsewhere, and say where."""

    def inspect(self, repository: str, known: AbstractSet[Digest]) -> Iterator[Stored]:
        """List what is odd, left over, or not ``known`` to be named; blobs that are not known are hashed."""

    def inspect_shared(self) -> Iterator[Stored]:
        """List what is odd, damaged or left over in what all repositories share."""


# -- making environments ----------------------------------------------------------------------------------------


class Images(Protocol):
    """Where images are read from: a registry, or an archive that is read like one."""

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        """Give a manifest or index, by tag or digest, verified; errors are those of :class:`Registry`."""

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> Iterator[bytes]:
        """Stream a blob; what differs from its size or digest is a CorruptError, at the latest at the end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage:
    """An image that others are built on: where it is, and its manifest and configuration for one platform, verified.

    ``reference`` is as declared. Its layers are read from ``registry`` when they are needed, or mounted where they go
    to the same host: ``mount`` is how the registry of the environments calls the repository, none where it can't.
    """

    reference: str
    registry: Images
    repository: str
    manifest: Content
    config: Content
    mount: str | None = None


class Bases(Protocol):
    """Finds base images, wherever they are."""

    def open(
        self, reference: str, platform: Platform, *, digest: Digest | None = None, credential: str | None = None
    ) -> BaseImage:
        """Give the image of a platform; with ``digest`` the one whose manifest that is, else what it is now.

        ``credential`` is the name of the one that its registry is asked with, where one is named.
        A reference that can't be read, or an image that has no such platform, is a ResolveError; errors of the registry
        are passed on.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What a resolver is asked.

    ``preference`` is the lock whose versions stay where they can. ``upgrade`` names packages that may move; none
    means that nothing has to stay. ``below`` is the lock of the environment that this one builds on.
    """

    desired: Desired
    preference: Lock | None = None
    upgrade: frozenset[str] | None = frozenset()
    build_allowed: bool = True
    below: Lock | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A lock, and what is worth saying about it, one line each."""

    lock: Lock
    notes: tuple[str, ...] = ()


class Resolver(Protocol):
    """Turns a request into a lock."""

    def resolve(self, resolution: Resolution) -> Resolved:
        """Solve for every platform of the manifest. A ResolveError says what can't be solved, where and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer that is there: how to read it, and the digest of its uncompressed form."""

    stream: Stream
    diff_id: Digest


class Layers(Protocol):
    """Layers of images that were built before, by what went into them."""

    def find(self, key: Digest) -> Layer | None:
        """Give a layer with that key; none where nobody made one, or it can't be had."""


class NoLayers:
    """Nothing was built before."""

    def find(self, key: Digest) -> Layer | None:
        """Find none."""
        del key
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Foundation:
    """What a platform is built on: the manifest of its base, the place and the exact version of the Python there."""

    manifest: Digest
    python: str
    version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a builder is asked: one platform of one environment.

    ``layers`` are those that may be taken over, ``wheels`` those that were made from source distributions before.
    ``below`` is the manifest of the artifact that is built on, where that is another environment's. ``foundations``
    are those of all platforms of the environment.
    """

    desired: Desired
    platform: Platform
    lock: PlatformLock
    key: Digest
    layers: Layers = field(default_factory=NoLayers)
    wheels: BuiltWheels = field(default_factory=NoBuiltWheels)
    below: Digest | None = None
    foundations: Mapping[Platform, Foundation] = field(default_factory=dict)


class Builder(Protocol):
    """Turns a lock into an artifact; the artifact is a pure function of the build key."""

    @property
    def name(self) -> str:
        """The builder's name in build keys."""

    @property
    def recipe(self) -> int:
        """How it builds, counted; part of the build key."""

    def refusal(self, desired: Desired) -> str | None:
        """Say in one line why this environment can't be made by this builder, or nothing."""

    def prepare(self, desired: Desired) -> None:
        """Check before anything is built that this machine can (an interpreter is there); else a BuildError."""

    def build(self, task: Task) -> Image:
        """Make the environment and give its artifact. A BuildError says what failed and where."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a runner is asked: a registered environment, and what to run in it.

    ``command`` begins with a script (``.py``) or a program; ``variables`` are set over the caller's own, ``${VAR}``
    already expanded. A container has its ``images``, the ``reference`` that they are known by (``NAME:vN``), and the
    ``settings`` that the manifest declares for running: ``shm_size``, ``arguments``, ``gpus``.
    """

    name: str
    key: Digest
    request: Digest
    lock: PlatformLock
    platform: Platform
    command: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    interpreter_path: str | None = None
    images: Mapping[Platform, Image] = field(default_factory=dict)
    reference: str = ""
    settings: Mapping[str, Json] = field(default_factory=dict)


class Runner(Protocol):
    """Runs a command in an environment, making it first where this machine lacks it."""

    def run(self, run: Run) -> int:
        """Run to the end and give the exit status; signals are passed on (128 + n where one ended it)."""


class Checker(Protocol):
    """Runs the checks that a manifest declares in an image that was just built."""

    def check(self, manifest: Manifest, platform: Platform, image: Image) -> str | None:
        """Run them; the first that fails is a BuildError. Where they can't be run, say why in a line."""


class Executor(Protocol):
    """Does independent work side by side."""

    def map(self, work: Callable[[Input], Output], items: Iterable[Input]) -> Iterator[tuple[Input, Output]]:
        """Give each item with its result as it is done. The first exception that ``work`` raises ends it all."""


class Stage(Enum):
    """What is happening to an environment."""

    RESOLVING = "resolving"
    BUILDING = "building"
    PUBLISHING = "publishing"
    CHECKING = "checking"
    LOADING = "loading"
    EXPORTING = "exporting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One event of a long work."""

    name: str
    stage: Stage
    detail: str = ""


class Reporter(Protocol):
    """Shows what is going on."""

    def report(self, progress: Progress) -> None:
        """Show an event. Called from any thread."""


# -- remembering ------------------------------------------------------------------------------------------------


class Cache(Protocol):
    """Derived values by the key of all that they were derived from; one that is lost is derived again."""

    def get(self, key: str) -> Json | None:
        """Give the value, none where it is not there or was damaged."""

    def put_many(self, values: Mapping[str, Json]) -> None:
        """Keep these values."""
