"""What every test has: counted threat cases, required tools, and a home that is not the user's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from reconciler.clients.debian.places import Places
from reconciler.clients.debian.sources import read_apt_sources
from reconciler.errors import ResolveError
from tests import services
from tests.debian import Debian, make_debian
from tests.standalone import Archive, make_archive

REQUIRE = "RECONCILER_REQUIRE_INTEGRATION"
MIRRORS = "RECONCILER_MIRROR_"
"""How a machine is told of mirrors that is no Debian: part of the machine, and not of its user."""
_HANDLERS: dict[int, Callable[[int, FrameType | None], Any] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}
_cases: Counter[str] = Counter()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "threat(row): a case of this row of faults and threats")
    # What a shell starts in the background ignores these, and so would every program that a test sends one to.
    for number, handler in _HANDLERS.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" or not report.passed:
        return
    for name, value in report.user_properties:
        if name == "threat":
            row, _, count = str(value).partition(":")
            _cases[row] += int(count or 1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("threat"):
        item.user_properties.append(("threat", f"{mark.args[0]}:1"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _cases:
        return
    terminalreporter.section("cases run for each row of faults and threats")
    for row in sorted(_cases, key=lambda row: (row[0], int(row[1:]))):
        terminalreporter.write_line(f"{row:4} {_cases[row]:6}")


@pytest.fixture
def count_cases(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Count cases that a loop or a property ran inside one test."""

    def count(row: str, cases: int = 1) -> None:
        request.node.user_properties.append(("threat", f"{row}:{cases}"))

    return count


class Required:
    """Tools that integration tests need: absent, the test is skipped, or fails where they are required."""

    def program(self, name: str) -> Path:
        """Find a program on PATH."""
        found = shutil.which(name)
        if found is None:
            self.refuse(f"{name} is not installed")
        assert found is not None
        return Path(found)

    def python(self, version: str) -> Path:
        """Find an interpreter of this version (``3.11``) through uv, without downloading one."""
        import uv  # noqa: PLC0415  # only tests that need it pay

        found = subprocess.run(
            [uv.find_uv_bin(), "python", "find", "--no-project", "--no-python-downloads", version],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode:
            self.refuse(f"no Python {version} on this machine")
        return Path(found.stdout.strip())

    @staticmethod
    def another_python(version: str) -> Path | None:
        """Find an interpreter beside the one that is needed, where pyenv keeps them; none where there is none."""
        root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
        return next(iter(sorted(root.glob(f"versions/{version}.*/bin/python{version}"))), None)

    def index(self) -> None:
        """Check that the machine's package index answers."""
        import uv  # noqa: PLC0415  # only tests that need it pay

        answer = subprocess.run(
            [uv.find_uv_bin(), "pip", "compile", "--no-config", "--no-deps", "-"],
            input="packaging",
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if answer.returncode:
            self.refuse("the package index does not answer")

    def mirror(self) -> None:
        """Check that this machine knows a mirror of Debian."""
        places = Places(environ=os.environ, apt=read_apt_sources(os.environ))
        try:
            places.mirrors("debian", "amd64")
        except ResolveError as error:
            self.refuse(error.message)

    @staticmethod
    def refuse(reason: str) -> None:
        """Skip, or fail where integration tests are required."""
        if os.environ.get(REQUIRE):
            pytest.fail(f"{reason}, and {REQUIRE} is set")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def required() -> Required:
    """Tools that are there, or a skip that CI turns into a failure."""
    return Required()


@pytest.fixture(scope="session")
def reference_registry(required: Required) -> Iterator[services.RegistryService]:
    """Debian's docker-registry, over plain HTTP."""
    with services.reference_registry(required) as service:
        yield service


@pytest.fixture(scope="session")
def reference_registry_tls(required: Required) -> Iterator[services.RegistryService]:
    """The same with TLS, by a certificate of its own."""
    with services.reference_registry(required, tls=True) as service:
        yield service


@pytest.fixture(scope="session")
def reference_registry_login(required: Required) -> Iterator[services.RegistryService]:
    """The same with TLS, and htpasswd."""
    with services.reference_registry(required, tls=True, login=True) as service:
        yield service


@pytest.fixture(params=["reference_registry", "reference_registry_tls", "reference_registry_login"])
def any_reference_registry(request: pytest.FixtureRequest) -> services.RegistryService:
    """Each of the three, one after the other."""
    service: services.RegistryService = request.getfixturevalue(request.param)
    return service


@pytest.fixture(scope="session")
def docker_engine(required: Required) -> Iterator[services.EngineService]:
    """A real Docker Engine with nothing in it but what tests of this session put there."""
    with services.docker_engine(required) as service:
        yield service


@pytest.fixture(scope="session")
def debian(required: Required, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Debian:
    """Debian bases for amd64 and arm64, made once a session for all of its processes."""
    base = tmp_path_factory.getbasetemp()
    return make_debian(required, (base.parent if hasattr(request.config, "workerinput") else base) / "debian")


@pytest.fixture(scope="session")
def standalone_python(
    required: Required, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Archive:
    """The archive of a Python 3.12 that runs wherever it is put, made once a session for all of its processes."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if hasattr(request.config, "workerinput") else base
    return make_archive(required, folder / "pythons", "3.12")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep git's and the reconciler's own settings of this user out of every test."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Test")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "test@example.invalid")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Test")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "test@example.invalid")
    for name in list(os.environ):
        if name.startswith(("RECONCILER_", "GITHUB_")) and name != REQUIRE and not name.startswith(MIRRORS):
            monkeypatch.delenv(name)
