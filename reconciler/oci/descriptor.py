"""Descriptors, and the content that they describe (image-spec 1.1, descriptor.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from reconciler.oci.document import parse_object
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

UNKNOWN_PLATFORM = Platform("unknown", "unknown")
"""What BuildKit writes on entries that are no image, so that nothing runs them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Descriptor:
    """Content by media type, digest and size in bytes."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Json]:
        """Write the descriptor; what is empty is left out."""
        value: dict[str, Json] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.platform is not None:
            value["platform"] = {
                "architecture": self.platform.architecture,
                "os": self.platform.os,
            }
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value


@dataclass(frozen=True, kw_only=True)
class Content:
    """A manifest, an index or a small blob: its bytes, held in memory, and what they are."""

    media_type: str
    data: bytes

    @cached_property
    def digest(self) -> Digest:
        """The digest of the bytes."""
        return Digest.of(self.data)

    @cached_property
    def document(self) -> dict[str, Json]:
        """The bytes read strictly as a JSON object, not to be changed; what is none is a ValueError."""
        return parse_object(self.data)

    def describe(self, *, platform: Platform | None = None, annotations: Mapping[str, str] | None = None) -> Descriptor:
        """Describe the content."""
        return Descriptor(
            media_type=self.media_type,
            digest=self.digest,
            size=len(self.data),
            platform=platform,
            annotations=annotations or {},
        )

    def chunks(self) -> Iterator[bytes]:
        """Give the bytes, all at once."""
        yield self.data


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """A blob that is not held in memory: what it is, and how to read it from its beginning, each time anew.

    Whoever reads it verifies it against the descriptor, or takes it from where that is done. ``mount_from`` is another
    repository of the registry that it goes to, where it is already; one that is not below our prefix is ``/NAME``.
    ``file`` is a file of this machine that holds the bytes and is never written to: it may be given a second name.
    """

    descriptor: Descriptor
    read: Callable[[], Iterator[bytes]]
    mount_from: str | None = None
    file: str | None = None

    @property
    def digest(self) -> Digest:
        """The digest that the bytes have to have."""
        return self.descriptor.digest

    def describe(self) -> Descriptor:
        """Describe the blob."""
        return self.descriptor

    def chunks(self) -> Iterator[bytes]:
        """Read the bytes from the beginning."""
        return self.read()


Blob: TypeAlias = Content | Stream


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image manifest with the blobs that it names.

    ``blobs`` are those held in memory, its configuration first; ``streams`` those that are not.
    """

    manifest: Content
    blobs: tuple[Content, ...]
    streams: tuple[Stream, ...] = ()
