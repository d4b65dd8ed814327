"""A real engine runs what was assembled: imports, programs, metadata, a notebook server, and any user."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.container_case import Containers, Machine, Registered, skopeo
from tests.debian import Debian
from tests.services import EngineService

DEADLINE_S = 60.0
ANYBODY = "--user=1234"
IMPORTS = ("numpy", "pandas", "sklearn", "scipy", "matplotlib", "jupyterlab", "ssl", "sqlite3")
METADATA = """
import importlib.metadata, json
found = importlib.metadata.distributions(path=["/opt/venv/lib/python3.11/site-packages"])
print(json.dumps([{"name": one.metadata["Name"], "version": one.version} for one in found]))
"""
DRAWING = """
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.plot([1, 2])
plt.savefig("/tmp/drawn.png")
print(matplotlib.get_cachedir())
"""


def test_what_was_declared_is_imported(containers: Containers) -> None:
    said = containers.python(f"import {', '.join(IMPORTS)}, sys; print(sys.prefix, sys.version_info[:3])")
    assert said == "/opt/venv (3, 11, 2)"


def test_modules_are_compiled_ahead(containers: Containers) -> None:
    program = (
        "import os, numpy, pandas, sklearn; print([os.path.exists(m.__cached__) for m in (numpy, pandas, sklearn)])"
    )
    assert containers.python(program, options=[ANYBODY]) == "[True, True, True]"


def test_what_was_declared_computes(containers: Containers) -> None:
    program = (
        "import numpy, pandas, sqlite3, sklearn.linear_model as m;"
        "x = numpy.arange(6.0).reshape(-1, 1);"
        "f = pandas.DataFrame({'y': m.LinearRegression().fit(x, 2 * x).predict(x).ravel()});"
        "f.to_sql('t', sqlite3.connect(':memory:')); print(round(f.y.sum(), 6))"
    )
    assert containers.python(program) == "30.0"


@pytest.mark.parametrize("script", ["pip", "jupyter-lab", "numpy-config", "pygmentize", "jsonschema"])
def test_console_scripts_start(containers: Containers, script: str) -> None:
    assert containers.run(script, "--help").strip()


def test_pip_lists_what_the_lock_names_and_finds_nothing_wrong(containers: Containers, notebook: Registered) -> None:
    assert _versions(containers.run("pip", "list", "--format=json")) == notebook.versions()
    assert containers.run("pip", "check").strip() == "No broken requirements found."


def test_the_metadata_is_that_of_the_lock(containers: Containers, notebook: Registered) -> None:
    assert _versions(containers.python(METADATA)) == notebook.versions()


def _versions(text: str) -> dict[str, str]:
    return {re.sub("[-_.]+", "-", one["name"]).lower(): one["version"] for one in json.loads(text)}


@pytest.mark.parametrize("options", [(), (ANYBODY,)])
def test_a_notebook_server_starts_and_answers(containers: Containers, options: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=given"]
    with containers.running("jupyter", "lab", *arguments, options=options) as container:
        status = _answer(f"http://127.0.0.1:{port}/api/status?token=given")
        assert "started" in json.loads(status or "{}"), containers.logs(container)
        assert "JupyterLab" in _answer(f"http://127.0.0.1:{port}/lab?token=given")


def _answer(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError), opener.open(url, timeout=5) as answer:
            return str(answer.read().decode())
        time.sleep(0.2)
    return ""


def test_the_user_is_none_with_rights(containers: Containers) -> None:
    program = "import getpass, os; print(getpass.getuser(), os.getuid(), os.getgid(), os.path.expanduser('~'))"
    assert containers.python(program) == "user 1000 1000 /home/user"


def test_anybody_may_use_it(containers: Containers) -> None:
    program = "import getpass, os; print(getpass.getuser(), os.getuid(), os.path.expanduser('~'))"
    assert containers.python(program, options=[ANYBODY]) == "user 1234 /home/user"
    assert containers.python(DRAWING, options=[ANYBODY]).startswith("/home/user/")
    program = "from jupyter_core.paths import jupyter_runtime_dir as d; import os; os.makedirs(d()); print(d())"
    assert containers.python(program, options=[ANYBODY]).startswith("/home/user/")


def test_an_engine_loads_an_archive_of_it(
    required: Required, debian: Debian, docker_engine: EngineService, tmp_path: Path
) -> None:
    required.index()
    machine = Machine(tmp_path / "clone", debian)
    machine.containers("small", "packaging==24.0")
    machine.commit()
    machine("apply")
    source = f"oci:{machine.root}/.reconciler/registry/small:v1-linux-amd64"
    archive = tmp_path / "image.tar"
    skopeo(required.program("skopeo"), "copy", source, f"docker-archive:{archive}:small:v1")
    loaded = docker_engine.docker("load", "--input", str(archive), config=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    small = Containers(engine=docker_engine, image="small:v1", config=tmp_path)
    assert small.python("import packaging; print(packaging.__version__, packaging.__file__)") == (
        "24.0 /opt/venv/lib/python3.11/site-packages/packaging/__init__.py"
    )
