"""References to base images: in a registry, or on disk inside the repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from reconciler.errors import ResolveError
from reconciler.registries.table import is_remote
from reconciler.values.digest import Digest

_LATEST = "latest"
_TAGGED = re.compile(
    r"(?P<name>[^@]+?)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[^@]+))?"
)
_SAVED = re.compile(r"(?P<name>[^@:]+)(?::(?P<tag>[^@]{1,400}))?(?:@(?P<digest>[a-z0-9]+:[^@]+))?")
_FORMS = "write HOST/NAME:TAG, oci:FOLDER:TAG, oci-archive:FILE:TAG or docker-archive:FILE:NAME:TAG"


class Medium(Enum):
    """What an image is in; the value is how a reference begins."""

    REGISTRY = ""
    LAYOUT = "oci:"
    OCI_ARCHIVE = "oci-archive:"
    DOCKER_ARCHIVE = "docker-archive:"


ARCHIVES = frozenset({Medium.OCI_ARCHIVE, Medium.DOCKER_ARCHIVE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """An image: the registry with a prefix, or the folder that it is in; the repository or file there; tag or digest.

    Without either the tag is empty for an archive, which may hold one image alone, else ``latest``.
    """

    medium: Medium
    place: str
    repository: str
    tag: str
    digest: Digest | None

    @property
    def path(self) -> str:
        """Where it is on disk, relative to the repository."""
        return f"{self.place}/{self.repository}" if self.place else self.repository


def parse_reference(text: str) -> Reference:
    """Read ``HOST[:PORT]/NAME``, ``oci:FOLDER``, ``oci-archive:FILE`` (each with ``[:TAG][@DIGEST]``) or
    ``docker-archive:FILE[:NAME:TAG][@DIGEST]``; anything else is a ResolveError.
    """  # noqa: D205  # the forms don't fit one line
    medium = next(found for found in reversed(Medium) if text.startswith(found.value))
    form = _SAVED if medium is Medium.DOCKER_ARCHIVE else _TAGGED
    match = form.fullmatch(text.removeprefix(medium.value))
    try:
        digest = Digest.parse(match["digest"]) if match is not None and match["digest"] else None
    except ValueError:
        match = None
    if match is None:
        raise ResolveError(f"{text[:120]!a} names no image", hint=_FORMS)
    place, _, name = match["name"].rpartition("/")
    if medium is Medium.REGISTRY and not (name and place and is_remote(match["name"])):
        raise ResolveError(
            f"the base image {text[:120]!a} names no registry, and this version asks none by default", hint=_FORMS
        )
    return Reference(medium=medium, place=place, repository=name, tag=_tag(match, medium, digest), digest=digest)


def _tag(match: re.Match[str], medium: Medium, digest: Digest | None) -> str:
    tag = match["tag"] or ""
    if medium is Medium.DOCKER_ARCHIVE:
        return f"{tag}:{_LATEST}" if tag and ":" not in tag.rpartition("/")[2] else tag
    return tag if tag or digest or medium is Medium.OCI_ARCHIVE else _LATEST
