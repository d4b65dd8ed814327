"""Real bases for tests: Debian bookworm for two architectures, as one OCI layout, made by mmdebstrap in half a minute.

The root for amd64 is installed, with Python 3.11; the one for arm64 is only unpacked, which no emulation is needed for.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import deflate

from reconciler.oci import media
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.image import ImageConfig, to_manifest
from reconciler.oci.manifest import Index
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform
from tests.services import as_root

SUITE, TAG = "bookworm", "latest"
_NAME = "debian"
_PACKAGES = "python3,libgomp1,libstdc++6,ca-certificates"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_VARIANTS = {"amd64": ("--variant=essential",), "arm64": ("--variant=extract", "--architectures=arm64")}
_TIME = "1700000000"
_SAID = 2000


class Required(Protocol):
    """How a missing tool is told."""

    def program(self, name: str) -> Path: ...

    def refuse(self, reason: str) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Debian:
    """An OCI layout: ``latest`` is an index of both platforms, ``amd64`` and ``arm64`` are the images in it."""

    layout: Path

    def link_into(self, folder: Path) -> Path:
        """Put it into a folder as ``debian``, by hard links: ``docker.base_image: oci:debian``."""
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copytree(self.layout, folder / _NAME, copy_function=os.link))

    @cached_property
    def digests(self) -> dict[str, Digest]:
        """The digests of the image manifests, by architecture."""
        registry = LayoutRegistry(self.layout.parent, store=ContentStore(self.layout.parent / ".store"))
        found = {name: registry.fetch(_NAME, name) for name in _VARIANTS}
        return {name: content.digest for name, content in found.items() if content is not None}


def make_debian(required: Required, folder: Path) -> Debian:
    """Make it in a folder, once: whoever comes meanwhile waits, and finds it."""
    program = required.program("mmdebstrap")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Debian(layout=folder / "made" / _NAME)
        if not made.layout.parent.exists():
            command: list[str | Path] = [*as_root(required, "mmdebstrap"), "env", f"SOURCE_DATE_EPOCH={_TIME}", program]
            making = folder / "making"
            shutil.rmtree(making, ignore_errors=True)
            _write_layout(making, {name: _root(required, command, name) for name in _VARIANTS})
            making.rename(made.layout.parent)
    return made


def _root(required: Required, command: Sequence[str | Path], architecture: str) -> bytes:
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
    done = subprocess.run(
        [*command, "--mode=root", *_VARIANTS[architecture], f"--include={_PACKAGES}", *options, SUITE, "-"],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        required.refuse(f"mmdebstrap makes no {architecture} root: {done.stderr.decode()[-_SAID:]}")
    return done.stdout


def _write_layout(folder: Path, roots: dict[str, bytes]) -> None:
    registry = LayoutRegistry(folder, store=ContentStore(folder / ".store"))
    entries = tuple(_push(registry, architecture, data) for architecture, data in roots.items())
    registry.push(_NAME, Index(manifests=entries, annotations={}).to_content(), tags=[TAG])


def _push(registry: LayoutRegistry, architecture: str, data: bytes) -> Descriptor:
    platform = Platform("linux", architecture)
    layer = Content(media_type=media.LAYER_TAR_GZIP, data=bytes(deflate.gzip_compress(data, 6)))
    config = ImageConfig(
        platform=platform, diff_ids=(Digest.of(data),), environment=_ENVIRONMENT, command=("bash",)
    ).to_content()
    for blob in (layer, config):
        registry.push_blob(_NAME, blob)
    manifest = to_manifest(config, [layer.describe()])
    registry.push(_NAME, manifest, tags=[architecture])
    return manifest.describe(platform=platform)
