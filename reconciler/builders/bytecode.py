"""The bytecode of a group of packages, compiled by the interpreter that the image has (PEP 552, unchecked)."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from reconciler.assembly.place import PREFIX
from reconciler.assembly.venv import minor_of, site_packages
from reconciler.builders.interpreter import layers_below, unpack
from reconciler.clients.compiler import LIMIT_S, Compiler, compiling
from reconciler.clients.interpreter import this_platform
from reconciler.errors import BuildError, ResolveError
from reconciler.oci.member import Member
from reconciler.ports import BaseImage, Bases, Systems, Task, ground_of
from reconciler.store.durable import disk_errors
from reconciler.store.interpreters import InterpreterStore
from reconciler.values.canonical import digest_of
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

RECIPE = 1
"""How an interpreter is unpacked, counted; part of the key that it is kept by."""
_ENDING = ".py"


@dataclass(frozen=True, kw_only=True, slots=True)
class BytecodeMaker:
    """Compiles modules. ``here`` is the platform that this machine runs; ``spool`` a folder for what is made.

    ``limit_s`` is what one module may take.
    """

    bases: Bases
    systems: Systems
    interpreters: InterpreterStore
    spool: Path
    here: Platform = field(default_factory=this_platform)
    limit_s: float = LIMIT_S
    _found: dict[Digest, Path] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def members(self, task: Task, installed: Iterable[Member], opened: ExitStack) -> Iterator[Member]:
        """Give the compiled file of every module among what wheels install, while ``opened`` is.

        What is no Python for the interpreter has none, as with pip. An interpreter that isn't there, or does something
        else, is a BuildError.
        """
        folder = f"{PREFIX}/{site_packages(task.lock.interpreter.version)}/"
        modules = [member for member in installed if member.path.startswith(folder) and member.path.endswith(_ENDING)]
        if not modules:
            return iter(())
        unpacked = self._interpreter(task)
        with disk_errors(self.spool, "write to"):
            file = tempfile.TemporaryFile(dir=self.spool)  # noqa: SIM115  # it is closed with the wheels
            opened.enter_context(file)
        with compiling(unpacked, minor_of(task.lock.interpreter.version), limit_s=self.limit_s) as compiler:
            _check(compiler, task, self.here)
            return iter([*self._compiled(compiler, sorted(modules, key=lambda member: member.path), file)])

    def _compiled(self, compiler: Compiler, modules: Iterable[Member], file: IO[bytes]) -> Iterator[Member]:
        place = 0
        for module in modules:
            code = compiler.compile(b"".join(module.read() if module.read else ()), f"/{module.path}")
            if code is not None:
                with disk_errors(self.spool, "write to"):
                    file.write(code)
                    file.flush()
                read = partial(_read, file, place, len(code))
                yield Member(path=_path_of(module.path, compiler.tag), size=len(code), read=read)
                place += len(code)

    # -- which interpreter --------------------------------------------------------------------------------------

    def _interpreter(self, task: Task) -> Path:
        """Unpack the interpreter, once for all layers."""
        base, python = self._base(task)
        minor = minor_of(task.lock.interpreter.version)
        layers = [str(layer.digest) for layer in layers_below(base)]
        key = digest_of({"recipe": RECIPE, "layers": [*layers], "python": python})
        with self._guard:
            if key not in self._found:
                self._found[key] = self.interpreters.provide(key, lambda folder: unpack(base, python, minor, folder))
            return self._found[key]

    def _base(self, task: Task) -> tuple[BaseImage, str]:
        """Give the image whose interpreter this machine runs, and its place there.

        It is what is built on, for this machine's platform: as the lock has it, else what is there now under that name.
        """
        base = task.lock.base
        assert base is not None  # noqa: S101  # an image has one
        credential = task.desired.manifest.docker.base_credential
        own, found = task.lock.interpreter.version, task.foundations.get(self.here)
        pinned = found if found is not None and found.version == own else None
        ground = ground_of(pinned.lock) if pinned is not None and pinned.lock is not None else None
        if ground is not None:
            return self.systems.open(ground, self.here, layers=task.layers, tell=task.tell), ground.interpreter
        if task.lock.system is not None or (pinned is None and task.lock.interpreter.build is not None):
            raise _nowhere(task, self.here, "the lock is not for it")
        try:
            opened = self.bases.open(
                base.image, self.here, digest=pinned.manifest if pinned else None, credential=credential
            )
        except ResolveError as error:
            if task.platform == self.here:
                raise
            raise _nowhere(task, self.here, error.message) from error
        part = pinned.lock if pinned is not None else None
        if part is not None and part.interpreter.build is not None:
            opened = self.systems.lay(opened, part.interpreter.build, self.here, layers=task.layers, tell=task.tell)
        return opened, pinned.python if pinned else base.python


def _check(compiler: Compiler, task: Task, here: Platform) -> None:
    """Refuse another version: its bytecode is another."""
    if compiler.version == task.lock.interpreter.version:
        return
    if task.platform != here:
        raise _nowhere(task, here, f"it has {compiler.version} for {here}")
    raise BuildError(
        f"the interpreter of the base image is {compiler.version}, and the lock says {task.lock.interpreter.version}",
        hint="run `reconciler lock` again",
    )


def _nowhere(task: Task, here: Platform, why: str) -> BuildError:
    assert task.lock.base is not None  # noqa: S101  # as above
    version, image = task.lock.interpreter.version, task.lock.base.image
    return BuildError(
        f"bytecode for {task.platform} needs Python {version} of the base {image} for this machine, {here}: {why}",
        where=task.desired.manifest.locate("platforms"),
        hint=f"add {here} to `platforms`, or write `python: {{bytecode: false}}`",
    )


def _path_of(module: str, tag: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix(_ENDING)}.{tag}.pyc"


def _read(file: IO[bytes], place: int, size: int) -> Iterator[bytes]:
    yield os.pread(file.fileno(), size, place)
