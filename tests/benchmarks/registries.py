"""Measures a registry over HTTP: looking at records, pushing layers; each beside a peer in the same run.

::

    python tests/benchmarks/registries.py                                  # all of it, five rounds
    python tests/benchmarks/registries.py --sizes 100 --layers 20 --megabytes 20 --rounds 2

The registry is the reference one, on loopback. *Observing*: ``plan`` of environments that are registered and unchanged,
with a warm and with an empty cache; beside it ``ab`` (Apache's, in C, 16 connections) sends as many HEAD requests and
does nothing else: the least that such a plan could take. *Pushing*: an image of 136 layers, 250 MB that can't be
compressed, from a folder of OCI layouts into an empty registry by ``reconciler copy`` and by ``skopeo copy``, and by
``docker push`` from an engine that has it; an engine holds at most 125 layers, so there is an image of 120 too. Then
the same image with one layer changed, into the registry that holds the first. Every push goes to a registry of its own,
so that nobody finds what another one left. Where a peer is not installed its column stays empty.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.cli.wiring import open_workspace
from reconciler.oci import media
from reconciler.oci.descriptor import Content, Image
from reconciler.oci.image import ImageConfig, to_image
from reconciler.ports import Task
from reconciler.values.digest import Digest
from tests.benchmarks.run import AtOnce, make_repository, register

ROUNDS = 5
SIZES = (100, 1000)
LAYERS = (136, 120)
ENGINE_LAYERS = 125
"""Layers that Docker Engine can hold; more are "max depth exceeded"."""
MEGABYTES = 250
_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
Command = tuple[str, ...]


# -- the registry and the engine --------------------------------------------------------------------------------


@contextlib.contextmanager
def registry() -> Iterator[str]:
    """Serve an empty reference registry; give ``HOST:PORT``."""
    with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as folder, registry_in(Path(folder)) as address:
        yield address


@contextlib.contextmanager
def registry_in(folder: Path) -> Iterator[str]:
    """Serve a reference registry whose files are in a folder."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "config.yml"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    process = subprocess.Popen(
        ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(lambda: _answers(f"http://127.0.0.1:{port}/v2/"))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url):  # noqa: S310  # loopback
        return True
    return False


def _wait(is_up: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not is_up():
        if time.monotonic() > end:
            raise SystemExit("a service does not start")
        time.sleep(0.05)


@contextlib.contextmanager
def engine() -> Iterator[Command | None]:
    """Run a Docker Engine of its own; give the client's command, none where there is none."""
    client = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()), None)
    if client is None or shutil.which("dockerd") is None or os.geteuid() != 0:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="reconciler-engine-", ignore_cleanup_errors=True) as folder:
        at = f"unix://{folder}/docker.sock"
        options = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/run", "--pidfile", f"{folder}/pid"]
        network = ["--iptables=false", "--ip6tables=false", "--bridge=none"]
        process = subprocess.Popen(
            ["dockerd", "--host", at, *options, *network], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(
                lambda: subprocess.run([client, "-H", at, "version"], capture_output=True, check=False).returncode == 0
            )
            yield (client, "-H", at)
        finally:
            process.terminate()
            process.wait()


# -- what is pushed ---------------------------------------------------------------------------------------------


class Large(AtOnce):
    """A builder of one large image; ``edition`` changes a layer in its middle, and nothing else."""

    def __init__(self, layers: int, megabytes: int, edition: int) -> None:
        weights = [1 / (place + 1) ** 0.8 for place in range(layers)]
        self._sizes = [max(1024, int(megabytes * (1 << 20) * weight / sum(weights))) for weight in weights]
        self._edition = edition

    def build(self, task: Task) -> Image:
        """Make it: a few large layers and a long tail, as the packages of an environment are."""
        changed = len(self._sizes) // 3
        layers = [
            _layer(place, size, self._edition if place == changed else 0) for place, size in enumerate(self._sizes)
        ]
        config = ImageConfig(platform=task.platform, diff_ids=tuple(diff_id for _, diff_id in layers))
        return to_image(config, [content for content, _ in layers])


def _layer(place: int, size: int, edition: int) -> tuple[Content, Digest]:
    data = random.Random(f"{place} {edition}").randbytes(size)  # noqa: S311  # the same each time
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        member = tarfile.TarInfo(f"package-{place:03}")
        member.size = size
        tar.addfile(member, io.BytesIO(data))
    packed = gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)
    return Content(media_type=media.LAYER_TAR_GZIP, data=packed), Digest.of(plain.getvalue())


def make_source(folder: Path, layers: int, megabytes: int) -> Path:
    """Register two versions that differ in one layer; give the folder of the registry."""
    make_repository(folder, 1, Large(layers, megabytes, 0))
    manifest = folder / "environments" / f"{NAME}.yaml"
    manifest.write_text(manifest.read_text().replace('OMP_NUM_THREADS: "4"', 'OMP_NUM_THREADS: "8"'))
    register(open_workspace(directory=str(folder)), Large(layers, megabytes, 1))
    return folder / ".reconciler" / "registry"


NAME = "environment-00000"
_PLATFORM = "linux-amd64"


# -- contenders -------------------------------------------------------------------------------------------------


def _timed(*command: str, folder: Path | None = None) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, check=False)
    taken = time.perf_counter() - start
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{said}")
    return taken


def _environment() -> dict[str, str]:
    dropped = ("RECONCILER_", "PYTHONDONTWRITEBYTECODE")  # what is installed has its bytecode
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def _reconciler(*arguments: str) -> Command:
    return (str(Path(sys.executable).with_name("reconciler")), *arguments)


