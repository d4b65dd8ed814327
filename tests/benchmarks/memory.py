"""Measures the memory that assembling a very large environment takes.

::

    python tests/benchmarks/memory.py                                   # 5 GB in 25 packages; needs 20 GB of disk
    python tests/benchmarks/memory.py --megabytes 40 --packages 2

Wheels of bytes that can't be compressed are made, laid over a base and pushed to a reference registry on loopback.
Nothing is left of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.base_case import write_base
from tests.benchmarks.images import reconciler, run
from tests.benchmarks.packages import write_large_wheel
from tests.benchmarks.registries import registry
from tests.wheelhouse import write_wheel

_MANIFEST = """\
name: large
python: {{version: "3.11", bytecode: false, pip: [{pip}]}}
docker: {{base_image: "oci:bases/small"}}
"""


def measure(folder: Path, address: str, megabytes: int, packages: int) -> str:
    """Make and push it; say how long that took and how much memory."""
    (folder / "wheels").mkdir()
    write_wheel(folder / "wheels", "pip", "1.0")
    names = [f"large{number}" for number in range(packages)]
    for name in names:
        write_large_wheel(folder / "wheels", name, megabytes // packages)
    clone = folder / "clone"
    (clone / "environments").mkdir(parents=True)
    write_base(clone / "bases/small")
    (clone / "environments/large.yaml").write_text(_MANIFEST.format(pip=", ".join(names)))
    (clone / "reconciler.yaml").write_text(f"registry: {address}/memory\nmanager: benchmark\n")
    (clone / ".gitignore").write_text(".reconciler/\n")
    for command in (("git", "init", "--quiet"), ("git", "add", "--all")):
        subprocess.run(command, cwd=clone, check=True)
    author = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.invalid")
    subprocess.run(("git", *author, "commit", "--quiet", "--message=Begin"), cwd=clone, check=True)
    start = time.perf_counter()
    memory = run(reconciler("apply"), clone, _environment(folder))
    taken = time.perf_counter() - start
    return f"{megabytes:,} MB in {packages} packages: {taken:.0f} s, at most {memory / 1e6:.0f} MB of memory\n"


def _environment(folder: Path) -> dict[str, str]:
    dropped = ("RECONCILER_", "PIP_", "UV_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    links = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "wheels")}
    return {**kept, **links, "UV_CACHE_DIR": str(folder / "uv-cache")}


def main(arguments: Sequence[str] | None = None) -> str:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=5000)
    parser.add_argument("--packages", type=int, default=25)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="reconciler-benchmark-") as name, registry() as address:
        return measure(Path(name), address, options.megabytes, options.packages)


if __name__ == "__main__":
    sys.stdout.write(main())
