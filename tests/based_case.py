"""Real environments on bases made of Debian packages: applied once for all tests of a session, and run in an engine."""

from __future__ import annotations

import fcntl
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.lock.document import parse_lock
from reconciler.lock.model import PlatformLock
from reconciler.lock.system import System
from reconciler.values.platform import Platform
from tests.conftest import Required
from tests.container_case import Containers, Machine, skopeo
from tests.repository import Answer
from tests.services import EngineService
from tests.standalone import Mirror, make_archive

TOOLS, MODERN, ALONE, OLD = "tools", "modern", "alone", "old"
SYSTEM_PACKAGES = (
    "libgomp1", "ffmpeg", "git", "tesseract-ocr", "graphviz", "openmpi-bin", "openjdk-17-jre-headless",
)  # fmt: skip
MANIFESTS: Mapping[str, str] = {
    TOOLS: f"""\
docker: {{base_image: "debian:bookworm"}}
python: {{version: "3.11", pip: [numpy, pandas, scikit-learn, lightgbm, pillow]}}
system_packages: [{", ".join(SYSTEM_PACKAGES)}]
""",
    MODERN: """\
platforms: [linux/amd64, linux/arm64]
docker: {base: slim}
python: {version: "3.13", pip: [numpy]}
""",
    ALONE: """\
docker: {base: slim}
python: {version: "3.12", pip: [numpy, pandas]}
""",
    OLD: """\
docker: {base_image: "debian:bullseye"}
python:
  version: "3.9"
  pip: [numpy, pandas, scikit-learn, azureml-defaults]
  build_from_source: [fusepy]
""",
}
WITHOUT_LIBRARY = """\
name: forgotten
docker: {base_image: "debian:bookworm"}
python: {version: "3.11", pip: [numpy, lightgbm]}
"""


class BasedMachine(Machine):
    """A clone on a machine that has never seen a base."""

    timeout_s = 900

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.variables = variables
        super().__init__(root)

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.variables}

    def declare_all(self, manifests: Mapping[str, str]) -> None:
        """Write these manifests beside what is there, and commit."""
        folder = self.root / "environments"
        folder.mkdir(exist_ok=True)
        for name, text in manifests.items():
            (folder / f"{name}.yaml").write_text(f"name: {name}\n{text}")
        self.commit()

    def locked(self, name: str, architecture: str = "amd64") -> PlatformLock:
        """Give what the committed lock says of a platform."""
        path = self.root / "environments" / f"{name}.lock.json"
        return parse_lock(path.read_bytes(), path.name).platforms[Platform("linux", architecture)]

    def system(self, name: str, architecture: str = "amd64") -> System:
        """Give the Debian packages that the lock names."""
        found = self.locked(name, architecture).system
        assert found is not None
        return found

    def images(self, name: str) -> Mapping[str, str]:
        """Give the digest of what is registered, by platform."""
        return images_of(self("get", name, "-o", "json"))

    def layout(self, name: str, architecture: str = "amd64") -> str:
        """Say where its image is, as skopeo spells it."""
        return f"oci:{self.root}/.reconciler/registry/{name}:v1-linux-{architecture}"


def images_of(answer: Answer) -> Mapping[str, str]:
    """Read what ``get`` prints: the digest of each platform's image."""
    return {platform: one["digest"] for platform, one in json.loads(answer.out)["artifacts"].items()}


def make_based(required: Required, folder: Path) -> BasedMachine:
    """Lock and apply every environment in a folder, once: whoever comes meanwhile waits, and finds it."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = make_archive(required, folder / "archives", "3.12")
    if required.another_python("3.9") is None:
        required.refuse("no Python 3.9 is where pyenv keeps them, which builds what has no wheel")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mirror = Mirror(folder=folder / "pythons")
        machine = BasedMachine(folder / "clone", mirror.variables)
        if not (folder / "made").exists():
            mirror.put(archive)
            machine.declare_all(MANIFESTS)
            machine("lock")
            machine.commit()
            machine("apply")
            (folder / "made").touch()
    return machine


def load(machine: BasedMachine, program: Path, engine: EngineService, name: str, config: Path) -> Containers:
    """Have skopeo bring an image to an engine."""
    image = f"{name}:v1"
    skopeo(program, "copy", f"--dest-daemon-host={engine.host}", machine.layout(name), f"docker-daemon:{image}")
    return Containers(engine=engine, image=image, config=config)


# -- a scanner ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True, kw_only=True, slots=True)
class Seen:
    """A package as a scanner sees it."""

    name: str
    version: str
    architecture: str


def scanned(records: str, folder: Path, program: Path) -> set[Seen]:
    """Have dpkg's own parser read the records of ``status.d``; ``folder`` is empty, ``program`` is dpkg-query."""
    for name in ("info", "updates", "triggers"):
        (folder / name).mkdir(parents=True)
    # dpkg lists what has a state; files for a scanner need to have none.
    stanzas = [stanza for stanza in re.split(r"\n{2,}", records.strip()) if stanza]
    texts = [stanza if "\nStatus:" in stanza else f"{stanza}\nStatus: install ok installed" for stanza in stanzas]
    (folder / "status").write_text("\n\n".join(texts) + "\n")
    done = subprocess.run(
        [program, f"--admindir={folder}", "--show", "--showformat=${Package} ${Version} ${Architecture}\n"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = (line.split() for line in done.stdout.splitlines())
    return {Seen(name=name, version=version, architecture=architecture) for name, version, architecture in rows}
