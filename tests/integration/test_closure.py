"""The closure beside apt's own, over the same indexes: those that this machine's apt has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from reconciler.debian.closure import close
from reconciler.debian.index import PackageIndex, pack_index, read_index
from reconciler.debian.offer import Indexed, Offer
from tests.debian import SUITE, Required
from tests.offers import ARCHIVE, versions, wishes

TARGETS = ["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages", "Origin: Debian"]
SIMULATE = ["apt-get", "-o", "Dir::State::status=/dev/null", "install", "--simulate", "--no-install-recommends"]
SETS = [
    "python3 ca-certificates bash coreutils procps tzdata",
    "git",
    "ffmpeg",
    "tesseract-ocr graphviz",
    "openmpi-bin",
    "default-jre-headless",
    "gdal-bin r-base-core",
]


@pytest.fixture(scope="module")
def offered(required: Required) -> Offer:
    required.program("apt-get")
    listed = subprocess.run(TARGETS, capture_output=True, text=True, check=False).stdout.split()
    files = sorted({name for name in listed if f"_dists_{SUITE}" in name and "_binary-amd64_" in name})
    if not files:
        required.refuse(f"apt has no index of Debian {SUITE} for amd64")
    return Offer(parts=[Indexed(archive=ARCHIVE, indexes=(_index(Path(name)),)) for name in files])


def _index(path: Path) -> PackageIndex:
    text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path], capture_output=True, check=True).stdout
    index = read_index(pack_index(text.splitlines()))
    assert index is not None
    return index


@pytest.mark.parametrize("names", SETS)
def test_the_same_packages_are_chosen_as_by_apt(offered: Offer, names: str) -> None:
    done = subprocess.run([*SIMULATE, *names.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = {match[1]: match[2] for match in re.finditer(r"^Inst (\S+) \((\S+) ", done.stdout, re.MULTILINE)}
    assert versions(close(wishes(*names.split()), offered, {})) == wanted
