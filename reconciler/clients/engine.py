"""A Docker Engine through the ``docker`` SDK (Engine API 1.41 and newer): images loaded, containers run to their end.

Which engine is asked is the caller's to say as everywhere: ``DOCKER_HOST`` with its TLS variables, else the context
that the docker client uses, else the socket of this machine.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from reconciler.errors import (
    BuildError,
    CommandMissingError,
    CommandRefusedError,
    ReconcilerError,
    UnavailableError,
)
from reconciler.values.platform import Platform

if TYPE_CHECKING:
    from docker import APIClient  # type: ignore[import-untyped]  # the SDK has no types

CONNECT_S, ANSWER_S = 10.0, 900.0
"""Seconds that an engine has to say who it is, and for any other answer: it may unpack gigabytes before one."""
LABEL = "dev.reconciler.run"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_MISSING = ("executable file not found", "no such file or directory")
_REFUSED = ("permission denied", "exec format error", "is a directory")
_DEFAULT = "unix:///var/run/docker.sock"
_BELOW = frozenset({"docker", "http", "requests", "urllib3"})
_NO_GPU = "could not select device driver"


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A container: its image, the command, and the settings that the SDK's ``create_host_config`` takes."""

    image: str
    command: tuple[str, ...]
    user: str | None = None
    folder: str | None = None
    hostname: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: Mapping[str, object] = field(default_factory=dict, repr=False)
    ports: tuple[object, ...] = ()
    tty: bool = False
    stdin: bool = False
    keep_entrypoint: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """An image that an engine has, by the id that it gave it, and the digests of its uncompressed layers.

    The id is the digest of the configuration, or of a manifest where containerd keeps the images.
    """

    id: str
    layers: tuple[str, ...]


class Output(Protocol):
    """Takes what a container writes: the stream (1 or 2) and the bytes."""

    def __call__(self, stream: int, data: bytes, /) -> None:
        """Take a piece."""


class Running(Protocol):
    """A container that runs, as its runner sees it."""

    def send(self, data: bytes) -> None:
        """Give it input; empty bytes are the end of it."""

    def kill(self, signal: str) -> None:
        """Send it a signal; one that has ended takes none."""

    def resize(self, rows: int, columns: int) -> None:
        """Tell it how large its terminal is."""


