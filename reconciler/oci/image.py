"""Image configurations and whole images, as pure functions of what goes in (image-spec 1.1, config.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor, Image
from reconciler.oci.manifest import ImageManifest
from reconciler.values.canonical import Json, to_canonical
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

CREATED = "1970-01-01T00:00:00Z"
"""When every image was made, as far as it says: a clock in it would make equal inputs unequal **[format]**."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageConfig:
    """An image configuration: its platform, the digests of its uncompressed layers, and how a container starts."""

    platform: Platform
    diff_ids: tuple[Digest, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    workdir: str | None = None
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""

    def to_content(self) -> Content:
        """Write the configuration in canonical form; what is empty is left out."""
        value: dict[str, Json] = {
            "created": CREATED,
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": self._start(),
            "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in self.diff_ids]},
        }
        return Content(media_type=media.CONFIG, data=to_canonical(value))

    def _start(self) -> dict[str, Json]:
        fields: dict[str, Json] = {
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "User": self.user,
            "WorkingDir": self.workdir,
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Labels": dict(self.labels),
            "ExposedPorts": {port: {} for port in self.ports},
            "Volumes": {volume: {} for volume in self.volumes},
            "StopSignal": self.stop_signal,
        }
        return {name: value for name, value in fields.items() if value}


def to_image(config: ImageConfig, layers: Sequence[Content], annotations: Mapping[str, str] | None = None) -> Image:
    """Put a configuration and its layers, from the lowest, under one manifest."""
    written = config.to_content()
    manifest = ImageManifest(
        config=written.describe(),
        layers=tuple(layer.describe() for layer in layers),
        annotations=annotations or {},
    )
    return Image(manifest=manifest.to_content(), blobs=(written, *layers))


def to_manifest(config: Content, layers: Sequence[Descriptor]) -> Content:
    """Put a configuration and layers that are elsewhere, from the lowest, under one manifest."""
    return ImageManifest(config=config.describe(), layers=tuple(layers)).to_content()


def side_entry(media_type: str, data: bytes) -> Image:
    """Wrap data as an image that nothing runs, with one layer of this media type, as BuildKit wraps attestations.

    Registries and clients that know no artifacts take it. Describe its manifest with ``UNKNOWN_PLATFORM``.
    """
    layer = Content(media_type=media_type, data=data)
    return to_image(ImageConfig(platform=UNKNOWN_PLATFORM, diff_ids=(layer.digest,)), (layer,))
