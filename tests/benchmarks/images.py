"""Measures images of a large environment: assembled by reconciler, and built by BuildKit with uv; pushed by both.

::

    python tests/benchmarks/images.py                          # all of it, three rounds
    python tests/benchmarks/images.py --rounds 1 --packages idna,packaging --changed idna

Both stand on one Debian base, in a reference registry on loopback, and take the wheels of one lock, by their hashes,
from an index on loopback, which costs next to nothing. BuildKit is that of a Docker Engine of its own; its Dockerfile
runs ``uv pip install`` with uv's cache in a cache mount, which is what uv's documentation recommends. The rounds
alternate; each time is from the command to the pushed image.

*cold*: nothing is on the machine. *warm*: the downloads are, neither layers nor images. *one pin*: everything is, the
registry holds the image before, one package has another version. *one pin, empty machine*: the registry holds the image
before, the machine nothing. Fetched are bytes of wheels, pushed the bytes that the registry has more afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, Protocol

import uv

from tests.benchmarks.packages import PackageIndex, serving_index
from tests.benchmarks.registries import Command, engine, registry_in
from tests.debian import make_debian

ROUNDS = 3
PACKAGES = "numpy,pandas,scikit-learn,pyarrow,lightgbm,jupyterlab,matplotlib,mlflow-skinny"
CHANGED = "scikit-learn"
PHASES = ("cold", "warm", "one pin", "one pin, empty machine")
NAME = "training"
_DOWNLOADED = frozenset({"wheels", "interpreters"})
"""Folders of what comes from elsewhere: packages, and the base's interpreter, as BuildKit keeps the base."""
_MANIFEST = """\
name: {name}
python: {{version: "3.11", bytecode: {bytecode}, pip: [{pip}]}}
docker: {{base_image: "{base}"}}
"""
_DOCKERFILE = """\
FROM {base}
ARG fresh
RUN --mount=type=bind,source=uv,target=/uv \\
    --mount=type=bind,source=requirements.txt,target=/requirements.txt \\
    --mount=type=cache,target=/cache \\
    : $fresh; /uv venv --no-config --python /usr/bin/python3.11 /opt/venv && \\
    VIRTUAL_ENV=/opt/venv UV_CACHE_DIR=/cache UV_LINK_MODE=copy {compile}\\
    /uv pip install --no-config --require-hashes --no-deps --index-url {index} -r /requirements.txt
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
"""


