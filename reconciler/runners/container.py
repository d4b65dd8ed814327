"""The runner of container images: a Docker Engine runs the command, and this process stands between it and the caller.

The caller's folder is at ``/workspace``, its files keep their owner: the command runs under the caller's own ids. What
comes in goes to the command, what it writes comes out unchanged, signals are passed on, its status is ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from reconciler.clients.engine import Container, Engine, Running, bind, connect
from reconciler.clients.terminal import Terminal, forwarded_signals
from reconciler.errors import BuildError, CommandMissingError, SourceError, UsageError
from reconciler.oci.configuration import parse_config
from reconciler.oci.descriptor import Image
from reconciler.oci.packed import to_docker_archive
from reconciler.ports import Progress, Reporter, Run, Stage
from reconciler.runners.settings import host_settings

WORKSPACE = "/workspace"
PYTHON = "/opt/venv/bin/python"
REPOSITORY = "reconciler"
"""Images that are loaded into an engine are known as ``reconciler/NAME:vN``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerRunner:
    """Runs a command in a container of the image, which is loaded into the engine where it is not there yet."""

    environ: Mapping[str, str] = field(repr=False)
    reporter: Reporter
    connect: Callable[[Mapping[str, str]], Engine] = connect

    def run(self, run: Run) -> int:
        """Run to the end and give the exit status: 127 where there is no such command, 126 where it can't be run."""
        if not run.command:
            raise UsageError("no command to run", hint="name one after `--`")
        if not run.folder.is_dir():
            raise SourceError(f"no folder {run.folder}")
        engine = self.connect(self.environ)
        try:
            return self._run(engine, run)
        finally:
            engine.close()

    def _run(self, engine: Engine, run: Run) -> int:
        image = run.images.get(engine.platform)
        if image is None:
            known = ", ".join(str(platform) for platform in sorted(run.images))
            raise BuildError(
                f"{run.name} is for {known}, and the Docker Engine runs {engine.platform}",
                hint=f"add {engine.platform} to the manifest's `platforms`",
            )
        engine.sweep()
        if find(engine, image) is None:
            self.reporter.report(Progress(name=run.name, stage=Stage.LOADING, detail="into the Docker Engine"))
        loaded = provide(engine, image, run.reference)
        terminal = Terminal(sys.stdin, sys.stdout)
        container = _container(run, loaded, _ids(engine), terminal, self.environ)
        with engine.started(container, _write) as (running, follow):
            return _attended(running, follow, terminal)


def _attended(running: Running, follow: Callable[[], int], terminal: Terminal) -> int:
    with terminal.raw(running.resize), forwarded_signals(running.kill):
        terminal.pump(running.send)
        return follow()


def find(engine: Engine, image: Image) -> str | None:
    """Give the id that an engine has for an image; none where it has none.

    By the digest of its configuration, or by a name of ours that has it: not every engine takes that for the id.
    """
    layers = _layers(image)
    for name in (str(image.blobs[0].digest), own_name(image)):
        found = engine.find_image(name)
        if found is not None and found.layers == layers:
            return found.id
    return None


def own_name(image: Image) -> str:
    """Give the name that an image alone has."""
    return f"{REPOSITORY}/by-configuration:{image.blobs[0].digest.hex}"


def provide(engine: Engine, image: Image, reference: str) -> str:
    """See to it that an engine has an image, and give its id; ``reference`` is ``NAME:vN``, empty for no such name."""
    there = find(engine, image)
    if there is not None:
        return there
    name = f"{REPOSITORY}/{reference}" if reference else own_name(image)
    engine.load(to_docker_archive(image, [name]))
    found = engine.find_image(name)
    if found is None or found.layers != _layers(image):
        raise BuildError(
            f"the Docker Engine took the image {name} and has another one under that name",
            hint="`reconciler doctor` checks what is registered",
        )
    if reference and found.id != str(image.blobs[0].digest):
        engine.tag(found.id, own_name(image))
    return found.id


def _layers(image: Image) -> tuple[str, ...]:
    return tuple(str(digest) for digest in parse_config(image.blobs[0]).diff_ids)


def _container(run: Run, image: str, user: str, terminal: Terminal, environ: Mapping[str, str]) -> Container:
    first = run.command[0]
    if first.endswith(".py") and not (run.folder / first).is_file():
        raise CommandMissingError(f"no script {first} in {run.folder}", hint="say where it is with --source")
    command = (PYTHON, *run.command) if first.endswith(".py") else run.command
    settings = host_settings(run.settings)
    return Container(
        image=image,
        command=command,
        user=user,
        folder=WORKSPACE,
        hostname=settings.hostname,
        environment={**_variables(run.variables), **settings.environment(environ)},
        host={**settings.host, "mounts": [bind(str(run.folder), WORKSPACE)]},
        ports=settings.ports,
        tty=terminal.is_there,
        stdin=True,
    )


def _variables(declared: Mapping[str, str]) -> dict[str, str]:
    """Keep the environment's programs first on a PATH that is declared."""
    path = declared.get("PATH")
    return {**declared} if path is None else {**declared, "PATH": f"{PYTHON.rpartition('/')[0]}:{path}"}


def _ids(engine: Engine) -> str:
    """Give the caller's ids; root of an engine without root is the caller outside."""
    return "0:0" if engine.is_rootless else f"{os.getuid()}:{os.getgid()}"


def _write(stream: int, data: bytes) -> None:
    target: BinaryIO = sys.stderr.buffer if stream == 2 else sys.stdout.buffer  # noqa: PLR2004  # as the engine counts
    target.write(data)
    target.flush()
