"""What a repository or an index brings is never run while solving, and no password gets out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.clients.process import program
from reconciler.clients.uv import Uv
from reconciler.errors import ReconcilerError, ResolveError
from reconciler.lock.document import to_document
from reconciler.ports import Resolution
from reconciler.resolvers.explanation import to_detail
from reconciler.resolvers.uv import UvResolver
from tests.reached import desired
from tests.simple_index import SimpleIndex, chosen, manifest

PASSWORD = "hush-hush-4711"  # noqa: S105  # a canary


@pytest.fixture
def index(tmp_path: Path) -> SimpleIndex:
    found = SimpleIndex(tmp_path / "index")
    found.wheel("alpha", "1")
    return found


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that a pull request could have filled, with us in it."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def solve(index: SimpleIndex, repository: Path, **more: str) -> dict[str, str]:
    """Solve for ``alpha`` as if called inside the repository."""
    resolver = UvResolver(environ=index.environ(**more), repository=repository)
    return chosen(resolver.resolve(Resolution(desired=desired(manifest("alpha")))))


EVIL = 'open({canary!r}, "w").close()\n'
SCRIPT = "#!/bin/sh\ntouch {canary}\nexit 1\n"
PLANTED: dict[str, str] = {
    "uv.toml": "no-index = true\n",
    "pyproject.toml": '[tool.uv]\nno-index = true\nconstraint-dependencies = ["alpha<1"]\n',
    "pip.conf": "[global]\nindex-url = http://127.0.0.1:9/simple\n",
    ".pip/pip.conf": "[global]\nindex-url = http://127.0.0.1:9/simple\n",
    ".config/pip/pip.conf": "[global]\nindex-url = http://127.0.0.1:9/simple\n",
    ".config/uv/uv.toml": "no-index = true\n",
    ".python-version": "2.7\n",
    ".python-versions": "2.7\n",
    "requirements.txt": "absent\n",
    "requirements.in": "absent\n",
    "constraints.txt": "alpha<1\n",
    "pylock.toml": "not toml",
    ".env": "UV_INDEX_URL=http://127.0.0.1:9/simple\n",
    "sitecustomize.py": EVIL,
    "usercustomize.py": EVIL,
    "packaging.py": EVIL,
    "uv.py": EVIL,
    "uv": SCRIPT,
    "git": SCRIPT,
    "python": SCRIPT,
    "python3": SCRIPT,
    "python3.11": SCRIPT,
    ".venv/pyvenv.cfg": "home = /nonexistent\n",
    ".venv/bin/python": SCRIPT,
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.threat("T11")
def test_what_a_repository_plants_is_neither_read_nor_run(index: SimpleIndex, repository: Path, name: str) -> None:
    canary = repository.parent / "canary"
    planted = repository / name
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(PLANTED[name].replace("{canary!r}", repr(str(canary))).replace("{canary}", str(canary)))
    planted.chmod(0o755)
    path = f"{repository}:.::{repository / '.venv/bin'}:/usr/bin:/bin"
    assert solve(index, repository, PATH=path, VIRTUAL_ENV=str(repository / ".venv")) == {"alpha": "1"}
    assert not canary.exists()


@pytest.mark.threat("T11")
def test_settings_above_the_folder_that_uv_runs_in_are_not_read(
    index: SimpleIndex, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "uv.toml").write_text("no-index = true\n")
    (repository / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(repository / "tmp"))
    assert solve(index, repository) == {"alpha": "1"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UV_PRERELEASE", "allow"),
        ("UV_RESOLUTION", "lowest"),
        ("UV_EXCLUDE_NEWER", "2001-01-01"),
        ("UV_CONSTRAINT", "/nonexistent"),
        ("UV_OVERRIDE", "/nonexistent"),
        ("UV_PYTHON", "/nonexistent/python"),
        ("UV_NO_BINARY", "1"),
        ("UV_WORKING_DIR", "/nonexistent"),
        ("UV_PROJECT", "/nonexistent"),
        ("PYTHONPATH", "/nonexistent"),
        ("PYTHONHOME", "/nonexistent"),
    ],
)
@pytest.mark.threat("T11")
def test_variables_that_would_change_the_lock_do_not_pass(
    index: SimpleIndex, repository: Path, variable: str, value: str
) -> None:
    index.wheel("alpha", "0.9")
    index.wheel("alpha", "2rc1")
    assert solve(index, repository, **{variable: value}) == {"alpha": "1"}


@pytest.mark.parametrize("version", ["0.5", "2"], ids=["an older release", "the newest release"])
@pytest.mark.threat("T11")
def test_a_source_distribution_is_not_run(index: SimpleIndex, repository: Path, version: str) -> None:
    canary = repository.parent / "canary"
    index.sdist("alpha", version, setup=EVIL.format(canary=str(canary)))
    try:
        assert solve(index, repository) == {"alpha": "1"}
    except ResolveError as error:
        assert "build_from_source: [alpha]" in str(error.hint)  # noqa: PT017  # either is right, a run is not
    assert not canary.exists()


@pytest.mark.threat("T11")
def test_a_source_distribution_that_a_wheel_needs_is_not_run(index: SimpleIndex, repository: Path) -> None:
    canary = repository.parent / "canary"
    index.wheel("alpha", "2", ["evil"])
    index.sdist("evil", "1", setup=EVIL.format(canary=str(canary)))
    with pytest.raises(ResolveError, match="evil"):
        solve(index, repository)
    assert not canary.exists()


@pytest.mark.threat("T11")
def test_a_program_inside_the_repository_is_not_found(repository: Path) -> None:
    (repository / "git").write_text("#!/bin/sh\n")
    (repository / "git").chmod(0o755)
    with pytest.raises(ResolveError, match="git is not installed"):
        program("git", f"{repository}:.:", outside=repository)


@pytest.mark.threat("T11")
def test_a_link_that_leads_into_the_repository_is_not_followed_for_programs(repository: Path, tmp_path: Path) -> None:
    (repository / "bin").mkdir()
    (tmp_path / "link").symlink_to(repository / "bin")
    assert (
        str(tmp_path / "link")
        not in Uv(environ={"PATH": str(tmp_path / "link")}, outside=repository).variables()["PATH"]
    )


# -- passwords --------------------------------------------------------------------------------------------------

ADDRESS = f"http://user:{PASSWORD}@127.0.0.1:9/simple"
SETTINGS: dict[str, dict[str, str]] = {
    "pip's index": {"PIP_INDEX_URL": ADDRESS},
    "pip's extra index": {"PIP_EXTRA_INDEX_URL": ADDRESS},
    "pip's links": {"PIP_FIND_LINKS": ADDRESS},
    "uv's index": {"UV_DEFAULT_INDEX": ADDRESS},
    "uv's named index": {"UV_INDEX": f"team={ADDRESS}"},
    "an alias": {"RECONCILER_INDEX_TEAM": ADDRESS},
}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("sources", [{}, {"alpha": "team"}], ids=["index", "source"])
@pytest.mark.threat("T13")
def test_a_password_in_an_address_is_in_no_error_and_no_argument(
    index: SimpleIndex, monkeypatch: pytest.MonkeyPatch, setting: str, sources: dict[str, str]
) -> None:
    seen = _record_arguments(monkeypatch)
    environ = index.environ(UV_HTTP_RETRIES="0", **{"RECONCILER_INDEX_TEAM": ADDRESS, **SETTINGS[setting]})
    indexes = () if sources else ("team",)
    with pytest.raises(ReconcilerError) as refused:
        index.resolve("alpha", environ=environ, indexes=indexes, sources=sources)
    error = refused.value
    said = f"{error} {error.detail} {error.hint} {error!r} {UvResolver(environ=environ)!r}"
    assert PASSWORD not in said
    assert "127.0.0.1" not in said
    assert seen
    assert PASSWORD not in " ".join(seen)


@pytest.mark.threat("T12")
@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "u:p@169.254.170.2:80"])
def test_a_source_at_a_link_local_address_is_not_asked(index: SimpleIndex, host: str) -> None:
    environ = index.environ(RECONCILER_INDEX_TEAM=f"http://{host}/simple")
    with pytest.raises(ResolveError, match="the package source team has a link-local address"):
        index.resolve("alpha", environ=environ, indexes=("team",))


@pytest.mark.threat("T13")
def test_a_lock_holds_aliases_and_no_address(index: SimpleIndex) -> None:
    lock = index.resolve("alpha", environ=index.environ(RECONCILER_INDEX_TEAM=index.address), indexes=("team",)).lock
    document = to_document(lock).decode()
    assert "file:" not in document
    assert "index:team" in document


@pytest.mark.parametrize(
    "said",
    [
        f"error: failed to fetch https://u:{PASSWORD}@host.invalid/simple/alpha/",
        f"error: `https://u:{PASSWORD}@host.invalid/a b`",
        f"error: HTTPS://{PASSWORD}@HOST.invalid, twice http://{PASSWORD}@h.invalid",
        f"error: git+ssh://git:{PASSWORD}@host.invalid/x.git",
    ],
)
@pytest.mark.threat("T13")
def test_what_uv_says_is_shown_without_addresses(said: str) -> None:
    assert PASSWORD not in to_detail(said)
    assert "host.invalid" not in to_detail(said).lower()


def _record_arguments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """See every argument that a program is started with, as the interpreter's own audit does."""
    seen: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_watchers", [seen.extend])
    return seen


_watchers: list[Callable[[list[str]], None]] = []


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen":
        argv = arguments[1]
        for watch in _watchers:
            watch([os.fsdecode(part) for part in argv])  # type: ignore[attr-defined]  # Popen's own argument


sys.addaudithook(_audit)
