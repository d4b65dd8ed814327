"""A repository whose images build on one another, on a small base for two platforms; and what is in its images."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

from reconciler.oci.configuration import BaseConfig, parse_config
from reconciler.oci.descriptor import Content, Descriptor
from reconciler.oci.manifest import Index, parse_image, parse_index
from reconciler.oci.rootfs import Rootfs
from reconciler.oci.untar import decompress, read_tar
from reconciler.plan.observed import Present
from reconciler.reconcile.observe import Depth, observe
from reconciler.record import Record
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.values.platform import Platform
from tests.base_case import write_base
from tests.repository import Repository

BOTH = (Platform("linux", "amd64"), Platform("linux", "arm64"))
MODULES = "opt/venv/lib/python3.11/site-packages"


class Stacked(Repository):
    """A clone with the layout ``base`` beside its manifests."""

    def __init__(self, root: Path, **places: Path) -> None:
        super().__init__(root, **places)
        if not (root / "base").exists():
            write_both(root / "base")
            (root / ".gitignore").write_text(".reconciler/\nbase/\n.store/\n")

    def image(self, name: str, *pip: str, on: str | None = None, python: str = "", extra: str = "") -> Path:
        """Declare an image on the base, or on another environment."""
        path = self.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        docker = f"base_environment: {on}" if on else "base_image: 'oci:base'"
        platforms = "[linux/amd64, linux/arm64]"
        path.write_text(
            f"name: {name}\nplatforms: {platforms}\npython: {{bytecode: false, pip: [{', '.join(pip)}]{python}}}\n"
            f"docker: {{{docker}}}\n{extra}"
        )
        return path

    @cached_property
    def registry(self) -> LayoutRegistry:
        folder = self.root / ".reconciler" / "registry"
        return LayoutRegistry(folder, store=ContentStore(folder / ".store"))

    def record(self, name: str) -> Record:
        seen = observe(self.registry, name, depth=Depth.BLOBS)
        assert isinstance(seen, Present), seen
        assert not seen.missing
        return seen.record

    def layers(self, name: str, platform: Platform = BOTH[0]) -> tuple[Descriptor, ...]:
        return parse_image(self.registry.fetch(name, self.record(name).artifacts[platform].digest)).layers

    def config(self, name: str, platform: Platform = BOTH[0]) -> BaseConfig:
        image = parse_image(self.registry.fetch(name, self.record(name).artifacts[platform].digest))
        data = b"".join(self.registry.fetch_blob(name, image.config))
        return parse_config(Content(media_type=image.config.media_type, data=data))

    def files(self, name: str, platform: Platform = BOTH[0]) -> Rootfs:
        root = Rootfs()
        for layer in self.layers(name, platform):
            root.apply(read_tar(decompress(layer.media_type, self.registry.fetch_blob(name, layer))))
        return root

    def actions(self, *arguments: str) -> dict[str, str]:
        plan = json.loads(self("plan", "-o", "json", *arguments, expect=None).out)
        return {step["name"]: step["action"] for step in plan["steps"]}

    def locked(self, name: str) -> dict[str, dict[str, str]]:
        """Give what the committed lock says of each platform: packages and what is there already."""
        lock = json.loads((self.root / "environments" / f"{name}.lock.json").read_text())
        return {
            platform: {**part["observed"], **{package["name"]: package["version"] for package in part["packages"]}}
            for platform, part in lock["platforms"].items()
        }


def write_both(folder: Path) -> None:
    """Write a small base for two platforms into one layout."""
    registry = LayoutRegistry(folder.parent, store=ContentStore(folder.parent / ".store"))
    entries = []
    for platform in BOTH:
        digest = write_base(folder, platform=platform, tag=platform.architecture)
        entries.append(registry.fetch(folder.name, digest).describe(platform=platform))
    index = Index(manifests=tuple(entries)).to_content()
    assert parse_index(index)
    registry.push(folder.name, index, tags=["latest"])
