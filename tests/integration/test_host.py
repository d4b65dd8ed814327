"""Environments that uv really makes, from the machine's index."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from reconciler.builders.usermanaged import UserManagedBuilder
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError, StoreError, UnavailableError
from reconciler.lock.model import Package
from reconciler.manifest.model import Checks, Manifest
from reconciler.ports import Task
from reconciler.store.hosts import MARK, Hosts
from tests import host_case
from tests.conftest import Required

DOCOPT = Package(
    name="docopt",
    version="0.6.2",
    file="docopt-0.6.2-py2.py3-none-any.whl",
    size=13706,
    sha256="0" * 64,
    source="built:docopt-0.6.2.tar.gz@sha256:49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491",
)


@pytest.fixture(autouse=True)
def machine(required: Required) -> None:
    required.python("3.11")
    required.index()


def place(root: Path, asked: Task) -> Path:
    return Hosts(root).place(asked.desired.name, asked.key)


def ask(python: Path, program: str) -> str:
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def names(root: Path) -> set[str]:
    return {path.name for path in (root / "tiny").iterdir()} if (root / "tiny").exists() else set()


def test_an_environment_holds_what_the_lock_names_and_nothing_else(tmp_path: Path) -> None:
    asked = host_case.task()
    host_case.builder(tmp_path).build(asked)
    python = place(tmp_path, asked) / "bin" / "python"
    assert ask(python, "import six; print(six.__version__)") == "1.16.0"
    listed = "from importlib.metadata import distributions; print(*(d.name for d in distributions()))"
    assert ask(python, listed) == "six"
    assert ask(python, "import sys; print(sys.prefix)") == str(place(tmp_path, asked))


def test_nothing_is_left_beside_an_environment(tmp_path: Path) -> None:
    asked = host_case.task()
    host_case.builder(tmp_path).build(asked)
    assert names(tmp_path) == {".lock", asked.key.hex}
    assert json.loads((place(tmp_path, asked) / MARK).read_bytes())["key"] == str(asked.key)


def test_nothing_in_an_environment_knows_where_it_was_made(tmp_path: Path) -> None:
    asked = host_case.task()
    host_case.builder(tmp_path).build(asked)
    files = [path for path in place(tmp_path, asked).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert files
    assert not [path for path in files if b".making-" in path.read_bytes()]


def test_a_second_build_makes_nothing(tmp_path: Path) -> None:
    asked = host_case.task()
    first = host_case.builder(tmp_path).build(asked)
    before = (place(tmp_path, asked) / MARK).stat()
    assert host_case.builder(tmp_path).build(asked) == first
    assert (place(tmp_path, asked) / MARK).stat() == before


def test_an_environment_without_packages_is_one(tmp_path: Path) -> None:
    asked = host_case.task(locked=host_case.lock())
    host_case.builder(tmp_path).build(asked)
    assert ask(place(tmp_path, asked) / "bin" / "python", "print('ran')") == "ran"


def test_what_lost_its_mark_or_its_interpreter_is_made_again(tmp_path: Path) -> None:
    asked = host_case.task()
    host_case.builder(tmp_path).build(asked)
    for damaged in (MARK, "bin/python"):
        (place(tmp_path, asked) / damaged).unlink()
        host_case.builder(tmp_path).build(asked)
        assert ask(place(tmp_path, asked) / "bin" / "python", "import six; print(1)") == "1"
    assert names(tmp_path) == {".lock", asked.key.hex}


def test_a_source_distribution_that_the_lock_names_is_built(tmp_path: Path) -> None:
    asked = host_case.task(host_case.checked("docopt", "six"), host_case.lock(DOCOPT, host_case.SIX))
    host_case.builder(tmp_path).build(asked)
    assert place(tmp_path, asked).is_dir()


@pytest.mark.threat("T11")
def test_a_source_distribution_that_the_lock_does_not_name_is_not_built(tmp_path: Path) -> None:
    quiet = replace(DOCOPT, source="index:default", sha256=DOCOPT.source[-64:])
    with pytest.raises(BuildError, match="uv could not make"):
        host_case.builder(tmp_path).build(host_case.task(locked=host_case.lock(quiet)))
    assert names(tmp_path) == {".lock"}


@pytest.mark.threat("T11")
def test_settings_in_the_current_folder_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "repository"
    planted.mkdir()
    (planted / "uv.toml").write_text("no-index = true\n")
    (planted / "pyproject.toml").write_text("[tool.uv]\nno-index = true\n")
    (planted / ".python-version").write_text("2.7\n")
    (planted / "sitecustomize.py").write_text("import pathlib; pathlib.Path('canary').touch()")
    monkeypatch.chdir(planted)
    monkeypatch.setenv("PYTHONPATH", str(planted))
    root = planted / ".reconciler" / "hosts"
    host_case.builder(root).build(host_case.task(host_case.checked("six")))
    assert not list(tmp_path.rglob("canary"))


# -- what goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.threat("F16")
def test_a_wrong_hash_is_refused(tmp_path: Path) -> None:
    wrong = replace(host_case.SIX, sha256="0" * 64)
    with pytest.raises(BuildError, match="uv could not make") as caught:
        host_case.builder(tmp_path).build(host_case.task(locked=host_case.lock(wrong)))
    assert "mismatch" in (caught.value.detail or "").lower()
    assert "\n" not in caught.value.message
    assert names(tmp_path) == {".lock"}


@pytest.mark.threat("F16")
def test_a_version_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = replace(host_case.SIX, version="99.0")
    with pytest.raises(BuildError) as caught:
        host_case.builder(tmp_path).build(host_case.task(locked=host_case.lock(gone)))
    assert "six==99.0" in f"{caught.value.message} {caught.value.detail}"


@pytest.mark.parametrize("address", ["http://user:hunter2@127.0.0.1:9/simple", "http://nosuch.invalid/simple"])
@pytest.mark.threat("T13")
def test_an_index_without_an_answer_is_unavailable_and_not_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(UnavailableError) as caught:
        host_case.builder(tmp_path / "hosts").build(host_case.task())
    said = f"{caught.value} {caught.value.detail}"
    assert not [part for part in ("127.0.0.1", "nosuch", "hunter2") if part in said]
    assert names(tmp_path / "hosts") == {".lock"}


@pytest.mark.threat("F15")
def test_a_folder_that_can_not_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        host_case.builder(tmp_path / "file" / "hosts").build(host_case.task())


@pytest.mark.threat("T2")
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "tiny").symlink_to(outside)
    with pytest.raises(StoreError, match="link"):
        host_case.builder(tmp_path / "hosts").build(host_case.task())
    assert not list(outside.iterdir())


@pytest.mark.threat("F15")
def test_a_disk_that_is_full_is_a_store_error_and_a_rerun_converges(tmp_path: Path) -> None:
    asked = host_case.task()
    # uv itself is limited to files of a few kB, as a full disk or a quota would.
    program = (
        "import os, resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from pathlib import Path; from tests import host_case\n"
        "from reconciler.errors import ReconcilerError\n"
        "try: host_case.builder(Path(sys.argv[1])).build(host_case.task())\n"
        "except ReconcilerError as error: sys.exit(f'{type(error).__name__}: {error}')\n"
    )
    environ = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(Path.cwd())}
    ran = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "hosts"], capture_output=True, text=True, check=False, env=environ
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith("StoreError: ")
    assert names(tmp_path / "hosts") <= {".lock"}
    host_case.builder(tmp_path / "hosts").build(asked)
    assert place(tmp_path / "hosts", asked).is_dir()


# -- checks -----------------------------------------------------------------------------------------------------


def test_checks_that_pass_leave_the_environment(tmp_path: Path) -> None:
    declared = host_case.checked("six", command=("python", "-c", "import six"))
    host_case.builder(tmp_path).build(host_case.task(declared))
    assert len(names(tmp_path)) == 2


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (host_case.checked("six", "no_such_module"), "no_such_module"),
        (host_case.checked(command=("python", "-c", "raise SystemExit('the last words')")), "the last words"),
        (host_case.checked(command=("no-such-command",)), "no-such-command"),
        (host_case.checked(command=("sh", "-c", "kill -9 $$")), "137"),
    ],
)
@pytest.mark.threat("F16")
def test_a_failing_check_leaves_nothing(declared: Manifest, said: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="checks") as caught:
        host_case.builder(tmp_path).build(host_case.task(declared))
    assert said in f"{caught.value.message}\n{caught.value.detail}"
    assert names(tmp_path) == {".lock"}


def test_checks_are_asked_of_an_environment_that_is_there_already(tmp_path: Path) -> None:
    host_case.builder(tmp_path).build(host_case.task())
    with pytest.raises(BuildError, match="checks"):
        host_case.builder(tmp_path).build(host_case.task(host_case.checked("no_such_module")))
    assert len(names(tmp_path)) == 2


@pytest.mark.threat("T13")
def test_a_check_sees_the_variables_and_its_report_hides_the_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2-the-secret")
    declared = host_case.checked(
        command=("python", "-c", "import os; raise SystemExit('key=' + os.environ['KEY'] + os.environ['PLAIN'])"),
        environment_variables={"KEY": "${TOKEN}", "PLAIN": "${TOKEN", "GONE": "${NOT_SET_ANYWHERE}"},
    )
    with pytest.raises(BuildError) as caught:
        host_case.builder(tmp_path).build(host_case.task(declared))
    assert "key=***${TOKEN" in (caught.value.detail or "")


@pytest.mark.parametrize("odd", ["$(touch canary)", "`touch canary`", "; touch canary", "-c", "a b\n", "--help", "'\""])
@pytest.mark.threat("T10")
def test_no_shell_has_a_part_in_a_check(odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    declared = host_case.checked(
        command=("python", "-c", "import os, sys; assert sys.argv[1] == os.environ['ODD'], sys.argv", odd),
        environment_variables={"ODD": odd},
    )
    host_case.builder(tmp_path / "hosts").build(host_case.task(declared))
    assert not list(tmp_path.rglob("canary"))


def test_the_checks_of_a_user_managed_interpreter_run_with_it(tmp_path: Path, required: Required) -> None:
    python = str(required.python("3.11"))
    for module, passes in (("json", True), ("no_such_module", False)):
        declared = replace(host_case.user_managed(python), checks=Checks(imports=(module,)))
        asked = host_case.task(declared, host_case.lock(provider="user"))
        if passes:
            UserManagedBuilder().build(asked)
        else:
            with pytest.raises(BuildError, match=r"checks\.imports"):
                UserManagedBuilder().build(asked)
    assert not list(tmp_path.iterdir())


def test_the_settings_of_uv_reach_it_by_name_only(tmp_path: Path) -> None:
    uv = Uv(environ={**os.environ, "UV_TARGET": str(tmp_path / "target"), "UV_SYSTEM_PYTHON": "1"})
    asked = host_case.task()
    replace(host_case.builder(tmp_path / "hosts"), uv=uv).build(asked)
    assert not (tmp_path / "target").exists()


@pytest.fixture
def team_index(tmp_path: Path) -> Iterator[str]:
    """Serve one wheel that no other index has (PEP 503)."""
    folder = tmp_path / "index" / "only-here"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / ONLY_HERE.file, "w") as wheel:
        for name, text in ONLY_HERE_FILES.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path / "index")))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


ONLY_HERE_FILES = {
    "only_here.py": "",
    "only_here-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: only-here\nVersion: 1\n",
    "only_here-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "only_here-1.dist-info/RECORD": "",
}


def _only_here() -> Package:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, text in ONLY_HERE_FILES.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    data = buffer.getvalue()
    return Package(
        name="only-here",
        version="1",
        file="only_here-1-py3-none-any.whl",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        source="index:team",
    )


ONLY_HERE = _only_here()


@pytest.mark.parametrize("bound", ["configuration", "environment"])
def test_a_package_comes_from_the_address_that_its_alias_has_here(bound: str, team_index: str, tmp_path: Path) -> None:
    asked = host_case.task(host_case.checked("only_here", "six"), host_case.lock(ONLY_HERE, host_case.SIX))
    builder = host_case.builder(tmp_path / "hosts")
    if bound == "configuration":
        builder = replace(builder, sources={"team": team_index})
    else:
        builder = replace(builder, uv=Uv(environ={**os.environ, "RECONCILER_INDEX_TEAM": team_index}))
    builder.build(asked)
    assert place(tmp_path / "hosts", asked).is_dir()


def test_an_alias_without_an_address_is_an_error_that_says_how_to_bind_it(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="team") as caught:
        host_case.builder(tmp_path).build(host_case.task(locked=host_case.lock(ONLY_HERE)))
    assert "RECONCILER_INDEX_TEAM" in (caught.value.hint or "")
