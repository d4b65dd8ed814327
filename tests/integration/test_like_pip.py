"""What a wheel leaves in an environment, compared with what pip leaves there, byte by byte.

The words of the commands that are written for entry points may differ, and their lines in RECORD; nothing else.
"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.assembly.layers import direct_url_of
from reconciler.builders.fetcher import WheelFetcher
from reconciler.clients.interpreter import this_platform
from reconciler.clients.uv import Uv, find_uv
from reconciler.executors.threads import Threads
from reconciler.lock.model import Package
from reconciler.ports import Resolution
from reconciler.resolvers.uv import UvResolver
from reconciler.store.wheels import WheelStore
from reconciler.wheel.archive import open_wheel
from reconciler.wheel.installed import installed
from tests.conftest import Required
from tests.reached import desired
from tests.servers import serving
from tests.simple_index import SimpleIndex, manifest
from tests.wheelhouse import write_wheel

PYTHON = "3.11"
NAMES = ("docutils", "greenlet", "ipykernel", "jaraco-classes", "jmespath", "pip", "six", "tabulate", "zope-interface")
"""Commands, headers, data files, namespaces, a script with ``#!python``, two Pythons in one wheel, machine code."""

Files = Mapping[str, tuple[bytes, bool]]
"""Content, and whether it may be executed, by path in the environment."""


@dataclass
class Wheels:
    """Wheels of the machine's index, by project, in a folder under their own names."""

    folder: Path
    packages: Mapping[str, Package]

    @property
    def pip(self) -> Path:
        return self.folder / self.packages["pip"].file


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Wheels:
    required.index()
    required.python(PYTHON)
    path = tmp_path_factory.mktemp("wheels")
    asked = manifest(*NAMES, platforms=(this_platform(),), version=PYTHON)
    resolved = UvResolver(environ=os.environ).resolve(Resolution(desired=desired(asked)))
    (lock,) = resolved.lock.platforms.values()
    packages = {package.name: package for package in lock.packages if package.name in NAMES}
    store = WheelStore(path=path / "store")
    WheelFetcher(store=store, uv=Uv(environ=os.environ), executor=Threads(4)).fetch([*packages.values()])
    for package in packages.values():
        (path / package.file).hardlink_to(store.path_of(package.sha256))
    return Wheels(folder=path, packages=packages)


@dataclass
class Venv:
    """An empty virtual environment, and pip to install into it."""

    path: Path
    pip: Path

    def make(self) -> Venv:
        command = [find_uv(), "venv", "--quiet", "--no-project", "--no-config", f"--python={PYTHON}", str(self.path)]
        subprocess.run(command, check=True, cwd=self.path.parent)
        return self

    def files(self) -> set[Path]:
        return {path for path in self.path.rglob("*") if path.is_file() and not path.is_symlink()}

    def install(self, *arguments: str) -> Files:
        """Install and give what is new."""
        before = self.files()
        command = [sys.executable, str(self.pip / "pip"), f"--python={self.path / 'bin/python'}", "install"]
        options = ["--quiet", "--no-compile", "--no-deps", "--no-cache-dir", "--no-index"]
        environ = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "HOME": str(self.path.parent)}
        done = subprocess.run(
            [*command, *options, *arguments], check=False, env=environ, umask=0o022, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return {
            path.relative_to(self.path).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
            for path in self.files() - before
        }


def ours(venv: Path, wheel: Path, *, direct_url: str | None = None) -> Files:
    """Give what we would leave there, as what somebody asked for by name."""
    prefix = str(venv).lstrip("/")
    with wheel.open("rb") as stream:
        members = installed(
            open_wheel(stream, wheel.name), python=PYTHON, prefix=prefix, direct_url=direct_url, requested=True
        )
        return {
            member.path.removeprefix(f"{prefix}/"): (
                b"".join(member.read()) if member.read is not None else b"",
                bool(member.mode & 0o100),
            )
            for member in members
        }


def rows(files: Files, *, but: Sequence[str]) -> list[list[str]]:
    """Read RECORD; of ``but`` only the paths count."""
    (record,) = [data for path, (data, _) in files.items() if path.endswith(".dist-info/RECORD")]
    found = sorted(csv.reader(io.StringIO(record.decode())))
    return [row[:1] if row[0].rpartition("/")[2] in but else row for row in found]


def commands(wheel: Path) -> list[str]:
    """Name the commands that are written for entry points: their words are pip's own."""
    with wheel.open("rb") as stream:
        found = [script.name for script in open_wheel(stream, wheel.name).metadata.scripts]
    return [*found, *(f"pip{PYTHON}" for name in found if name == "pip")]


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_leaves_what_pip_leaves(wheels: Wheels, tmp_path: Path, name: str) -> None:
    package = wheels.packages[name]
    venv = Venv(tmp_path / "venv", wheels.pip).make()
    theirs = venv.install(f"--find-links={wheels.folder}", f"{name}=={package.version}")
    found = ours(venv.path, wheels.folder / package.file)
    written = commands(wheels.folder / package.file)
    assert {path: mode for path, (_, mode) in found.items()} == {path: mode for path, (_, mode) in theirs.items()}
    differing = {path for path in theirs if theirs[path] != found[path]}
    record = {path for path in theirs if path.endswith(".dist-info/RECORD") and written}
    assert differing <= {*record, *(f"bin/{command}" for command in written)}
    assert rows(found, but=written) == rows(theirs, but=written)


@pytest.mark.parametrize("name", ["docutils", "tabulate", "pip"])
def test_a_command_does_what_pips_does(wheels: Wheels, tmp_path: Path, name: str) -> None:
    package = wheels.packages[name]
    venv = Venv(tmp_path / "venv", wheels.pip).make()
    theirs = venv.install(f"--find-links={wheels.folder}", f"{name}=={package.version}")
    found = ours(venv.path, wheels.folder / package.file)
    for command in (name for name in sorted(theirs) if name.startswith("bin/")):
        outputs = []
        for files in (theirs, found):
            (venv.path / command).write_bytes(files[command][0])
            done = subprocess.run(
                [venv.path / command, "--version"], check=False, capture_output=True, text=True, input=""
            )
            outputs.append((done.returncode, done.stdout, done.stderr))
        assert outputs[0] == outputs[1]
        assert outputs[0][1] or "unrecognized" in outputs[0][2] or "not recognized" in outputs[0][2]


def test_a_wheel_of_an_address_says_where_it_is_from_as_pip_writes_it(wheels: Wheels, tmp_path: Path) -> None:
    index = SimpleIndex(tmp_path / "index")
    wheel = write_wheel(index.root / "files", "alpha", "1")
    digest = sha256(wheel.read_bytes()).hexdigest()
    venv = Venv(tmp_path / "venv", wheels.pip).make()
    with serving(index.reply) as server:
        address = f"{server.address}/files/{wheel.name}"
        theirs = venv.install(f"alpha @ {address}#sha256={digest}")
    package = Package(name="alpha", version="1", file=wheel.name, size=1, sha256=digest, source=f"url:{address}")
    assert ours(venv.path, wheel, direct_url=direct_url_of(package)) == theirs
    assert "alpha-1.dist-info/direct_url.json" in "".join(theirs)
