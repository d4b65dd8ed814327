"""A clone's folder with everything that `gc` looks after in it: needed, wanted, spare and left over."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reconciler.clients.compression import compress
from reconciler.executors.serial import Serial
from reconciler.oci.descriptor import Content
from reconciler.plan.garbage import Rule
from reconciler.reconcile.collection import Collected, Means, collect
from reconciler.registries.layout import LayoutRegistry
from reconciler.store.content import ContentStore
from reconciler.store.debs import DebStore, IndexStore
from reconciler.store.holdings import CacheFolder
from reconciler.store.hosts import Hosts
from reconciler.store.layers import LayerStore
from reconciler.store.pythons import PythonStore
from reconciler.store.wheels import WheelStore
from reconciler.values.digest import Digest
from tests.world import LINUX, World, wanted

HOUR = 3600.0
KEYS = [Digest.of(str(number).encode()) for number in range(3)]


@dataclass
class Stale:
    """The folder ``path``, as the command line would find it."""

    path: Path
    wait_s: float = 5.0

    @property
    def registry(self) -> LayoutRegistry:
        return LayoutRegistry(self.path / "registry", store=ContentStore(self.path / "store"))

    @property
    def layers(self) -> LayerStore:
        return LayerStore(path=self.path / "layers", compress=compress)

    @property
    def wheels(self) -> WheelStore:
        return WheelStore(path=self.path / "wheels")

    @property
    def debs(self) -> DebStore:
        return DebStore(path=self.path / "debs")

    @property
    def pythons(self) -> PythonStore:
        return PythonStore(path=self.path / "pythons")

    @property
    def hosts(self) -> Hosts:
        return Hosts(self.path / "hosts")

    @cached_property
    def world(self) -> World:
        return World(self.registry)

    @property
    def needed(self) -> Digest:
        """The build key of the environment that the current record needs."""
        return next(iter(self.key_of("alpha")))

    def key_of(self, name: str) -> Iterator[Digest]:
        from reconciler.reconcile.tagged import read_record  # noqa: PLC0415  # only here

        record, _ = read_record(self.registry, name, "current")
        yield record.build_keys[LINUX]

    def fill(self) -> None:
        """Register an environment twice, and leave of everything something that is not needed any more."""
        self.world.apply([wanted("alpha", ["numpy"])])
        self.make_environment(self.needed)
        self.world.apply([wanted("alpha", ["numpy", "scipy"])])
        self.world.apply([wanted("alpha", ["numpy", "scipy"], description="told again")])
        self.make_environment(self.needed)
        self.push_unnamed(b"an upload that nothing names")
        for key in KEYS:
            self.layers.make(key, lambda: iter([b"layer " * 1000]))
            data = str(key).encode()
            self.wheels.put(Digest.of(data).hex, len(data), [data], name="a.whl")
            self.debs.put(Digest.of(data).hex, len(data), [data], name="a.deb")
            self.pythons.put(Digest.of(data).hex, len(data), [data], name="a.tar.gz")
            IndexStore(path=self.debs.path).keep(key.hex, data)
        for place in (self.path / "interpreters" / KEYS[0].hex, self.path / "hosts/alpha/.making-old"):
            (place / "lib").mkdir(parents=True)
            (place / "lib" / "file").write_bytes(b"x" * 100)
            (place / "reconciler-interpreter.json").write_text("{}")
        (self.path / "interpreters" / ".lock").touch()
        for left in ("layers/.tmp-1", "wheels/.tmp-1", "registry/alpha/.tmp-1", "store/sha256/.tmp-1"):
            (self.path / left).write_bytes(b"left")
        self.age()

    def make_environment(self, key: Digest) -> None:
        def fill(place: Path) -> None:
            (place / "bin").mkdir()
            (place / "bin" / "python").symlink_to("/bin/sh")
            (place / "lib").mkdir()
            (place / "lib" / "module.py").write_text("x = 1\n")

        self.hosts.make("alpha", key, fill)

    def push_unnamed(self, data: bytes) -> Digest:
        blob = Content(media_type="text/plain", data=data)
        with self.registry.writing("alpha"):
            self.registry.push_blob("alpha", blob)
        return blob.digest

    def age(self, hours: float = 2.0) -> None:
        """Make everything older."""
        then = time.time() - hours * HOUR
        for folder, names, files in os.walk(self.path):
            for name in (*names, *files):
                with suppress(FileNotFoundError):  # others are at work too
                    os.utime(Path(folder) / name, (then, then), follow_symlinks=False)

    def collect(self, *, keep: int = 0, older_than_s: float = 0.0, delete: bool = True) -> Collected:
        rule = Rule(now_s=time.time(), older_than_s=older_than_s, keep_bytes=keep)
        unreached = self.registry.unreached()
        unreached.wait_s = self.wait_s
        holdings = (CacheFolder(path=self.path, wait_s=self.wait_s), unreached)
        return collect(Means(registry=self.registry, executor=Serial(), holdings=holdings), rule, delete=delete)

    def files(self) -> dict[str, bytes]:
        """Give every file by its place, locks left out."""
        found = (path for path in self.path.rglob("*") if path.is_file() and ".lock" not in str(path))
        return {str(path.relative_to(self.path)): path.read_bytes() for path in found}
