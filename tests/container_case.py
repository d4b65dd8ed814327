"""Real environments as images: declared on a Debian base, solved and fetched from the machine's index, and run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reconciler.lock.document import parse_lock
from reconciler.lock.model import Lock
from reconciler.values.platform import Platform
from tests.debian import Debian
from tests.repository import Repository
from tests.services import EngineService, RegistryService

BASE = 'docker: {base_image: "oci:debian"}\n'
_AUTHOR = {f"GIT_{role}_{kind}": "tests@localhost" for role in ("AUTHOR", "COMMITTER") for kind in ("NAME", "EMAIL")}


class Machine(Repository):
    """A clone whose packages come from where this machine's own settings say."""

    def __init__(self, root: Path, debian: Debian | None = None) -> None:
        super().__init__(root)
        if debian is not None:
            debian.link_into(root)
        (root / ".gitignore").write_text(".reconciler/\ndebian/\n")

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILER_")}
        return {**kept, **_AUTHOR, "GIT_CONFIG_GLOBAL": os.devnull, "UV_CACHE_DIR": str(self.cache), "NO_COLOR": "1"}

    def git(self, *arguments: str) -> str:
        """Run git with this environment: a session's fixture has none of its own."""
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=self.environ)
        return done.stdout.strip()

    def containers(
        self, name: str, *pip: str, platforms: Sequence[str] = ("linux/amd64",), python: str = "", extra: str = ""
    ) -> Path:
        """Declare an image on the base."""
        path = self.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"name: {name}\nplatforms: [{', '.join(platforms)}]\n{BASE}{extra}"
            f"python:\n  version: '3.11'\n{python}  pip: [{', '.join(pip)}]\n"
        )
        return path

    def lock_of(self, name: str) -> Lock:
        """Give the lock of what is registered, by having it written and taking it away again."""
        self("lock", name)
        path = self.root / "environments" / f"{name}.lock.json"
        try:
            return parse_lock(path.read_bytes(), path.name)
        finally:
            path.unlink()


@dataclass(frozen=True, kw_only=True)
class Registered:
    """An environment in a reference registry, for two platforms."""

    name: str
    machine: Machine
    service: RegistryService
    prefix: str

    @property
    def reference(self) -> str:
        return f"{self.prefix}/{self.name}"

    @cached_property
    def lock(self) -> Lock:
        return self.machine.lock_of(self.name)

    def versions(self, architecture: str = "amd64") -> dict[str, str]:
        """The packages that the lock names."""
        return {one.name: one.version for one in self.lock.platforms[Platform("linux", architecture)].packages}


def register(machine: Machine, service: RegistryService, name: str, *pip: str) -> Registered:
    """Declare an environment for two platforms, and apply it to a registry."""
    prefix = service.prefix()
    (machine.root / "reconciler.yaml").write_text(f"registry: {prefix}\nmanager: tests\n")
    machine.containers(name, *pip, platforms=("linux/amd64", "linux/arm64"))
    machine.commit()
    machine("apply")
    return Registered(name=name, machine=machine, service=service, prefix=prefix)


@dataclass(frozen=True, kw_only=True)
class Containers:
    """An image in an engine."""

    engine: EngineService
    image: str
    config: Path

    def run(self, *command: str, options: Sequence[str] = ()) -> str:
        """Run a command in a container of its own, and give what it printed."""
        done = self.engine.docker("run", "--rm", "--network=none", *options, self.image, *command, config=self.config)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def python(self, program: str, *, options: Sequence[str] = ()) -> str:
        return self.run("python", "-c", program, options=options).strip()

    @contextmanager
    def running(self, *command: str, options: Sequence[str] = ()) -> Iterator[str]:
        """Run it in the background on the machine's own network; give its id."""
        started = self.engine.docker(
            "run", "--detach", "--network=host", *options, self.image, *command, config=self.config
        )
        assert started.returncode == 0, started.stderr
        container = started.stdout.strip()
        try:
            yield container
        finally:
            self.engine.docker("rm", "--force", container, config=self.config)

    def logs(self, container: str) -> str:
        done = self.engine.docker("logs", container, config=self.config)
        return done.stdout + done.stderr


def skopeo(program: Path, *arguments: str) -> bytes:
    """Run skopeo; ``inspect`` and ``copy`` trust registries on loopback."""
    command: list[str | Path] = [program, "--override-os=linux", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def inspected(program: Path, reference: str, architecture: str) -> Mapping[str, object]:
    """Give what skopeo says about an image."""
    trust = ["--tls-verify=false"] if reference.startswith("docker://") else []
    found = json.loads(skopeo(program, f"--override-arch={architecture}", "inspect", *trust, reference))
    assert isinstance(found, dict)
    return found
