"""What every registry refuses before it does anything: names, tags, and manifests that it can't take."""

from __future__ import annotations

import re
from collections.abc import Callable

from reconciler.errors import CorruptError, RegistryError
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.manifest import parse_manifest, references
from reconciler.values.digest import Digest
from reconciler.values.names import refusal

OWN = frozenset({"reconciler-state", "reconciler-wheels"})
"""The repositories that are no environments."""
HOSTS_OWN = "/"
"""What stands before the name of a repository that is not below our prefix."""
# distribution-spec 1.1, "Pulling manifests"; a name with the host is at most 255 characters long.
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_MAX_NAME = 255
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


def is_repository(name: str) -> bool:
    """Tell whether a text is the name of a repository."""
    return name in OWN or refusal(name) is None


def check_repository(name: str) -> None:
    """Refuse what is no repository's name, before it becomes part of a path; a RegistryError."""
    if name not in OWN and (reason := refusal(name)) is not None:
        raise RegistryError(f"no repository: {reason}")


def check_source(name: str) -> None:
    """Refuse what blobs can't be mounted from: a repository beside ours, or ``/NAME``, whose name is the host's own."""
    if not name.startswith(HOSTS_OWN):
        check_repository(name)
    elif _NAME.fullmatch(name.removeprefix(HOSTS_OWN)) is None or len(name) > _MAX_NAME:
        raise RegistryError(f"no repository: {name[:140]!a}")


def is_tag(text: str) -> bool:
    """Tell whether a text is a tag (distribution-spec 1.1, "Pulling manifests")."""
    return _TAG.fullmatch(text) is not None


def check_tag(tag: str) -> None:
    """Refuse what is no tag; a RegistryError."""
    if not is_tag(tag):
        raise RegistryError(f"{tag[:140]!a} is not a tag; tags match {_TAG.pattern}")


def refuse_dangling(repository: str, content: Content, has_blob: Callable[[str, Descriptor], bool]) -> None:
    """Refuse a manifest that is malformed (CorruptError) or names content that is not there (RegistryError)."""
    for descriptor in references(content):
        if not has_blob(repository, descriptor):
            raise RegistryError(
                f"{repository}: the manifest {content.digest} names {descriptor.digest}, which is not there",
                hint="blobs are pushed before the manifests that name them, and those before an index",
            )


def manifest_of(data: bytes, digest: Digest, repository: str, descriptor: Descriptor | None) -> Content:
    """Take verified bytes for the manifest that they say to be, which is the one that was described.

    Anything else is a CorruptError.
    """
    try:
        content = parse_manifest(data)
    except ValueError as error:
        raise CorruptError(
            f"{repository}: {digest} is neither an image index nor an image manifest: {error}"
        ) from error
    if descriptor is not None and (content.media_type, len(data)) != (descriptor.media_type, descriptor.size):
        raise CorruptError(
            f"{repository}: {digest} is {content.media_type} of {len(data)} bytes, and is described as"
            f" {descriptor.media_type} of {descriptor.size}"
        )
    return content
