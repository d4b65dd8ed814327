"""Base images, wherever they are: in a registry, or in a layout or an archive of the repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import CorruptError, NotFoundError, ResolveError
from reconciler.lock.model import ENVIRONMENT
from reconciler.oci import media
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Content
from reconciler.oci.manifest import parse_image, parse_index
from reconciler.ports import BaseImage, Images, Registry
from reconciler.registries.archive import DockerArchive, OciArchive
from reconciler.registries.checks import HOSTS_OWN, is_repository
from reconciler.registries.layout import LayoutRegistry
from reconciler.registries.reference import ARCHIVES, Medium, Reference, parse_reference
from reconciler.store.archive import open_archive
from reconciler.store.content import ContentStore
from reconciler.values import names, paths
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

MAX_CONFIG = 4 << 20
"""Bytes of a configuration."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBases:
    """Implements :class:`reconciler.ports.Bases`.

    ``connect`` opens a registry by its address, with a credential by name; ``root`` is the repository that layouts and
    archives are in; ``target`` is the address of the registry that environments go to, and ``environments`` that
    registry.
    """

    connect: Callable[[str, str | None], Registry]
    root: Path
    target: str = ""
    environments: Registry | None = None
    _archives: dict[tuple[object, ...], Images] = field(default_factory=dict, init=False, repr=False, compare=False)

    def open(
        self, reference: str, platform: Platform, *, digest: Digest | None = None, credential: str | None = None
    ) -> BaseImage:
        """Give the image of a platform; an artifact of another environment by its digest alone."""
        if reference.startswith(ENVIRONMENT) and digest is not None and self.environments is not None:
            name = reference.removeprefix(ENVIRONMENT)
            return _opened(reference, platform, self.environments, name, self.environments.fetch(name, digest), name)
        found = parse_reference(reference)
        try:
            registry = self._images(found, credential)
            manifest = _manifest(registry, found, reference, platform, digest)
        except NotFoundError as error:
            raise _absent(found, reference, error, pinned=digest is not None) from error
        return _opened(reference, platform, registry, found.repository, manifest, self._mount(found))

    def _images(self, found: Reference, credential: str | None) -> Images:
        if found.medium is Medium.REGISTRY:
            return self.connect(found.place, credential)
        path = self._path(found)
        if found.medium is Medium.LAYOUT:
            if (reason := names.refusal(found.repository)) is not None:
                raise ResolveError(f"oci:{found.path}: {reason}", hint="rename the folder")
            store = ContentStore(path.parent / ".store")
            return LayoutRegistry(path.parent, store=store, address=f"oci:{found.place or '.'}")
        archive = open_archive(path, f"{found.medium.value}{found.path}")
        make = OciArchive if found.medium is Medium.OCI_ARCHIVE else DockerArchive
        # What was hashed once need not be hashed again for the next environment, unless it is another file.
        return self._archives.setdefault((found.medium, found.path, archive.identity), make(archive))

    def _path(self, found: Reference) -> Path:
        shown = f"{found.medium.value}{found.path}"
        try:
            path = self.root / paths.join("", found.path)
        except ValueError as error:
            raise ResolveError(f"{shown}: {error}") from error
        if any(part.is_symlink() for part in (path, *path.parents) if part != self.root):
            raise ResolveError(f"{shown}: links are not followed")
        return path

    def _mount(self, found: Reference) -> str | None:
        """Say how the registry of the environments calls the repository, where it is there."""
        host, _, path = found.place.partition("/")
        if found.medium is not Medium.REGISTRY or host.lower() != self.target.partition("/")[0].lower():
            return None
        if found.place.lower() == self.target.lower().rstrip("/") and is_repository(found.repository):
            return found.repository
        return f"{HOSTS_OWN}{path}/{found.repository}" if path else f"{HOSTS_OWN}{found.repository}"


def _opened(  # noqa: PLR0913, PLR0917  # one argument a part of it
    reference: str, platform: Platform, registry: Images, repository: str, manifest: Content, mount: str | None
) -> BaseImage:
    config = _config(registry, repository, manifest, reference)
    is_of = parse_config(config).platform
    if is_of != platform:
        raise ResolveError(f"the base image {reference} is for {is_of}, not for {platform}")
    return BaseImage(
        reference=reference, registry=registry, repository=repository, manifest=manifest, config=config, mount=mount
    )


def _manifest(registry: Images, found: Reference, reference: str, platform: Platform, digest: Digest | None) -> Content:
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


def _absent(found: Reference, reference: str, error: NotFoundError, *, pinned: bool) -> ResolveError:
    if pinned:
        hint = "it was deleted or replaced; `reconciler lock --upgrade-base` takes what is there now"
    else:
        hint = error.message if found.medium in ARCHIVES else "check its name and tag"
    return ResolveError(f"there is no base image {reference}", hint=hint)


def _config(registry: Images, repository: str, manifest: Content, reference: str) -> Content:
    descriptor = parse_image(manifest).config
    if descriptor.size > MAX_CONFIG:
        raise CorruptError(f"the base image {reference} has a configuration of {descriptor.size} bytes")
    data = b"".join(registry.fetch_blob(repository, descriptor))
    return Content(media_type=descriptor.media_type, data=data)
