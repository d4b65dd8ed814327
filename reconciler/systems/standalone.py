"""A standalone CPython as the interpreter of a base: which build, and the one layer that it makes (python.provider)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import IO

from reconciler.assembly.key import LAYER_PART, layer_key
from reconciler.clients.pythons import Build, Pythons
from reconciler.errors import BuildError, CorruptError, DamagedCacheError, ResolveError
from reconciler.lock.model import Package
from reconciler.lock.system import Part
from reconciler.oci.member import Packed
from reconciler.oci.tar import write_pieces
from reconciler.ports import Layer, Layers, NoLayers, Standalone, Tell, tell_nobody
from reconciler.store.durable import disk_errors, make_folders
from reconciler.store.layers import LayerStore
from reconciler.store.pythons import PythonStore
from reconciler.systems.provider import fits
from reconciler.systems.relocation import PREFIX, RECIPE, interpreter_of, relocated
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

NAME, SOURCE = "cpython", "python:"
MAX_ARCHIVE = 1 << 30
_CHUNK = 1 << 20
__all__ = ["PREFIX", "Standalones", "interpreter_of", "key_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standalones:
    """Chooses builds, brings them into ``store`` and makes layers of them."""

    pythons: Pythons
    store: PythonStore
    layers: LayerStore

    def choose(
        self, version: str, platform: Platform, *, preference: Package | None = None, tell: Tell = tell_nobody
    ) -> Standalone:
        """Choose the newest build of a version (``3.12``, ``3.12.1``): the one that is preferred where it serves.

        Its archive is on this machine afterwards where it was not preferred. No such build, or one that is another file
        than it has to be, is a ResolveError; a mirror that does not answer is an error of its kind.
        """
        if preference is not None and fits(version, preference.version):
            return Standalone(build=preference, interpreter=interpreter_of(preference.version))
        builds = self.pythons.builds(version, platform)
        if not builds:
            raise ResolveError(
                f"there is no standalone build of Python {version} for {platform}",
                hint="name a docker.base_image that has it",
            )
        build = builds[0]
        wanted, who = self.pythons.sha256_of(build)
        found, size = self._kept(wanted) or self._download(build, wanted, who, tell)
        pinned = f"{build.file}: nobody says which sha256 it has; the lock has that of the file that came, {found}"
        return Standalone(
            build=Package(
                name=NAME,
                version=build.version,
                file=build.file,
                size=size,
                sha256=found,
                source=f"{SOURCE}{build.release}",
            ),
            interpreter=interpreter_of(build.version),
            notes=() if wanted else (pinned,),
        )

    def layer(
        self, build: Package, platform: Platform, *, layers: Layers | None = None, tell: Tell = tell_nobody
    ) -> Layer:
        """Give the layer of a build: from this machine, from a record, else made now.

        An archive that can't be had, or is not what the lock says, is an error with its name.
        """
        key = key_of(build)
        stored = self.layers.find(key)
        found = stored.layer if stored is not None else (layers or NoLayers()).find(key)
        if found is not None:
            return found
        self._bring(build, platform, tell)

        def pieces() -> Iterator[bytes | Packed]:
            with ExitStack() as opened:
                file = opened.enter_context(self.store.open(build.sha256))
                self._check(file, build)
                members = relocated(
                    _chunks(file),
                    self.store.path,
                    opened,
                    file=build.file,
                    version=build.version,
                    architecture=platform.architecture,
                )
                yield from write_pieces(members)

        return self.layers.make(key, pieces, annotations={LAYER_PART: Part.PYTHON.value}).layer

    # -- archives -----------------------------------------------------------------------------------------------

    def _kept(self, wanted: str) -> tuple[str, int] | None:
        path = self.store.path_of(wanted) if wanted else None
        return (wanted, path.stat().st_size) if path is not None and path.is_file() else None

    def _download(self, build: Build, wanted: str, who: str, tell: Tell) -> tuple[str, int]:
        """Bring an archive whose size nobody knows; give its sha256 and its size."""
        tell(f"fetching {build.file}")
        make_folders(self.store.path)
        with ExitStack() as opened:
            with disk_errors(self.store.path, "write to"):
                file = opened.enter_context(tempfile.TemporaryFile(dir=self.store.path))
            found, size = self._hashed(build, file)
            if wanted and found != wanted:
                raise ResolveError(
                    f"{build.file} is another file than it has to be: its sha256 is {found}, and {who} says {wanted}",
                    hint="the mirror lies or is damaged; name another one in UV_PYTHON_INSTALL_MIRROR",
                )
            self.store.put(found, size, _chunks(file), name=build.file)
        return found, size

    def _hashed(self, build: Build, file: IO[bytes]) -> tuple[str, int]:
        hashed, size = sha256(), 0
        for chunk in self.pythons.stream(build.url, build.file):
            hashed.update(chunk)
            size += len(chunk)
            if size > MAX_ARCHIVE:
                raise ResolveError(f"{build.file} has more than {MAX_ARCHIVE} bytes")
            with disk_errors(self.store.path, "write to"):
                file.write(chunk)
        return hashed.hexdigest(), size

    def _bring(self, build: Package, platform: Platform, tell: Tell) -> None:
        if self.store.holds(build.sha256, build.size):
            return
        tell(f"fetching {build.file}, {build.size / 1e6:.1f} MB")
        url = self.pythons.place_of(build.file, build.version, platform)
        try:
            self.store.put(build.sha256, build.size, self.pythons.stream(url, build.file), name=build.file)
        except CorruptError as error:
            raise BuildError(
                error.message,
                hint="somebody changed the file, or the mirror lies; `lock --upgrade-base` takes what is there now",
            ) from error

    def _check(self, file: IO[bytes], build: Package) -> None:
        """Hash an archive once more; what was damaged since it came is forgotten."""
        hashed = sha256()
        for chunk in _chunks(file):
            hashed.update(chunk)
        if hashed.hexdigest() != build.sha256:
            self.store.forget(build.sha256)
            raise DamagedCacheError(
                f"{build.file} in this machine's cache is damaged", hint="run the command again; it is fetched again"
            )


def key_of(build: Package) -> Digest:
    """Say by which key the layer of a build is found: the archive's sha256 alone says what is in it."""
    return layer_key("python", {"sha256": build.sha256, "prefix": PREFIX, "recipe": RECIPE})


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
