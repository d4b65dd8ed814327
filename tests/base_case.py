"""Base images made for tests: a root with what an interpreter would look like, as an OCI layout."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from reconciler.lock.model import Package
from reconciler.lock.system import System
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.image import ImageConfig, to_manifest
from reconciler.oci.member import Member, file_of, link_of
from reconciler.oci.tar import with_folders, write_tar
from reconciler.ports import BaseImage, Ground, Layers, Standalone, SystemQuestion, Tell, tell_nobody
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

AMD64 = Platform("linux", "amd64")
PASSWD, GROUP = b"root:x:0:0:root:/root:/bin/sh\n", b"root:x:0:\n"
MACHINES = {"amd64": 62, "arm64": 183}


def elf(architecture: str, *texts: bytes) -> bytes:
    """Give the beginning of a program for a machine, with texts in it."""
    return (
        b"\x7fELF\x02\x01\x01"
        + bytes(11)
        + MACHINES[architecture].to_bytes(2, "little")
        + b"\0".join([b"", *texts, b""])
    )


def root(architecture: str = "amd64", version: str = "3.11.2", glibc: str = "2.36") -> list[Member]:
    """Give the files of a small merged-/usr root with a Python in it."""
    minor = ".".join(version.split(".")[:2])
    return [
        file_of("etc/passwd", PASSWD),
        file_of("etc/group", GROUP),
        file_of(f"usr/bin/python{minor}", elf(architecture, version.encode()), mode=0o755),
        link_of("usr/bin/python3", f"python{minor}"),
        file_of("usr/lib/libc.so.6", elf(architecture, f"GNU C Library (X) stable release version {glibc}.".encode())),
        link_of("bin", "usr/bin"),
        link_of("lib", "usr/lib"),
        file_of("usr/lib/python3/dist-packages/idna-3.3.dist-info/METADATA", b"Name: idna\n"),
    ]


def write_base(
    folder: Path, *layers: Sequence[Member], platform: Platform = AMD64, tag: str = "latest", **config: object
) -> Digest:
    """Write an image of these layers into an OCI layout, and give its manifest's digest."""
    registry = LayoutRegistry(folder.parent, store=ContentStore(folder.parent / ".store"))
    plain = [b"".join(write_tar(with_folders(layer))) for layer in layers or [root(platform.architecture)]]
    blobs = [Content(media_type=media.LAYER_TAR_GZIP, data=gzip.compress(data, 1, mtime=0)) for data in plain]
    written = ImageConfig(platform=platform, diff_ids=tuple(map(Digest.of, plain)), **config).to_content()  # type: ignore[arg-type]
    for blob in (*blobs, written):
        registry.push_blob(folder.name, blob)
    manifest = to_manifest(written, [blob.describe() for blob in blobs])
    registry.push(folder.name, manifest, tags=[tag])
    return manifest.digest


class NoSystems:
    """Makes no base of packages: what is tested is built on images (``ports.Systems``)."""

    def handles(self, entry: str) -> bool:
        del entry
        return False

    def resolve(self, question: SystemQuestion) -> Ground:
        raise AssertionError(question)

    def newer(self, system: System, platform: Platform) -> tuple[str, ...]:
        raise AssertionError(system, platform)

    def open(
        self, ground: Ground, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> BaseImage:
        raise AssertionError(ground, platform, layers, tell)

    def choose(
        self, version: str, platform: Platform, *, preference: Package | None = None, tell: Tell = tell_nobody
    ) -> Standalone:
        raise AssertionError(version, platform, preference, tell)

    def lay(
        self,
        base: BaseImage,
        build: Package,
        platform: Platform,
        *,
        layers: Layers | None = None,
        tell: Tell = tell_nobody,
    ) -> BaseImage:
        raise AssertionError(base, build, platform, layers, tell)
