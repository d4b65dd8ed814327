"""Base images, wherever they are: in a registry, or in an OCI layout of the repository (image-layout.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import CorruptError, NotFoundError, ResolveError
from reconciler.oci import media
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Content
from reconciler.oci.manifest import parse_image, parse_index
from reconciler.ports import BaseImage, Registry
from reconciler.registries.layout import LayoutRegistry
from reconciler.registries.table import is_remote
from reconciler.store.content import ContentStore
from reconciler.values import paths
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

MAX_CONFIG = 4 << 20
"""Bytes of a configuration."""
LAYOUT = "oci:"
_REFERENCE = re.compile(
    r"(?P<name>[^@]+?)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[^@]+))?"
)
_LATEST = "latest"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """An image: the registry's host, or the layout's folder; the repository there; a tag or a digest."""

    place: str
    repository: str
    tag: str
    digest: Digest | None
    is_layout: bool


def parse_reference(text: str) -> Reference:
    """Read ``HOST[:PORT]/NAME[:TAG][@DIGEST]`` or ``oci:FOLDER[:TAG][@DIGEST]``; anything else is a ResolveError."""
    is_layout = text.startswith(LAYOUT)
    match = _REFERENCE.fullmatch(text.removeprefix(LAYOUT))
    try:
        digest = Digest.parse(match["digest"]) if match is not None and match["digest"] else None
    except ValueError:
        match = None
    if match is None:
        raise ResolveError(f"{text[:120]!a} names no image", hint="write HOST/NAME:TAG, or oci:FOLDER:TAG")
    place, _, name = match["name"].rpartition("/") if is_layout else match["name"].partition("/")
    if not is_layout and not (name and is_remote(f"{place}/{name}")):
        raise ResolveError(
            f"the base image {text[:120]!a} names no registry, and this version asks none by default",
            hint="write HOST/NAME:TAG, or oci:FOLDER:TAG for an image in the repository",
        )
    tag = match["tag"] or ("" if digest else _LATEST)
    return Reference(place=place, repository=name, tag=tag, digest=digest, is_layout=is_layout)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBases:
    """Implements :class:`reconciler.ports.Bases`.

    ``connect`` opens a registry by its host; ``root`` is the repository that layouts are in; ``target`` is the address
    of the registry that environments go to.
    """

    connect: Callable[[str], Registry]
    root: Path
    target: str = ""

    def open(self, reference: str, platform: Platform, *, digest: Digest | None = None) -> BaseImage:
        """Give the image of a platform."""
        found = parse_reference(reference)
        registry = self._layout(found) if found.is_layout else self.connect(found.place)
        manifest = _manifest(registry, found, reference, platform, digest)
        config = _config(registry, found.repository, manifest, reference)
        is_of = parse_config(config).platform
        if is_of != platform:
            raise ResolveError(f"the base image {reference} is for {is_of}, not for {platform}")
        return BaseImage(
            reference=reference,
            registry=registry,
            repository=found.repository,
            manifest=manifest,
            config=config,
            mount=self._mount(found),
        )

    def _layout(self, found: Reference) -> Registry:
        try:
            folder = self.root / paths.join("", found.place) if found.place else self.root
        except ValueError as error:
            raise ResolveError(f"oci:{found.place}: {error}") from error
        if any(path.is_symlink() for path in (folder / found.repository, folder, *folder.parents) if path != self.root):
            raise ResolveError(f"oci:{found.place}/{found.repository}: links are not followed")
        return LayoutRegistry(folder, store=ContentStore(folder / ".store"), address=f"oci:{found.place or '.'}")

    def _mount(self, found: Reference) -> str | None:
        host, _, prefix = self.target.partition("/")
        if found.is_layout or host.lower() != found.place.lower():
            return None
        inside = found.repository.removeprefix(f"{prefix}/") if prefix else found.repository
        return inside if not prefix or inside != found.repository else None


def _manifest(
    registry: Registry, found: Reference, reference: str, platform: Platform, digest: Digest | None
) -> Content:
    try:
        content = registry.fetch(found.repository, digest or found.digest or found.tag)
        if content.media_type not in media.INDEXES:
            return content
        entries = parse_index(content).manifests
        chosen = next((entry for entry in entries if entry.platform == platform), None)
        if chosen is None:
            there = sorted(
                {str(entry.platform) for entry in entries if entry.platform and "unknown" not in str(entry.platform)}
            )
            raise ResolveError(
                f"the base image {reference} is not there for {platform}",
                hint=f"it is for {', '.join(there) or 'no platform'}; name another, or other `platforms`",
            )
        return registry.fetch(found.repository, chosen.digest)
    except NotFoundError as error:
        hint = "it was deleted; `reconciler lock --upgrade-base` takes what is there now" if digest else None
        raise ResolveError(f"there is no base image {reference}", hint=hint or "check its name and tag") from error


def _config(registry: Registry, repository: str, manifest: Content, reference: str) -> Content:
    descriptor = parse_image(manifest).config
    if descriptor.size > MAX_CONFIG:
        raise CorruptError(f"the base image {reference} has a configuration of {descriptor.size} bytes")
    data = b"".join(registry.fetch_blob(repository, descriptor))
    return Content(media_type=descriptor.media_type, data=data)
