"""What turns a request into a lock, and a lock into an artifact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.assembly.built import BuiltWheels, NoBuiltWheels
from reconciler.lock.model import Lock, PlatformLock
from reconciler.manifest.desired import Desired
from reconciler.oci.descriptor import Content, Descriptor, Image, Stream
from reconciler.ports.working import Tell, tell_nobody
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform


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
    ``streams`` are the layers of one that was made here, from the lowest; there are none where it is somewhere else.
    """

    reference: str
    registry: Images
    repository: str
    manifest: Content
    config: Content
    mount: str | None = None
    streams: tuple[Stream, ...] = ()


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
    means that nothing has to stay. With ``upgrade_base`` what is below the packages may move: the base image, or the
    Debian packages and the interpreter. ``below`` is the lock of the environment that this one builds on. ``tell`` is
    told how far the work is.
    """

    desired: Desired
    preference: Lock | None = None
    upgrade: frozenset[str] | None = frozenset()
    upgrade_base: bool = False
    build_allowed: bool = True
    below: Lock | None = None
    tell: Tell = tell_nobody


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
    """What a platform is built on: the manifest of its base, the place and the exact version of the Python there.

    A base that is made of packages has no manifest before it is made; it has its ``lock``.
    """

    manifest: Digest
    python: str
    version: str
    lock: PlatformLock | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What a builder is asked: one platform of one environment.

    ``layers`` are those that may be taken over, ``wheels`` those that were made from source distributions before.
    ``below`` is the manifest of the artifact that is built on, where that is another environment's. ``foundations``
    are those of all platforms of the environment. ``tell`` is told how far the work is.
    """

    desired: Desired
    platform: Platform
    lock: PlatformLock
    key: Digest
    layers: Layers = field(default_factory=NoLayers)
    wheels: BuiltWheels = field(default_factory=NoBuiltWheels)
    below: Digest | None = None
    foundations: Mapping[Platform, Foundation] = field(default_factory=dict)
    tell: Tell = tell_nobody


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