class Engine:
    """An engine that answers. Errors: BuildError for what it refuses, UnavailableError where it stops answering."""

    def __init__(self, client: APIClient) -> None:
        self._client = client
        with engine_errors("say who it is"):
            about = client.info()
        self.platform: Final = Platform(
            str(about.get("OSType", "linux")), _ARCHITECTURES.get(str(about.get("Architecture")), "unknown")
        )
        self.is_rootless: Final = any("name=rootless" in str(item) for item in about.get("SecurityOptions") or ())

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    # -- images -------------------------------------------------------------------------------------------------

    def find_image(self, name: str) -> Loaded | None:
        """Give an image by its name or id; none where there is no such one."""
        from docker import errors  # noqa: PLC0415  # heavy

        with engine_errors("look for an image"):
            try:
                found = self._client.inspect_image(name)
            except errors.ImageNotFound:
                return None
        layers = (found.get("RootFS") or {}).get("Layers") or []
        return Loaded(id=str(found["Id"]), layers=tuple(map(str, layers)))

    def load(self, archive: Iterator[bytes]) -> None:
        """Load images from an archive as ``docker save`` writes them."""
        with engine_errors("load the image"):
            for event in self._client.load_image(archive):
                if "error" in event:
                    raise BuildError(f"the Docker Engine can't load the image: {event['error']}")

    def tag(self, image: str, name: str) -> None:
        """Give an image another name, ``REPOSITORY:TAG``."""
        with engine_errors("name the image"):
            repository, _, tag = name.rpartition(":")
            self._client.tag(image, repository, tag=tag, force=True)

    def remove_image(self, name: str) -> None:
        """Take a name from an image, which goes with its last one; an image that is used, or gone, stays as it is."""
        from docker import errors  # noqa: PLC0415  # heavy

        with suppress(errors.APIError), engine_errors("remove the image", passed=errors.APIError):
            self._client.remove_image(name)

    # -- containers ---------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Remove containers of ours whose runner on this machine was killed before it could."""
        with suppress(ReconcilerError), engine_errors("list containers"):
            for found in self._client.containers(all=True, filters={"label": LABEL}):
                if not _lives(str((found.get("Labels") or {}).get(LABEL, ""))):
                    self._client.remove_container(found["Id"], force=True, v=True)

    @contextmanager
    def started(self, container: Container, output: Output) -> Iterator[tuple[Running, Callable[[], int]]]:
        """Start a container; give it, and a function that passes on what it writes until its end and gives its status.

        It is removed with the block, whatever happens. A command that is not there is a CommandMissingError.
        """
        name = self._create(container)
        try:
            with engine_errors("attach to the container"):
                channel = self._client.attach_socket(
                    name, params={"stdout": 1, "stderr": 1, "stdin": int(container.stdin), "stream": 1}
                )
            with contextlib.closing(channel):
                with start_errors(container):
                    self._client.start(name)
                yield _Attached(self._client, name, channel), lambda: self._follow(name, channel, container, output)
        finally:
            self._remove(name)

    def _create(self, container: Container) -> str:
        from docker import errors  # noqa: PLC0415  # heavy

        with engine_errors("create the container"):
            try:
                host = self._client.create_host_config(**container.host)
            except (errors.DockerException, ValueError, TypeError) as error:
                raise BuildError(f"docker.arguments: {error}") from error
            made = self._client.create_container(
                container.image,
                list(container.command),
                user=container.user,
                working_dir=container.folder,
                hostname=container.hostname,
                environment=dict(container.environment),
                host_config=host,
                ports=list(container.ports) or None,
                tty=container.tty,
                stdin_open=container.stdin,
                entrypoint=None if container.keep_entrypoint else [],
                labels={LABEL: f"{os.uname().nodename}:{os.getpid()}"},
                use_config_proxy=False,
            )
        return str(made["Id"])

    def _follow(self, name: str, channel: object, container: Container, output: Output) -> int:
        from docker.utils.socket import frames_iter  # type: ignore[import-untyped]  # noqa: PLC0415  # heavy

        frames = frames_iter(channel, container.tty)
        while True:
            with engine_errors("follow the container"):
                frame = next(frames, None)
                if frame is None:
                    return int(self._client.wait(name)["StatusCode"])
            output(*frame)  # what its taker raises is not the engine's

    def _remove(self, name: str) -> None:
        from docker import errors  # noqa: PLC0415  # heavy

        with suppress(errors.NotFound), engine_errors("remove the container", passed=errors.NotFound):
            self._client.remove_container(name, force=True, v=True)


class _Attached:
    """Implements :class:`Running`."""

    def __init__(self, client: APIClient, name: str, channel: Any) -> None:  # noqa: ANN401  # the SDK has no types
        self._client = client
        self._name = name
        self._socket = getattr(channel, "_sock", channel)
        self._guard = threading.Lock()

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # it has ended
            if data:
                self._socket.sendall(data)
            else:
                self._socket.shutdown(1)  # SHUT_WR

    def kill(self, signal: str) -> None:
        with self._guard, suppress(ReconcilerError), engine_errors("signal the container"):
            self._client.kill(self._name, signal)

    def resize(self, rows: int, columns: int) -> None:
        with self._guard, suppress(ReconcilerError), engine_errors("resize the terminal"):
            self._client.resize(self._name, rows, columns)


def _lives(runner: str) -> bool:
    """Tell whether the runner of a container may still be there: only one of this machine can be asked."""
    machine, _, pid = runner.rpartition(":")
    if machine != os.uname().nodename or not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


# -- finding one, and its errors --------------------------------------------------------------------------------


def connect(environ: Mapping[str, str]) -> Engine:
    """Find the engine and ask who it is; an UnavailableError says which address did not answer, and why."""
    import docker  # noqa: PLC0415  # heavy

    address, settings = _place(environ)
    try:
        with engine_errors("be asked"):
            client = docker.APIClient(version="auto", timeout=CONNECT_S, **settings)
        engine = Engine(client)
        client.timeout = ANSWER_S
    except ReconcilerError as error:
        raise UnavailableError(
            f"no Docker Engine answers at {address}: {_reason(error)}",
            hint="start one, or set DOCKER_HOST; `reconciler export` writes the image for other tools",
        ) from error
    return engine


