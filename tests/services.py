"""Real servers for integration tests, apart from the machine's own: the reference registry, and a Docker Engine.

Each lives in a temporary folder, on a free port or a socket of its own, and ends with its block; nothing of it is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from tests.servers import certificate

_DEADLINE_S = 30.0
_TRIES = 3
# A server does not outlive tests that were killed; an engine can then still unmount what it mounted.
_BOUND = ("setpriv", "--pdeathsig", "TERM")
_ENGINE_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
# In mounts of its own, that end with it: settings, keys and the containerd of the machine's engine are not seen.
_ALONE = """
for place in /etc/docker /run/containerd; do
  [ ! -d "$place" ] || mount --bind "$1$place" "$place"
done
shift
exec "$@"
"""


class Required(Protocol):
    """How a missing tool is told."""

    def program(self, name: str) -> Path: ...

    def refuse(self, reason: str) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryService:
    """A reference registry: ``address`` is ``127.0.0.1:PORT``, ``ca`` what to trust, ``storage`` its files.

    ``ca`` is alone in its folder and ends in ``.crt``, as skopeo's ``--cert-dir`` and docker's ``certs.d`` want it.
    Its files are ``docker/registry/v2/{repositories,blobs}`` below ``storage``, and read for every request.
    """

    address: str
    storage: Path
    ca: Path | None = None
    username: str = ""
    password: str = ""

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.address}"

    def prefix(self) -> str:
        """Give a prefix that nobody has used: ``127.0.0.1:PORT/t...``."""
        return f"{self.address}/t{secrets.token_hex(6)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineService:
    """A Docker Engine: its socket, and Debian's client.

    It has no network, so a container needs ``--network=none`` (or ``host``).
    """

    client: Path
    socket: Path
    driver: str

    @property
    def host(self) -> str:
        """What DOCKER_HOST is for it."""
        return f"unix://{self.socket}"

    def docker(self, *arguments: str, config: Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``docker``; ``config`` is the folder of its configuration, ``given`` what it reads."""
        environment = {"PATH": _ENGINE_PATH, "HOME": str(config), "DOCKER_CONFIG": str(config)}
        return subprocess.run(
            [self.client, "--host", self.host, *arguments],
            capture_output=True,
            check=False,
            env=environment,
            input=given,
            text=True,
        )


# -- the reference registry -------------------------------------------------------------------------------------


@contextlib.contextmanager
def reference_registry(required: Required, *, tls: bool = False, login: bool = False) -> Iterator[RegistryService]:
    """Run ``docker-registry`` until the block ends; deleting is allowed, by digest as it does it."""
    program = required.program("docker-registry")
    with tempfile.TemporaryDirectory(prefix="reconciler-registry-") as name:
        folder = Path(name)
        (folder / "storage").mkdir()
        ca = _trusted(required, folder) if tls else None
        account = ("tester", secrets.token_urlsafe(12)) if login else ("", "")
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            # No cache in memory: what is changed in the storage is seen at once.
            "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}},
        }
        if login:
            made = _output([required.program("htpasswd"), "-Bbn", *account])
            (folder / "htpasswd").write_text(made)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        with _listening(program, folder, config, ca) as port:
            yield RegistryService(
                address=f"127.0.0.1:{port}",
                storage=folder / "storage",
                ca=ca,
                username=account[0],
                password=account[1],
            )


def _trusted(required: Required, folder: Path) -> Path:
    made, _ = certificate(required.program("openssl"), folder)
    (folder / "trust").mkdir()
    return made.rename(folder / "trust" / "ca.crt")


@contextlib.contextmanager
def _listening(program: Path, folder: Path, config: Mapping[str, object], ca: Path | None) -> Iterator[int]:
    """Start it on a free port; on another one where somebody was quicker."""
    http: dict[str, object] = {"secret": secrets.token_hex(16)}
    if ca:
        http["tls"] = {"certificate": str(ca), "key": str(folder / "key.pem")}
    for _ in range(_TRIES):
        port = _free_port()
        made = {**config, "http": {**http, "addr": f"127.0.0.1:{port}"}}
        # YAML reads JSON.
        (folder / "config.yml").write_text(json.dumps(made))
        with _running([program, "serve", folder / "config.yml"], folder / "log") as process:
            url = f"{'https' if ca else 'http'}://127.0.0.1:{port}/v2/"
            if _wait(process, partial(_answers, url, ca)):
                yield port
                return
    raise AssertionError(f"docker-registry does not start: {(folder / 'log').read_text()[-2000:]}")