# -- what both work on ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Version:
    """A lock that was solved once: the packages' texts in the manifest, and the bytes of the lock."""

    pip: Sequence[str]
    lock: bytes = b""

    @property
    def packages(self) -> Sequence[Mapping[str, str]]:
        """What the lock names."""
        (platform,) = json.loads(self.lock)["platforms"].values()
        packages: Sequence[Mapping[str, str]] = platform["packages"]
        return packages

    @property
    def requirements(self) -> str:
        """The same for uv and pip."""
        return "".join(f"{one['name']}=={one['version']} --hash=sha256:{one['sha256']}\n" for one in self.packages)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One registry with the base in it, one index, and two locks that differ in one pin."""

    folder: Path
    registry: str
    storage: Path
    index: PackageIndex
    before: Version
    after: Version

    @property
    def base(self) -> str:
        return f"{self.registry}/base/debian:latest"

    def stored(self) -> int:
        """Give the bytes of everything that the registry holds."""
        return sum(path.stat().st_size for path in (self.storage / "docker/registry/v2/blobs").rglob("data"))

    def empty(self) -> None:
        """Leave the base alone in the registry."""
        shutil.rmtree(self.storage / "docker")
        shutil.copytree(self.folder / "seed", self.storage / "docker")


class Contender(Protocol):
    """Makes and pushes an image."""

    def forget(self, *, downloads: bool) -> None:
        """Remove what is on the machine, all of it or what it can make from its downloads."""

    def commands(self, version: Version, *, fresh: bool) -> Sequence[tuple[Command, Path]]:
        """Prepare the commands, each with its folder; ``fresh`` is without layers that were made before."""


@dataclass(kw_only=True)
class Assembled:
    """The reconciler, in a clone of its own."""

    bench: Bench
    bytecode: bool

    @property
    def clone(self) -> Path:
        return self.bench.folder / f"clone-{self.bytecode}"

    def forget(self, *, downloads: bool) -> None:
        for path in (self.clone / ".reconciler").glob("*"):
            if path.is_dir() and (downloads or path.name not in _DOWNLOADED):
                shutil.rmtree(path)

    def commands(self, version: Version, *, fresh: bool) -> Sequence[tuple[Command, Path]]:
        del fresh
        declare(self.clone, version, self.bench.base, bytecode=self.bytecode, registry=f"{self.bench.registry}/ours")
        return [(reconciler("apply"), self.clone)]


@dataclass(kw_only=True)
class Built:
    """BuildKit with uv."""

    bench: Bench
    bytecode: bool
    docker: Command
    made: int = 0

    def forget(self, *, downloads: bool) -> None:
        # The first of them keeps what BuildKit has of builds, and its cache mounts.
        for what in ("image", "builder") if downloads else ("image",):
            run((*self.docker, what, "prune", "--all", "--force"), self.bench.folder)

    def commands(self, version: Version, *, fresh: bool) -> Sequence[tuple[Command, Path]]:
        context = self.bench.folder / "context"
        context.mkdir(exist_ok=True)
        shutil.copy(uv.find_uv_bin(), context / "uv")
        compiled = "UV_COMPILE_BYTECODE=1 " if self.bytecode else ""
        text = _DOCKERFILE.format(base=self.bench.base, index=self.bench.index.address, compile=compiled)
        (context / "Dockerfile").write_text(text)
        (context / "requirements.txt").write_text(version.requirements)
        name = f"{self.bench.registry}/theirs/{NAME}"
        # BuildKit's own option for it takes a new cache mount too.
        self.made += fresh
        build = ("build", "--quiet", "--network=host", f"--build-arg=fresh={self.made}", "--tag", name, ".")
        return [((*self.docker, *build), context), ((*self.docker, "push", "--quiet", name), context)]


def declare(clone: Path, version: Version, base: str, *, bytecode: bool, registry: str) -> None:
    """Commit an environment with its lock."""
    if not (clone / ".git").exists():
        (clone / "environments").mkdir(parents=True)
        run(("git", "init", "--quiet"), clone)
        (clone / ".gitignore").write_text(".reconciler/\ndebian\n")
    (clone / "reconciler.yaml").write_text(f"registry: {registry}\nmanager: benchmark\n" if registry else "")
    pip = ", ".join(f'"{one}"' for one in version.pip)
    text = _MANIFEST.format(name=NAME, bytecode=str(bytecode).lower(), pip=pip, base=base)
    (clone / f"environments/{NAME}.yaml").write_text(text)
    if version.lock:
        (clone / f"environments/{NAME}.lock.json").write_bytes(version.lock)
    run(("git", "add", "--all"), clone)
    author = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.invalid")
    run(("git", *author, "commit", "--quiet", "--allow-empty", "--message=Change"), clone)


def reconciler(*arguments: str) -> Command:
    return (str(Path(sys.executable).with_name("reconciler")), *arguments)


# -- preparing --------------------------------------------------------------------------------------------------


class _Tools:
    """Programs that have to be there."""

    def program(self, name: str) -> Path:
        found = shutil.which(name)
        return Path(found) if found else self.refuse(f"{name} is not installed")

    def refuse(self, reason: str) -> NoReturn:
        raise SystemExit(reason)


@contextlib.contextmanager
def prepared(
    folder: Path, packages: Sequence[str], changed: str, layout: Path | None, *, bytecode: bool
) -> Iterator[Bench]:
    """Make the base, solve twice with the machine's own index, and bring all wheels to one on loopback."""
    layout = layout or make_debian(_Tools(), folder / "debian").layout
    storage = folder / "registry"
    storage.mkdir()
    with registry_in(storage) as address:
        target = f"docker://{address}/base/debian:latest"
        copy = ("skopeo", "--insecure-policy", "copy", "--all", "--quiet", "--dest-tls-verify=false")
        run((*copy, f"oci:{layout}:latest", target), folder)
        shutil.copytree(storage / "docker", folder / "seed")
        base = f"{address}/base/debian:latest"
        after = _solved(folder / "solving", packages, base, bytecode=bytecode)
        version = next(one["version"] for one in after.packages if one["name"] == changed)
        before = _solved(folder / "solving", [*packages, f"{changed}<{version}"], base, bytecode=bytecode)
        _collect(folder / "solving", folder / "wheels", [before, after])
        with serving_index(folder / "wheels") as index:
            yield Bench(folder=folder, registry=address, storage=storage, index=index, before=before, after=after)


def _solved(clone: Path, packages: Sequence[str], base: str, *, bytecode: bool) -> Version:
    """Solve, as near to what was solved before as may be, and bring the wheels."""
    asked = Version(pip=packages)
    declare(clone, asked, base, bytecode=bytecode, registry="")
    for command in (reconciler("lock"), reconciler("apply")):
        run(command, clone)
    return Version(pip=packages, lock=(clone / f"environments/{NAME}.lock.json").read_bytes())


def _collect(clone: Path, wheels: Path, versions: Sequence[Version]) -> None:
    wheels.mkdir()
    for one in {one["sha256"]: one for version in versions for one in version.packages}.values():
        (clone / ".reconciler/wheels" / f"{one['sha256']}.whl").rename(wheels / one["file"])


# -- measuring --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one round of one phase took: seconds, bytes, and the largest process."""

    taken_s: float
    fetched: int
    pushed: int
    memory: int


