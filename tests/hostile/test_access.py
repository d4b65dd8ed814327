"""Folders that can't be written, read or found: one clear line each, and reading needs no right to write.

A sample; all cases with ``RECONCILER_CASES=full`` in the environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import PROGRAM, TIMEOUT_S, Answer, Repository

FULL = os.environ.get("RECONCILER_CASES") == "full"
READING = ("plan", "list", "get plain", "history plain", "explain plain", "drift", "drift --deep", "validate")
pytestmark = pytest.mark.threat("F15")


class Bound(Repository):
    """A repository whose commands are held to the rights of files, also where root runs them."""

    prefix: tuple[str, ...] = ()

    def run(self, *arguments: str) -> Answer:
        done = subprocess.run(
            [*self.prefix, str(PROGRAM), *arguments],
            cwd=self.root,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Path:
    required.python("3.11")
    repository = Repository(tmp_path_factory.mktemp("access") / "clone")
    repository.declare("plain")
    repository.commit()
    repository("apply")
    shutil.rmtree(repository.root / ".reconciler" / "hosts")
    return repository.root


@pytest.fixture
def bound(applied: Path, tmp_path: Path, required: Required) -> Iterator[Bound]:
    subprocess.run(["cp", "-a", applied, tmp_path / "clone"], check=True)
    repository = Bound(tmp_path / "clone")
    if os.geteuid() == 0:
        repository.prefix = (str(required.program("setpriv")), "--bounding-set=-dac_override,-dac_read_search")
    yield repository
    for path in (tmp_path, *tmp_path.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)


def freeze(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    folder.chmod(0o555)


def the_error(answer: Answer) -> str:
    """Give the one line that says what is wrong."""
    (line,) = [line for line in answer.err.splitlines() if line.startswith(("error:", "note:"))]
    return line


@pytest.mark.parametrize("cached", [True, False])
def test_what_only_reads_works_on_a_checkout_that_is_read_only(bound: Bound, *, cached: bool) -> None:
    if not cached:
        shutil.rmtree(bound.root / ".reconciler" / "cache")
    freeze(bound.root)
    assert subprocess.run([*bound.prefix, "touch", bound.root / "x"], capture_output=True, check=False).returncode
    for command in READING:
        answer = bound.run(*command.split())
        assert (answer.code, answer.err) == (0, ""), command
    answer = bound.run("apply")  # there is nothing to do, so there is nothing to write
    assert (answer.code, answer.err) == (0, "")


@pytest.mark.parametrize("command", ["apply", "lock", "plan --out p.json"])
def test_what_has_to_write_says_in_one_line_where_it_must_not(bound: Bound, command: str) -> None:
    bound.declare("plain", extra="description: words\n")
    freeze(bound.root)
    answer = bound.run(*command.split())
    assert answer.code == 1
    assert str(bound.root) in the_error(answer)
    assert "Permission denied (check the owner and the permissions)" in the_error(answer)


UNREADABLE = {
    ".reconciler/registry/plain": 69,
    ".reconciler/registry/plain/index.json": 69,
    ".reconciler/registry/plain/blobs": 69,
    ".reconciler/registry/plain/blobs/sha256": 69,
    ".reconciler/registry": 1,
    ".reconciler": 1,
}


@pytest.mark.parametrize("path", list(UNREADABLE)[:: 1 if FULL else 2])
def test_what_can_t_be_read_is_neither_empty_nor_drift(bound: Bound, path: str) -> None:
    (bound.root / path).chmod(0)
    for command in ("plan", "drift", "apply", "get plain"):
        answer = bound.run(*command.split())
        assert answer.code in {UNREADABLE[path], 69}, (command, answer)
        assert "Permission denied" in answer.out + answer.err
        assert "create" not in answer.out
    answer = bound.run("list")
    assert answer.code == 1
    assert "Permission denied" in the_error(answer)
    (bound.root / path).chmod(0o755)
    assert "Nothing to do" in bound("apply").out


def test_a_manifest_that_can_t_be_read_is_not_taken_for_removed(bound: Bound) -> None:
    (bound.root / "environments" / "plain.yaml").chmod(0)
    for command in ("plan", "apply", "validate"):
        answer = bound.run(command)
        assert answer.code == 9
        assert "environments/plain.yaml" in answer.out + answer.err
    answer = bound.run("drift")
    assert (answer.code, "pending" in answer.out) == (0, False)
    assert "plain" in bound("list").out


def replace_folder(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        shutil.rmtree(path)
        make(path)

    return change


PLACES = {
    "a file": replace_folder(lambda path: path.touch()),
    "a link to a file": replace_folder(lambda path: path.symlink_to("/dev/null")),
    "a link to nothing": replace_folder(lambda path: path.symlink_to("nowhere")),
    "a link to itself": replace_folder(lambda path: path.symlink_to(path.name)),
    "a pipe": replace_folder(os.mkfifo),
}


OCCUPIED = [(place, what) for place in (".reconciler", ".reconciler/registry") for what in PLACES]


@pytest.mark.parametrize(("place", "what"), OCCUPIED[:: 1 if FULL else 2])
def test_something_else_in_the_registry_s_place_is_one_line(bound: Bound, place: str, what: str) -> None:
    PLACES[what](bound.root / place)
    for command in ("plan", "list", "drift", "apply"):
        answer = bound.run(command)
        assert answer.code == 1, answer
        assert ".reconciler" in the_error(answer)
        assert "create" not in answer.out
    assert bound.run("validate").code == 0


def test_a_registry_behind_a_link_is_used_as_any_other(bound: Bound, tmp_path: Path) -> None:
    folder = bound.root / ".reconciler"
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert "Nothing to do" in bound("apply").out
    bound.declare("plain", extra="description: words\n")
    bound("apply")
    assert "words" in bound("list").out
    bound("drift", "--deep")
    assert folder.is_symlink()


NAMES = ("ünï-大 with space", "line\nbreak", "-dash", "per%20cent", "a:b", "q'uo\"te", "a/../b")


@pytest.mark.parametrize("name", NAMES if FULL else NAMES[:2])
def test_a_registry_may_have_any_name_that_a_folder_has(bound: Bound, name: str) -> None:
    (bound.root / "reconciler.yaml").write_text("manager: team\n")
    address = f"./{name}"
    for command in (["apply"], ["drift", "--deep"]):
        answer = bound.run(*command, "--registry", address)
        assert answer.code == 0, answer
    assert (bound.root / name / "plain" / "oci-layout").exists()
    assert "unchanged" in bound.run("plan", "--registry", str(bound.root / name)).out


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://example.invalid/x", 1),
        ("localhost:1/x", 69),
        ("example.invalid/x", 69),
        ("x" * 300, 1),
        ("/dev/null", 1),
    ],
)
def test_an_address_that_names_no_registry_is_refused_in_one_line(bound: Bound, address: str, code: int) -> None:
    (bound.root / "reconciler.yaml").write_text("manager: team\n")
    for command in ("apply", "drift"):
        answer = bound.run(command, "--registry", address)
        assert answer.code == code
        assert the_error(answer).startswith("error: ")