def _answers(url: str, ca: Path | None) -> bool:
    context = ssl.create_default_context(cafile=ca) if ca else None
    direct = urllib.request.ProxyHandler({})
    opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        with error:
            return error.code == 401
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


# -- the engine -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def docker_engine(required: Required) -> Iterator[EngineService]:
    """Run ``dockerd`` until the block ends, without a network of its own; registries on loopback need no trust."""
    programs = [shutil.which(name, path=_ENGINE_PATH) for name in ("dockerd", "unshare", *_BOUND[:1])]
    client = Path("/usr/bin/docker")
    if not all(programs) or not client.is_file():
        required.refuse("dockerd with its client is not installed")
    root = as_root(required, "dockerd")
    folder = Path(tempfile.mkdtemp(prefix="reconciler-docker-"))
    try:
        with _engine(folder, client, root) as engine:
            yield engine
    finally:
        subprocess.run([*root, "rm", "-rf", folder], check=True)


def as_root(required: Required, program: str) -> tuple[str, ...]:
    """Give what comes before a program that needs root, where there is such a way."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is None or subprocess.run(["sudo", "-n", "true"], check=False).returncode:
        required.refuse(f"{program} needs root, or sudo that asks for no password")
    return ("sudo", "-n")


@contextlib.contextmanager
def _engine(folder: Path, client: Path, root: Sequence[str]) -> Iterator[EngineService]:
    """Start it with the first storage driver that works here."""
    (folder / "etc/docker").mkdir(parents=True)
    (folder / "run/containerd").mkdir(parents=True)
    (folder / "daemon.json").write_text(json.dumps({"features": {"containerd-snapshotter": False}}))

    def stop(process: subprocess.Popen[bytes]) -> None:
        pid = folder / "pid"
        if pid.exists() and process.poll() is None:
            subprocess.run([*root, "kill", "-TERM", pid.read_text().strip()], check=False)

    for driver in ("overlay2", "vfs"):
        engine = EngineService(client=client, socket=folder / "docker.sock", driver=driver)
        command = [*root, *_BOUND, "unshare", "--mount", "--propagation", "private"]
        command += ["sh", "-euc", _ALONE, "sh", str(folder), *_dockerd(folder, engine)]
        with _running(command, folder / "log", stop) as process:
            if _wait(process, partial(_is_up, engine, folder)):
                yield engine
                return
    raise AssertionError(f"dockerd does not start: {(folder / 'log').read_text()[-2000:]}")


def _dockerd(folder: Path, engine: EngineService) -> list[str]:
    return [
        "dockerd",
        f"--host={engine.host}",
        f"--group={os.getgid()}",
        f"--config-file={folder / 'daemon.json'}",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'pid'}",
        f"--storage-driver={engine.driver}",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--bridge=none",
        "--insecure-registry=127.0.0.0/8",
    ]


def _is_up(engine: EngineService, folder: Path) -> bool:
    return engine.socket.exists() and engine.docker("version", config=folder).returncode == 0


# -- processes --------------------------------------------------------------------------------------------------


def _terminate(process: subprocess.Popen[bytes]) -> None:
    process.terminate()


@contextlib.contextmanager
def _running(
    command: Sequence[str | Path], log: Path, stop: Callable[[subprocess.Popen[bytes]], None] = _terminate
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends: asked to stop, and killed where it does not."""
    bound = () if _BOUND[0] in command or shutil.which(_BOUND[0]) is None else _BOUND
    environment = {"PATH": _ENGINE_PATH, "HOME": str(log.parent)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*bound, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd="/"
        )
    try:
        yield process
    finally:
        stop(process)
        try:
            process.wait(_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> bool:
    """Wait until it answers; tell whether it does, and still runs."""
    end = time.monotonic() + _DEADLINE_S
    while process.poll() is None and time.monotonic() < end:
        if is_up():
            return process.poll() is None
        time.sleep(0.02)
    return False


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout
