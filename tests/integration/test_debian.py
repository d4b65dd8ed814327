"""The bases that other tests build on are what they are taken for."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.conftest import Required
from tests.debian import Debian


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_debian_base_is_an_image_of_its_platform(required: Required, debian: Debian, architecture: str) -> None:
    done = subprocess.run(
        [required.program("skopeo"), f"--override-arch={architecture}", "inspect", f"oci:{debian.layout}:latest"],
        capture_output=True,
        check=True,
    )
    read = json.loads(done.stdout)
    assert (read["Os"], read["Architecture"], len(read["Layers"])) == ("linux", architecture, 1)
