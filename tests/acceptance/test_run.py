"""``run`` as it is typed: whose options are whose, versions, streams, signals, and the exit code of everything else."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.refusals import Case, call, check, copy
from tests.acceptance.terminal import show
from tests.conftest import Required
from tests.repository import PROGRAM, TIMEOUT_S, Repository

SHOW = "import os, sys\nprint(sys.argv[1:], os.environ.get('MODE'), __import__('alpha').VERSION)\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    """Give a repository with two versions of one environment, and an archived one."""
    required.python("3.11")
    patch = pytest.MonkeyPatch()
    for name in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{name}_NAME", "Test")
        patch.setenv(f"GIT_{name}_EMAIL", "test@example.invalid")
    found = Repository(tmp_path_factory.mktemp("run") / "clone")
    for version in ("1.0", "1.1"):
        found.release("alpha", version)
    found.declare("training", "alpha==1.0", extra="environment_variables: {MODE: first}\n")
    old = found.declare("old", "alpha==1.0")
    (found.root / "show.py").write_text(SHOW)
    found.commit("first")
    found("apply")
    old.unlink()
    found.declare("training", "alpha==1.1", extra="environment_variables: {MODE: second}\n")
    found.commit("second")
    found("apply")
    patch.undo()
    return found


@pytest.fixture
def repository(template: Repository, tmp_path: Path) -> Repository:
    return copy(template, tmp_path / "clone")


@pytest.mark.parametrize(
    "words",
    [
        ("--registry", "x", "-C", "y"),
        ("--help",),
        ("-h", "-o", "json", "--version"),
        ("--", "--"),
        ("a b", "'", '"', "$HOME", "`id`", "*", ""),
        ("--source=x", "--unknown"),
        ("ü", "\N{SNOWMAN}", "a\nb"),
    ],
)
def test_everything_after_the_dashes_is_the_scripts_own(words: tuple[str, ...], repository: Repository) -> None:
    assert repository("run", "training", "--", "show.py", *words).out == f"{list(words)!r} second 1.1\n"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("training", "second 1.1"),
        ("training@latest", "second 1.1"),
        ("training:current", "second 1.1"),
        ("training:2", "second 1.1"),
        ("training:v1", "first 1.0"),
        ("training:1", "first 1.0"),
    ],
)
def test_a_version_runs_as_it_was_registered(reference: str, says: str, repository: Repository) -> None:
    assert repository("run", reference, "show.py").out == f"[] {says}\n"


def test_an_archived_environment_still_runs_and_says_that_it_is_one(repository: Repository) -> None:
    answer = repository("run", "old", "--", "python", "-c", "import alpha; print(alpha.VERSION)")
    assert answer.out == "1.0\n"
    assert answer.err == "note: old is archived; version 1 still runs\n"


def test_what_this_machine_lost_is_made_again_from_the_record(repository: Repository) -> None:
    shutil.rmtree(repository.root / ".reconciler" / "hosts")
    repository.release("alpha", "1.2")
    assert repository("run", "training", "show.py").out == "[] second 1.1\n"
    repository("drift")


def test_the_folder_is_that_of_source_and_the_registry_may_be_elsewhere(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "here.py").write_text("import os; print(os.getcwd())")
    options = ("-C", str(repository.root), "--source", str(tmp_path / "src"))
    done = subprocess.run(
        [str(PROGRAM), "run", "training", *options, "--", "here.py"],
        cwd=tmp_path, env=repository.environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.stdout == f"{(tmp_path / 'src').resolve()}\n"


def test_standard_input_passes_through(repository: Repository) -> None:
    done = subprocess.run(
        [str(PROGRAM), "run", "training", "--", "python", "-c", "import sys; print(len(sys.stdin.buffer.read()))"],
        cwd=repository.root, env=repository.environ, input=b"\x00\xff" * 50_000, capture_output=True, check=False,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    assert done.stdout == b"100000\n"


@pytest.mark.parametrize("status", [0, 1, 2, 3, 42, 130, 255])
def test_the_status_is_the_scripts(status: int, repository: Repository) -> None:
    answer = repository("run", "training", "--", "python", "-c", f"raise SystemExit({status})", expect=status)
    assert answer.err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_script_and_is_how_it_ends(number: signal.Signals, repository: Repository) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('ready', flush=True); time.sleep(60)"
    )
    child = repository.start("run", "training", "--", "python", "-c", code)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(number)
    child.communicate(timeout=TIMEOUT_S)
    assert child.returncode == -number


def test_one_interrupt_at_the_keyboard_is_one_for_the_script(repository: Repository) -> None:
    (repository.root / "wait.py").write_text(
        "import signal, time\nseen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\nend = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: time.sleep(0.2)\n"
        "print('interrupts', len(seen))\nraise SystemExit(7)\n"
    )
    screen = show(repository, "run", "training", "wait.py", interrupt_at="ready")
    assert screen.code == 7
    assert "interrupts 1\n" in screen.text
    assert "error:" not in screen.text


def test_a_variable_that_is_not_set_is_one_line(repository: Repository) -> None:
    repository.declare("training", "alpha==1.1", extra="environment_variables: {KEY_ID: '${NOT_SET_HERE}'}\n")
    repository("apply")
    case = Case(arguments=("run", "training", "show.py"), code=64, says=("NOT_SET_HERE is not set", "set NOT_SET_HERE"))
    check(call(repository, case), case)


# -- exit codes -------------------------------------------------------------------------------------------------


def _edit(repository: Repository) -> None:
    repository.declare("training", "alpha")


def _partly(repository: Repository) -> None:
    _edit(repository)
    repository.declare("broken", "nothing-of-that-name")


def _moved(repository: Repository) -> None:
    index = repository.root / ".reconciler" / "registry" / "training" / "index.json"
    index.write_text(index.read_text().replace('"current"', '"lost"'))


def _stale(repository: Repository) -> None:
    _edit(repository)
    repository("plan", "--out", "plan.json")
    repository.declare("training", "alpha<2")


def _invalid(repository: Repository) -> None:
    (repository.root / "environments" / "training.yaml").write_text("name: [\n")


CODES = [
    (0, "apply", None, {}),
    (0, "plan --detailed-exitcode", None, {}),
    (0, "plan", _edit, {}),
    (1, "get nothing", None, {}),
    (1, "apply", lambda repository: repository.declare("training", "nothing-of-that-name"), {}),
    (1, "lock --check", None, {}),
    (2, "plan --detailed-exitcode", _edit, {}),
    (3, "drift", _moved, {}),
    (4, "apply", _partly, {}),
    (4, "lock", _partly, {}),
    (6, "apply --locked", None, {}),
    (6, "plan --max-deletes 0", lambda repository: (
        repository.declare("spare"), (repository.root / "environments" / "training.yaml").unlink()), {}),
    (6, "apply", lambda repository: (repository.root / "environments" / "training.yaml").unlink(), {}),
    (7, "apply plan.json", _stale, {}),
    (9, "plan", _invalid, {}),
    (9, "validate", _invalid, {}),
    (64, "plan nothing", None, {}),
    (69, "lock --upgrade", None, {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "UV_HTTP_RETRIES": "0",
                                  "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}),
    (126, "run training ./.gitignore", None, {}),
    (127, "run training gone.py", None, {}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "command", "change", "variables"), CODES, ids=[f"{one[0]} {one[1]}" for one in CODES])
def test_the_exit_code_is_that_of_the_table(
    code: int, command: str, change: object, variables: dict[str, str], repository: Repository
) -> None:
    if callable(change):
        change(repository)
    answer = call(repository, Case(arguments=tuple(command.split()), code=code, says=(), variables=variables))
    assert answer.code == code, f"exit {answer.code}\n{answer.out}\n{answer.err}"
    assert "Traceback" not in answer.err