def _place(environ: Mapping[str, str]) -> tuple[str, Mapping[str, object]]:
    """Say where the engine is, as the docker client would: its address, and what the SDK connects with."""
    from docker.context import ContextAPI  # type: ignore[import-untyped]  # noqa: PLC0415  # heavy
    from docker.utils import kwargs_from_env  # type: ignore[import-untyped]  # noqa: PLC0415  # heavy

    if environ.get("DOCKER_HOST"):
        with engine_errors("be found"):
            return environ["DOCKER_HOST"], kwargs_from_env(environment=dict(environ))
    with suppress(ReconcilerError), engine_errors("be found"):
        context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT") or None)
        if context is not None and context.Host:
            settings = {"base_url": context.Host}
            return str(context.Host), settings | ({"tls": context.TLSConfig} if context.TLSConfig else {})
    if environ.get("DOCKER_CONTEXT"):
        raise UnavailableError(
            f"there is no Docker context {environ['DOCKER_CONTEXT']!a}", hint="see `docker context ls`"
        )
    return _DEFAULT, {"base_url": _DEFAULT}


@contextmanager
def engine_errors(action: str, *, passed: type[Exception] | None = None) -> Iterator[None]:
    """Turn what the SDK and all below it raise into ours, but for ``passed``, which the caller deals with."""
    from docker import errors  # noqa: PLC0415  # heavy

    try:
        yield
    except ReconcilerError:
        raise
    except Exception as error:
        if not is_failure(error) or (passed is not None and isinstance(error, passed)):
            raise
        kind = BuildError if isinstance(error, errors.DockerException) else UnavailableError
        raise kind(f"the Docker Engine can't {action}: {_reason(error)}") from error


@contextmanager
def start_errors(container: Container) -> Iterator[None]:
    """Tell what keeps a container from starting, as a shell or the engine would."""
    try:
        with engine_errors("start the container"):
            yield
    except BuildError as error:
        text, first = error.message.lower(), container.command[0] if container.command else ""
        if _NO_GPU in text:
            hint = "install the NVIDIA container toolkit on the engine's machine, or run it where there is a GPU"
            raise BuildError("the Docker Engine has no GPU to give to a container", hint=hint) from error
        if first and any(words in text for words in _MISSING):
            raise CommandMissingError(f"no command {first} in the image") from error
        if first and any(words in text for words in _REFUSED):
            raise CommandRefusedError(f"cannot run {first}: permission denied in the image") from error
        raise


def is_failure(error: Exception) -> bool:
    """Tell whether an error comes from the SDK, the HTTP libraries below it, or the connection."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _BELOW


def _reason(error: Exception) -> str:
    """Give the engine's own words, in one line."""
    said = getattr(error, "explanation", None) or str(error)
    if isinstance(said, bytes):
        said = said.decode("utf-8", errors="replace")
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror and not getattr(inner, "response", None):
            return str(inner.strerror).lower()
        found = [item for item in getattr(inner, "args", ()) if isinstance(item, BaseException)]
        inner = inner.__cause__ or inner.__context__ or (found[0] if found else None)
    return " ".join(str(said).split())[:300]


def gpu_request(asked: str) -> Sequence[object]:
    """Ask for GPUs as ``--gpus`` does: ``all``, a number, or ``device=ID,ID``; anything else is a ValueError."""
    import docker  # noqa: PLC0415  # heavy

    plain = asked.strip('"')
    if plain.startswith("device="):
        ids = plain.removeprefix("device=").split(",")
        return [docker.types.DeviceRequest(device_ids=ids, capabilities=[["gpu"]])]
    if plain != "all" and not plain.isdecimal():
        raise ValueError(f"--gpus={asked!a} is none of all, a number, device=ID")
    return [docker.types.DeviceRequest(count=-1 if plain == "all" else int(plain), capabilities=[["gpu"]])]


def ulimit(asked: str) -> object:
    """Read ``NAME=SOFT[:HARD]``; anything else is a ValueError."""
    import docker  # noqa: PLC0415  # heavy

    name, _, limits = asked.partition("=")
    soft, _, hard = limits.partition(":")
    if not name or not all(number.lstrip("-").isdecimal() for number in (soft, hard or soft)):
        raise ValueError(f"--ulimit={asked!a} is not written NAME=SOFT[:HARD]")
    return docker.types.Ulimit(name=name, soft=int(soft), hard=int(hard or soft))


def bind(folder: str, place: str) -> object:
    """Mount a folder of the engine's machine; one that is not there is refused, and not made."""
    import docker  # noqa: PLC0415  # heavy

    return docker.types.Mount(place, folder, type="bind")
