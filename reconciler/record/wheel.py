"""Wheels that were made from source distributions, as a registry keeps them **[format]**.

Each is shaped like the side entries of a record: an image that nothing runs, its one layer the wheel itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from reconciler.errors import CorruptError
from reconciler.oci import media
from reconciler.oci.descriptor import UNKNOWN_PLATFORM, Content, Descriptor, Image, Stream
from reconciler.oci.image import ImageConfig
from reconciler.oci.manifest import ImageManifest, parse_image
from reconciler.values.digest import Digest

_FILE = "org.opencontainers.image.title"
_KEY = "dev.reconciler.wheel-key"
_MANAGER = "dev.reconciler.manager"


@dataclass(frozen=True, kw_only=True, slots=True)
class WheelEntry:
    """What stands beside a wheel: its file's name, the key of what went into it, who put it there, and its blob."""

    file: str
    key: Digest
    manager: str
    blob: Descriptor


def wheel_blob(sha256: str, size: int) -> Descriptor:
    """Describe a wheel's bytes."""
    return Descriptor(media_type=media.WHEEL, digest=Digest.parse(f"sha256:{sha256}"), size=size)


def to_wheel_image(entry: WheelEntry, read: Callable[[], Iterator[bytes]]) -> Image:
    """Wrap a wheel; ``read`` gives its bytes."""
    config = ImageConfig(platform=UNKNOWN_PLATFORM, diff_ids=(entry.blob.digest,)).to_content()
    annotations = {_FILE: entry.file, _KEY: str(entry.key), _MANAGER: entry.manager}
    manifest = ImageManifest(config=config.describe(), layers=(entry.blob,), annotations=annotations)
    stream = Stream(descriptor=entry.blob, read=read)
    return Image(manifest=manifest.to_content(), blobs=(config,), streams=(stream,))


def parse_wheel_image(content: Content) -> WheelEntry:
    """Read what a wheel's manifest says; what is none is a CorruptError."""
    image = parse_image(content)
    if [layer.media_type for layer in image.layers] != [media.WHEEL]:
        raise CorruptError(f"built wheel {content.digest}: it holds no wheel")
    try:
        file, manager = image.annotations.get(_FILE, ""), image.annotations.get(_MANAGER, "")
        key = Digest.parse(image.annotations.get(_KEY, ""))
    except ValueError as error:
        raise CorruptError(f"built wheel {content.digest}: {error}") from error
    return WheelEntry(file=file, key=key, manager=manager, blob=replace(image.layers[0], annotations={}))