def run(command: Command, folder: Path, environ: Mapping[str, str] | None = None) -> int:
    """Run a command; give the bytes of memory that it had at most."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}\n{said}")
    return usage.ru_maxrss * 1024


def environment(index: str) -> Mapping[str, str]:
    """Give an environment in which packages come from the index on loopback alone."""
    dropped = ("RECONCILER_", "PIP_", "UV_", "PYTHONDONTWRITEBYTECODE")  # what is installed has its bytecode
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, "DOCKER_BUILDKIT": "1"}


def measure(bench: Bench, contender: Contender, version: Version, *, fresh: bool = False) -> Measured:
    """Make and push it once."""
    commands = contender.commands(version, fresh=fresh)
    held, environ = bench.stored(), environment(bench.index.address)
    bench.index.taken()
    start = time.perf_counter()
    memory = max(run(command, folder, environ) for command, folder in commands)
    taken = time.perf_counter() - start
    return Measured(taken_s=taken, fetched=bench.index.taken(), pushed=bench.stored() - held, memory=memory)


def measure_round(bench: Bench, contender: Contender) -> Mapping[str, Measured]:
    """Measure each phase once."""
    found = {}
    bench.empty()
    contender.forget(downloads=True)
    found["cold"] = measure(bench, contender, bench.before, fresh=True)
    bench.empty()
    contender.forget(downloads=False)
    found["warm"] = measure(bench, contender, bench.before, fresh=True)
    found["one pin"] = measure(bench, contender, bench.after)
    bench.empty()
    measure(bench, contender, bench.before)
    contender.forget(downloads=True)
    found["one pin, empty machine"] = measure(bench, contender, bench.after)
    return found


@dataclass(kw_only=True)
class Row:
    """A phase: what each round took of us and of the peer."""

    what: str
    ours: list[Measured] = field(default_factory=list)
    peers: list[Measured] = field(default_factory=list)

    def to_markdown(self) -> str:
        """Write medians and the ratio of times."""
        ours, peers = (statistics.median(one.taken_s for one in side) for side in (self.ours, self.peers))
        cells = [self.what, f"{ours:.2f} s", f"{peers:.2f} s", f"{ours / peers:.3f}"]
        for side in (self.ours, self.peers):
            cells += [f"{_megabytes(side, 'fetched')} MB", f"{_megabytes(side, 'pushed')} MB"]
        cells.append(f"{_megabytes(self.ours, 'memory')} MB")
        return f"| {' | '.join(cells)} |"


def _megabytes(side: Sequence[Measured], what: str) -> str:
    return f"{statistics.median(getattr(one, what) for one in side) / 1e6:.1f}"


def compare(bench: Bench, docker: Command, rounds: int, *, bytecode: bool) -> Sequence[Row]:
    """Measure both, one after the other; give a row for each phase."""
    rows = {phase: Row(what=phase) for phase in PHASES}
    ours, peer = Assembled(bench=bench, bytecode=bytecode), Built(bench=bench, bytecode=bytecode, docker=docker)
    for number in range(rounds):
        for phase, found in measure_round(bench, ours).items():
            rows[phase].ours.append(found)
        for phase, found in measure_round(bench, peer).items():
            rows[phase].peers.append(found)
        sys.stderr.write(f"round {number + 1} of {rounds}\n")
    return list(rows.values())


_HEAD = """\
| {what} | reconciler | BuildKit, uv | ratio | fetched | pushed | peer fetched | peer pushed | memory |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def main(arguments: Sequence[str] | None = None) -> str:
    """Measure what the command line asks for; give the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", default=PACKAGES, help="requirements, with commas")
    parser.add_argument("--changed", default=CHANGED, help="the package that gets another version")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--bytecode", choices=("without", "with", "both"), default="both")
    parser.add_argument("--base", type=Path, help="an OCI layout of Debian; mmdebstrap makes one otherwise")
    options = parser.parse_args(arguments)
    tables = []
    for bytecode in {"without": (False,), "with": (True,), "both": (False, True)}[options.bytecode]:
        with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as name:
            tables.append(_table(Path(name), options, bytecode=bytecode))
    return "\n".join(tables)


def _table(folder: Path, options: argparse.Namespace, *, bytecode: bool) -> str:
    # Whether bytecode is made is a part of what is asked, so each has a lock of its own.
    with engine() as docker:
        if docker is None:
            raise SystemExit("a Docker Engine of its own needs dockerd, its client, and root")
        packages = options.packages.split(",")
        with prepared(folder, packages, options.changed, options.base, bytecode=bytecode) as bench:
            rows = compare(bench, docker, options.rounds, bytecode=bytecode)
            what = f"{len(bench.after.packages)} packages, {'with' if bytecode else 'without'} bytecode"
    return _HEAD.format(what=what) + "".join(f"{row.to_markdown()}\n" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(main())
