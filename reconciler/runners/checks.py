"""The declared checks of an image that was just built, in a container without a network, before it is registered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.clients.activation import expand_known, hide
from reconciler.clients.check import IMPORT, LAST_LINES, LIMIT_S, failure
from reconciler.clients.child import ending
from reconciler.clients.engine import Container, Engine, connect
from reconciler.errors import CommandMissingError, CommandRefusedError, InterruptedByUserError, UnavailableError
from reconciler.manifest.model import Manifest
from reconciler.oci.descriptor import Image
from reconciler.runners.container import PYTHON, find, own_name, provide
from reconciler.values.platform import Platform

_MAX_OUTPUT = 1 << 16
"""Bytes of the end of what a check writes that are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ContainerChecker:
    """Implements :class:`reconciler.ports.Checker` with a Docker Engine, where one answers."""

    environ: Mapping[str, str] = field(repr=False)
    connect: Callable[[Mapping[str, str]], Engine] = connect

    def check(self, manifest: Manifest, platform: Platform, image: Image) -> str | None:
        """Run the checks; the image is in the engine for as long as that takes, unless it was there before."""
        if not (manifest.checks.imports or manifest.checks.command):
            return None
        try:
            engine = self.connect(self.environ)
        except UnavailableError as error:
            return f"the checks were not run: {error.message}"
        try:
            if engine.platform != platform:
                return f"the checks were not run for {platform}: the Docker Engine runs {engine.platform}"
            self._check(engine, manifest, image)
        finally:
            engine.close()
        return None

    def _check(self, engine: Engine, manifest: Manifest, image: Image) -> None:
        stays = find(engine, image) is not None
        try:
            found = provide(engine, image, "")
            checks = manifest.checks
            if checks.imports:
                self._run(engine, manifest, found, "imports", (PYTHON, "-c", IMPORT, *checks.imports))
            if checks.command:
                self._run(engine, manifest, found, "command", checks.command)
        finally:
            if not stays:
                engine.remove_image(own_name(image))

    def _run(self, engine: Engine, manifest: Manifest, image: str, name: str, command: Sequence[str]) -> None:
        variables, secrets = expand_known(manifest.environment_variables, self.environ)
        written = bytearray()

        def keep(_stream: int, data: bytes) -> None:
            written.extend(data)
            del written[:-_MAX_OUTPUT]

        container = Container(image=image, command=tuple(command), environment=variables, host={"network_mode": "none"})
        try:
            with engine.started(container, keep) as (running, follow), ending(lambda: running.kill("SIGKILL")) as ended:
                status = _in_time(follow, lambda: running.kill("SIGKILL"))
        except (CommandMissingError, CommandRefusedError) as error:
            raise failure(manifest, name, error.message, "") from error
        if ended():
            raise InterruptedByUserError("interrupted")
        if status != 0:
            lines = written.decode("utf-8", errors="replace").splitlines()[-LAST_LINES:]
            what = f"was stopped after {LIMIT_S:g} s" if status is None else f"ended with status {status}"
            raise failure(manifest, name, what, hide("\n".join(lines), secrets))


def _in_time(follow: Callable[[], int], kill: Callable[[], None]) -> int | None:
    """Give the exit status; none where it took too long."""
    late = threading.Event()

    def end() -> None:
        late.set()
        kill()

    timer = threading.Timer(LIMIT_S, end)
    timer.daemon = True
    timer.start()
    try:
        status = follow()
    finally:
        timer.cancel()
    return None if late.is_set() else status
