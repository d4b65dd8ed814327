"""Measures bases made of Debian packages: assembled by reconciler, and bootstrapped by mmdebstrap.

::

    python tests/benchmarks/bases.py                                  # all of it, three rounds
    python tests/benchmarks/bases.py --rounds 1 --base debian:bookworm-slim --more libgomp1

Both take packages from the mirror that this machine's apt names, and end with a root that has the same packages:
mmdebstrap is asked for those that the reconciler's lock names, and has besides what it needs to install them. Ours ends
with a registered image, with compressed layers and pip in it; the peer's with a plain tar file. The rounds alternate.

*nothing*: nothing is on the machine. *warm*: what was fetched is; no layers, no image and no lock, so both choose the
packages again. mmdebstrap's cache is that of its manual: a folder that hooks copy in and out. *one more*: everything is
there, and another system package is asked for, which neither has fetched.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.debian.suites import parse_entry
from tests.benchmarks.images import reconciler, run
from tests.benchmarks.registries import Command

ROUNDS = 3
BASE, PYTHON, MORE = "debian:bookworm", "3.11", "graphviz"
NAME = "base"
PHASES = ("nothing", "warm", "one more")
_DOWNLOADED = frozenset({"debs", "wheels"})
"""Folders of what comes from elsewhere."""
_MANIFEST = """\
name: {name}
python: {{version: "{python}", bytecode: false}}
docker: {{base_image: "{base}"}}
system_packages: [{packages}]
"""
_HOOKS = (
    "--skip=essential/unlink",
    '--setup-hook=mkdir -p {cache} "$1"/var/cache/apt/archives/',
    "--setup-hook=sync-in {cache} /var/cache/apt/archives/",
    "--customize-hook=sync-out /var/cache/apt/archives {cache}",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """What one round of one phase took: seconds, and the bytes of the largest process."""

    taken_s: float
    memory: int


@dataclass(kw_only=True)
class Row:
    """A phase: what each round took of us and of the peer."""

    what: str
    ours: list[Measured] = field(default_factory=list)
    peers: list[Measured] = field(default_factory=list)

    def to_markdown(self) -> str:
        """Write medians and the ratio of times."""
        ours, peers = (statistics.median(one.taken_s for one in side) for side in (self.ours, self.peers))
        memory = statistics.median(one.memory for one in self.ours) / 1e6
        return f"| {self.what} | {ours:.2f} s | {peers:.2f} s | {ours / peers:.3f} | {memory:.0f} MB |"


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """The reconciler, in a clone of its own."""

    clone: Path
    base: str
    python: str

    def forget(self, *, downloads: bool) -> None:
        """Remove what is on the machine, all of it or what it can make from its downloads."""
        for path in (self.clone / ".reconciler").glob("*"):
            if path.is_dir() and (downloads or path.name not in _DOWNLOADED):
                shutil.rmtree(path)

    def declare(self, packages: Sequence[str]) -> None:
        """Commit an environment with these system packages."""
        if not (self.clone / ".git").exists():
            (self.clone / "environments").mkdir(parents=True)
            run(("git", "init", "--quiet"), self.clone)
            (self.clone / ".gitignore").write_text(".reconciler/\n")
        values = {"name": NAME, "python": self.python, "base": self.base, "packages": ", ".join(packages)}
        (self.clone / f"environments/{NAME}.yaml").write_text(_MANIFEST.format(**values))
        author = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.invalid")
        for command in (("add", "--all"), (*author, "commit", "--quiet", "--allow-empty", "--message=Change")):
            run(("git", *command), self.clone)

    def make(self, packages: Sequence[str]) -> Measured:
        """Make and register it."""
        self.declare(packages)
        return timed(reconciler("apply"), self.clone)

    def packages(self) -> Sequence[str]:
        """Say which packages the registered image has."""
        run(reconciler("lock"), self.clone)
        path = self.clone / f"environments/{NAME}.lock.json"
        (platform,) = json.loads(path.read_bytes())["platforms"].values()
        path.unlink()
        return [package["name"] for package in platform["system"]["packages"]]


@dataclass(frozen=True, kw_only=True)
class Bootstrapped:
    """mmdebstrap, as root, with a folder of what it fetched."""

    folder: Path
    suite: str

    def forget(self) -> None:
        """Remove what it fetched."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self, packages: Sequence[str]) -> Measured:
        """Make a root with these packages."""
        self.folder.mkdir(exist_ok=True)
        hooks = (hook.format(cache=self.folder) for hook in _HOOKS)
        options = ("--mode=root", "--variant=essential", f"--include={','.join(packages)}", *hooks)
        return timed(("mmdebstrap", *options, self.suite, str(self.folder.with_suffix(".tar"))), self.folder)


def timed(command: Command, folder: Path) -> Measured:
    """Run a command once."""
    start = time.perf_counter()
    memory = run(command, folder, _environment())
    return Measured(taken_s=time.perf_counter() - start, memory=memory)


def _environment() -> Mapping[str, str]:
    dropped = ("RECONCILER_", "PYTHONDONTWRITEBYTECODE")  # what is installed has its bytecode
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def compare(ours: Assembled, peer: Bootstrapped, more: str, rounds: int) -> tuple[Sequence[Row], str]:
    """Measure both, one after the other; give a row for each phase, and what was made."""
    rows = {phase: Row(what=phase) for phase in PHASES}
    counts = ""
    for number in range(rounds):
        ours.forget(downloads=True)
        rows["nothing"].ours.append(ours.make(()))
        first = ours.packages()
        ours.forget(downloads=False)
        rows["warm"].ours.append(ours.make(()))
        rows["one more"].ours.append(ours.make((more,)))
        then = ours.packages()
        counts = f"{ours.base}, {len(first)} packages, {len(then)} with {more}"
        peer.forget()
        for phase, packages in zip(PHASES, (first, first, then), strict=True):
            rows[phase].peers.append(peer.make(packages))
        sys.stderr.write(f"round {number + 1} of {rounds}\n")
    return list(rows.values()), counts


_HEAD = """\
| {what} | reconciler | mmdebstrap | ratio | memory |
| --- | ---: | ---: | ---: | ---: |
"""


def main(arguments: Sequence[str] | None = None) -> str:
    """Measure what the command line asks for; give the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=BASE, help="the catalog's entry, with its suite")
    parser.add_argument("--python", default=PYTHON, help="the suite's own")
    parser.add_argument("--more", default=MORE, help="the system package that is added")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    entry = parse_entry(options.base)
    if entry is None or entry.suite is None or shutil.which("mmdebstrap") is None or os.geteuid() != 0:
        raise SystemExit("an entry with a suite is needed, mmdebstrap, and root for it")
    with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as name:
        ours = Assembled(clone=Path(name) / "clone", base=options.base, python=options.python)
        peer = Bootstrapped(folder=Path(name) / "archives", suite=entry.suite)
        rows, counts = compare(ours, peer, options.more, options.rounds)
    return _HEAD.format(what=counts) + "".join(f"{row.to_markdown()}\n" for row in rows)


if __name__ == "__main__":
    sys.stdout.write(main())