@dataclass(kw_only=True, slots=True)
class Row:
    """What is measured, and the seconds of each contender, round by round."""

    what: str
    taken_s: dict[str, list[float]] = field(default_factory=dict)

    def add(self, contender: str, taken_s: float) -> None:
        """Note a time."""
        self.taken_s.setdefault(contender, []).append(taken_s)

    def to_markdown(self, contenders: Sequence[str]) -> str:
        """Write medians, and our ratio to each peer."""
        ours = statistics.median(self.taken_s["reconciler"])
        cells = [self.what, f"{ours:.2f} s"]
        for peer in contenders:
            times = self.taken_s.get(peer)
            cells += (
                [f"{statistics.median(times):.2f} s", f"{ours / statistics.median(times):.2f}"] if times else ["", ""]
            )
        return f"| {' | '.join(cells)} |"


def observe(folder: Path, sizes: Sequence[int], rounds: int) -> str:
    """Measure plans of what is registered; give the table."""
    with registry() as address:
        rows = []
        for size in sizes:
            config = f"registry: {address}/size-{size}\nmanager: benchmark\n"
            workspace = make_repository(folder / f"{size}", size, config=config)
            rows.append((size, workspace.root, Row(what=f"{size:,}, cold"), Row(what=f"{size:,}, warm")))
        for _ in range(rounds):
            for size, root, cold, warm in rows:
                shutil.rmtree(root / ".reconciler" / "cache", ignore_errors=True)
                cold.add("reconciler", _timed(*_reconciler("plan"), folder=root))
                warm.add("reconciler", _timed(*_reconciler("plan"), folder=root))
                if shutil.which("ab"):
                    least = _timed(*_heads(size, f"http://{address}/v2/size-{size}/{NAME}/manifests/current"))
                    cold.add("ab", least)
                    warm.add("ab", least)
    head = f"| plan over HTTP, median of {rounds} | reconciler | HEADs by ab | ratio |\n| --- | ---: | ---: | ---: |\n"
    return head + "".join(f"{row.to_markdown(['ab'])}\n" for _, _, *pair in rows for row in pair)


def _heads(number: int, url: str) -> Command:
    accept = f"Accept: {media.INDEX}"
    return ("ab", "-q", "-n", f"{number}", "-c", f"{min(16, number)}", "-k", "-i", "-H", accept, url)


def push(folder: Path, layers: Sequence[int], megabytes: int, rounds: int) -> str:
    """Measure pushes of images, and of one layer of each; give the table."""
    rows: list[Row] = []
    with engine() as docker:
        for number in layers:
            rows += _push(folder / f"{number}", number, megabytes, rounds, docker if number <= ENGINE_LAYERS else None)
    head = f"| push, median of {rounds} | reconciler | skopeo copy | ratio | docker push | ratio |\n"
    lines = "".join(f"{row.to_markdown(['skopeo', 'docker'])}\n" for row in rows)
    return f"{head}| --- | ---: | ---: | ---: | ---: | ---: |\n{lines}"


def _push(folder: Path, layers: int, megabytes: int, rounds: int, docker: Command | None) -> tuple[Row, Row]:
    source = make_source(folder, layers, megabytes)
    whole = Row(what=f"{layers} layers, {megabytes} MB")
    one = Row(what=f"one of {layers} layers changed")
    if docker is not None:
        _load(docker, source, folder)
    for _ in range(rounds):
        for contender, commands in _pushes(source, docker).items():
            with registry() as address:
                for row, command in zip((whole, one), commands(address), strict=True):
                    row.add(contender, _timed(*command))
    return whole, one


def _pushes(source: Path, docker: Command | None) -> dict[str, Callable[[str], tuple[Command, Command]]]:
    """Give each contender's two commands for a registry."""
    found: dict[str, Callable[[str], tuple[Command, Command]]] = {
        "reconciler": lambda address: _both(
            lambda version: _reconciler(
                "copy", f"{NAME}:{version}", "--registry", str(source), "--to", f"{address}/bench"
            )
        )
    }
    if shutil.which("skopeo"):
        found["skopeo"] = lambda address: _both(
            lambda version: (
                *("skopeo", "copy", "--dest-tls-verify=false"),
                f"oci:{source / NAME}:v{version}-{_PLATFORM}",
                f"docker://{address}/bench/{NAME}:v{version}",
            )
        )
    if docker is not None:
        found["docker"] = lambda address: _both(lambda version: _push_command(docker, address, version))
    return found


def _both(command: Callable[[int], Command]) -> tuple[Command, Command]:
    return command(1), command(2)


def _load(docker: Command, source: Path, folder: Path) -> None:
    """Give the engine both versions, from archives, so that it remembers no registry that has them."""
    for version in (1, 2):
        archive = folder / f"v{version}.tar"
        _timed(
            "skopeo",
            "copy",
            f"oci:{source / NAME}:v{version}-{_PLATFORM}",
            f"docker-archive:{archive}:bench:v{version}",
        )
        _timed(*docker, "load", "--input", str(archive))
        archive.unlink()


def _push_command(docker: Command, address: str, version: int) -> Command:
    name = f"{address}/bench/{NAME}:v{version}"
    _timed(*docker, "tag", f"bench:v{version}", name)
    return (*docker, "push", "--quiet", name)


def main(arguments: Sequence[str] | None = None) -> str:
    """Measure what the command line asks for; give the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="how many environments, with commas")
    parser.add_argument("--layers", default=",".join(map(str, LAYERS)), help="how many layers, with commas")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as folder:
        sizes = [int(size) for size in options.sizes.split(",")]
        observed = observe(Path(folder) / "observing", sizes, options.rounds)
        layers = [int(number) for number in options.layers.split(",")]
        pushed = push(Path(folder) / "pushing", layers, options.megabytes, options.rounds)
    return f"{observed}\n{pushed}"


if __name__ == "__main__":
    sys.stdout.write(main())
