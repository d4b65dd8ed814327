"""The runner of environments on this machine: it becomes the command, so that signals and status are its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from reconciler.clients.activation import activate
from reconciler.clients.interpreter import find_user_interpreter, this_platform
from reconciler.clients.uv import Uv
from reconciler.clients.virtualenv import make_virtualenv
from reconciler.errors import BuildError, CommandMissingError, CommandRefusedError, SourceError, UsageError
from reconciler.ports import Run
from reconciler.store.hosts import Hosts
from reconciler.values.platform import Platform

Execute = Callable[[str, list[str], dict[str, str]], NoReturn]
USER_MANAGED = "user"
"""The provider that a lock names for an interpreter that somebody else keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostRunner:
    """Makes the environment where this machine lacks it, then replaces this process by the command.

    So nothing stands between the terminal and the command: every signal reaches it once, and its exit status is
    ours. ``execute`` is ``os.execve``.
    """

    hosts: Hosts
    uv: Uv
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: Platform = field(default_factory=this_platform)
    execute: Execute = os.execve

    def run(self, run: Run) -> int:
        """Run the command; this does not return unless something is in its way, which is an error.

        A command that is not there ends with 127, one that can't be executed with 126, as in a shell.
        """
        if run.platform != self.machine:
            raise BuildError(
                f"{run.name} is for {run.platform}, and this machine is {self.machine}",
                hint=f"add {self.machine} to the manifest's platforms, or run it on a {run.platform} machine",
            )
        if not run.command:
            raise UsageError("no command to run", hint="name one after `--`")
        if not run.folder.is_dir():
            raise SourceError(f"no folder {run.folder}")
        interpreter, environment = self._provide(run)
        environ = activate(os.environ, interpreter.parent, run.variables, environment=environment)
        program, argv = _resolve(run, interpreter, environ["PATH"])
        return self._become(run.folder, program, argv, environ)

    def _provide(self, run: Run) -> tuple[Path, Path | None]:
        if run.lock.interpreter.provider == USER_MANAGED:
            return find_user_interpreter(run.interpreter_path), None

        def fill(place: Path) -> None:
            make_virtualenv(self.uv, place, run.lock, sources=self.sources)

        place, _ = self.hosts.make(run.name, run.key, fill)
        self.hosts.inherit(place)
        place = place.absolute()
        return place / "bin" / "python", place

    def _become(self, folder: Path, program: str, argv: list[str], environ: dict[str, str]) -> NoReturn:
        os.chdir(folder)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            with _nothing_ignored():
                self.execute(program, argv, environ)
        except FileNotFoundError as error:  # its interpreter is missing
            raise CommandMissingError(f"cannot run {argv[0]}: {error.strerror}, nor its interpreter") from error
        except OSError as error:
            raise CommandRefusedError(f"cannot run {argv[0]}: {error.strerror or error}") from error


@contextlib.contextmanager
def _nothing_ignored() -> Iterator[None]:
    """Let the signals that Python ignores be as by default: what is ignored stays so in who takes our place."""
    before = {}
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        with contextlib.suppress(ValueError):  # in another thread than the main one
            before[ignored] = signal.signal(ignored, signal.SIG_DFL)
    try:
        yield
    finally:
        for ignored, handler in before.items():
            signal.signal(ignored, handler)


def _resolve(run: Run, interpreter: Path, path: str) -> tuple[str, list[str]]:
    """Find the program: the interpreter for a script, else a command on PATH or at a path below the folder."""
    first = run.command[0]
    if first.endswith(".py"):
        script = run.folder / first
        if not script.is_file():
            raise CommandMissingError(f"no script {first} in {run.folder}", hint="say where it is with --source")
        if not os.access(script, os.R_OK):
            raise CommandRefusedError(f"cannot read {first}")
        name = first if not first.startswith("-") else f"./{first}"
        return str(interpreter), [str(interpreter), name, *run.command[1:]]
    if "/" in first:
        return _at_path(run, first)
    found = shutil.which(first, path=path)
    if found is None:
        raise CommandMissingError(f"no command {first} in {run.name}, nor on PATH")
    return os.path.abspath(found), list(run.command)  # noqa: PTH100  # Path.resolve would follow the link to python


def _at_path(run: Run, first: str) -> tuple[str, list[str]]:
    program = run.folder / first
    if not program.exists():
        raise CommandMissingError(f"no command {first} in {run.folder}")
    if program.is_dir() or not os.access(program, os.X_OK):
        raise CommandRefusedError(f"{first} is not executable", hint=f"chmod +x {first}, or name its interpreter first")
    return str(program.absolute()), list(run.command)
