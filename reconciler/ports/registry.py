"""Bytes and tags by repository, and what stands behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from reconciler.oci.descriptor import Blob, Content, Descriptor
from reconciler.values.digest import Digest


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

        ``mount_from`` is that repository, or ``/NAME`` where it is not below our prefix.

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
