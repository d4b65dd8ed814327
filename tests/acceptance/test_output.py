"""What is printed: documents of one shape, no word twice, nothing that a terminal obeys, and any stream and locale."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.acceptance.refusals import Case, assert_inert, call, copy, tree
from tests.acceptance.terminal import show
from tests.conftest import Required
from tests.repository import PROGRAM, TIMEOUT_S, Repository

ESC = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202etxt.exe\u2028::error::x ##[error]y"
"""Colours, a title, a clear screen, text from right to left, a line end, and two kinds of commands of a CI log."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    """Give a repository with two registered environments."""
    required.python("3.11")
    patch = pytest.MonkeyPatch()
    for name in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{name}_NAME", "Test")
        patch.setenv(f"GIT_{name}_EMAIL", "test@example.invalid")
    found = Repository(tmp_path_factory.mktemp("output") / "clone")
    for version in ("1.0", "1.1"):
        found.release("alpha", version)
    found.declare("serving")
    found.declare("training", "alpha<1.1", extra="description: Tabular training stack\n")
    found.commit()
    found("apply")
    patch.undo()
    return found


@pytest.fixture
def repository(template: Repository, tmp_path: Path) -> Repository:
    return copy(template, tmp_path / "clone")


@pytest.fixture
def silence() -> Iterator[str]:
    """Give the address of an index that takes a question and never answers."""
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            done.wait(TIMEOUT_S)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    done.set()
    server.shutdown()
    server.server_close()


SHAPES: dict[str, set[str]] = {
    "list": {"format_version", "registry", "environments"},
    "history training": {"format_version", "registry", "versions"},
    "get training": {
        *("format_version", "name", "version", "digest", "reference", "request", "lock", "commit", "manifest"),
        *("manager", "archived", "dirty", "base", "parent", "builder", "recipe", "components", "artifacts"),
        *("metadata", "missing", "tampered", "recovered"),
    },
    "explain training": {
        *("format_version", "name", "location", "request", "recorded_request", "components", "defaults", "lock"),
        *("builder", "registered", "action", "changes", "packages", "note", "verdict"),
    },
    "drift": {"format_version", "registry", "drifted", "checked", "findings", "pending", "stale", "unreadable"},
    "validate": {"format_version", "problems"},
    "apply": {"format_version", "environments", "summary"},
    "plan": {"format_version", "registry", "manager", "revision", "steps", "summary", "notes"},
}


@pytest.mark.parametrize("command", list(SHAPES))
def test_a_document_has_a_format_version_known_keys_in_order_and_is_printed_alone(
    command: str, repository: Repository
) -> None:
    answer = repository(*command.split(), "-o", "json")
    document = json.loads(answer.out)
    assert document["format_version"] == 1
    assert set(document) == SHAPES[command]
    assert list(document) == sorted(document)
    assert answer.out.isascii()
    assert answer.out.endswith("}\n")
    assert answer.err == ""
    assert repository(*command.split(), "-o", "json").out == answer.out


def test_an_apply_without_changes_is_one_line(repository: Repository) -> None:
    answer = repository("apply")
    assert answer.out == "Nothing to do: 2 environments unchanged.\n"
    assert answer.err == ""


def test_a_failure_is_told_once_with_what_to_do(repository: Repository) -> None:
    repository.declare("training", "nothing-of-that-name")
    answer = repository("apply", expect=4)
    reason = "no versions of nothing-of-that-name go together"
    assert (answer.out + answer.err).count(reason) == 1
    assert f"error: environments/training.yaml:4:9: {reason}" in answer.out
    assert "      hint: " in answer.out
    assert answer.out.splitlines()[-1] == "Apply: 1 unchanged, 1 failed."
    assert re.fullmatch(r"(\[ +\d+\.\ds\] training (resolving|failed)\n)+", answer.err)


def test_with_a_document_on_standard_output_the_log_has_the_reason(repository: Repository) -> None:
    repository.declare("training", "nothing-of-that-name")
    answer = repository("apply", "-o", "json", expect=4)
    assert "training failed: environments/training.yaml:4:9: no versions of nothing-of-that-name" in answer.err
    assert json.loads(answer.out)["summary"] == {"failed": 1, "unchanged": 1}


def test_what_nothing_can_build_is_valid_and_blocked_in_one_line(repository: Repository) -> None:
    path = repository.root / "environments" / "image.yaml"
    path.write_text("name: image\nbuilder: docker\n")
    assert repository("validate").out == "3 manifests are valid\n"
    plan = repository("plan", expect=1)
    assert plan.out.count("the docker builder is not in this version") == 1
    assert plan.err == "error: apply can't do image (the plan says why)\n"
    answer = repository("apply", expect=4)
    assert answer.out.count("the docker builder is not in this version") == 1
    assert answer.err == ""


# -- terminals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
    ids=["plain", "NO_COLOR", "TERM=dumb", "empty NO_COLOR"],
)
@pytest.mark.parametrize("command", ["plan", "list", "get training", "history training", "explain training", "drift"])
def test_colour_is_for_terminals_that_want_it(
    command: str, variables: dict[str, str], *, coloured: bool, repository: Repository
) -> None:
    repository.declare("training", "alpha")
    screen = show(repository, *command.split(), variables=variables)
    assert screen.code == 0
    assert bool(COLOUR.search(screen.text)) is coloured
    assert COLOUR.sub("", screen.text) == repository(*command.split()).out


@pytest.mark.parametrize("columns", [80, 100, 132, 200])
def test_lines_fit_the_terminal(columns: int, repository: Repository) -> None:
    repository.declare("training", "alpha")
    for command in ("plan", "explain training", "list", "drift"):
        lines = COLOUR.sub("", show(repository, *command.split(), columns=columns).text).splitlines()
        wide = [line for line in lines if len(line) > columns and "sha256:" not in line]
        assert not wide


def test_a_live_display_leaves_what_ended_and_nothing_else(repository: Repository) -> None:
    repository.declare("training", "alpha")
    screen = show(repository, "apply", "training")
    assert screen.code == 0
    left = _render(screen.text)
    progress = [line for line in left if re.match(r"\[ *-?\d", line)]
    assert len(progress) == 1
    assert re.fullmatch(r"\[ +\d+\.\ds\] training done: rebuild v2", progress[0])
    assert left[-1] == "Apply: 1 applied."


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "dumb", "NO_COLOR": "1"}], ids=["dumb", "no colour"])
def test_a_terminal_that_can_not_move_its_cursor_gets_lines(variables: dict[str, str], repository: Repository) -> None:
    repository.declare("training", "alpha")
    assert ESC not in show(repository, "apply", variables=variables).text


def test_without_colour_the_display_is_live_all_the_same(repository: Repository) -> None:
    repository.declare("training", "alpha")
    text = show(repository, "apply", variables={"NO_COLOR": "1"}).text
    assert not COLOUR.search(text)
    assert f"{ESC}[1F" in text


def test_an_interrupt_ends_in_one_line_and_130(repository: Repository, silence: str) -> None:
    repository.declare("training", "alpha")
    before = tree(repository.root / ".reconciler" / "registry")
    variables = {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": silence}
    screen = show(repository, "apply", variables=variables, interrupt_at="[   1.")
    assert screen.code == 130
    left = _render(screen.text)
    assert left[-1].startswith("error: interrupted (")
    assert sum("interrupted" in line for line in left) == 1
    assert "Traceback" not in screen.text
    changed = {path for path, _ in set(before.items()) ^ set(tree(repository.root / ".reconciler/registry").items())}
    assert all("reconciler-state" in path or path.startswith(".") for path in changed)


def _render(text: str) -> list[str]:
    """Do what a terminal does with line ends, moves of the cursor up, and erasing below it."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[\d*F|\x1b\[J|\n)", COLOUR.sub("", text)):
        if part == "\n":
            row += 1
            lines += [""] * (row - len(lines) + 1)
        elif part.endswith("F") and part.startswith(ESC):
            row -= int(part[2:-1] or 1)
        elif part == f"{ESC}[J":
            del lines[row + 1 :]
            lines[row] = ""
        else:
            lines[row] += part
    return [line for line in lines if line.strip()]


# -- streams and locales ----------------------------------------------------------------------------------------


STREAMS: dict[str, tuple[str, int]] = {
    "closed output": ("{program} {command} >&-", 0),
    "closed errors": ("{program} {command} 2>&-", 0),
    "closed input": ("{program} {command} <&-", 0),
    "all closed": ("{program} {command} <&- >&- 2>&-", 0),
    "a reader who leaves": ("{program} {command} | head -c 1 >/dev/null", 0),
    "a full disk": ("{program} {command} >/dev/full", 1),
    "no input": ("{program} {command} </dev/null", 0),
}


@pytest.mark.parametrize(
    "command", ["plan", "apply", "list", "get training", "explain training -v", "validate", "drift"]
)
@pytest.mark.parametrize("stream", list(STREAMS))
def test_any_stream_will_do(stream: str, command: str, repository: Repository) -> None:
    line, code = STREAMS[stream]
    done = subprocess.run(
        ["bash", "-c", line.format(program=PROGRAM, command=command)],
        cwd=repository.root,
        env=repository.environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert len(done.stderr.splitlines()) == (1 if code else 0), done.stderr


LOCALES = [
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "LANG": ""},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "nowhere.UTF-8"},
]


@pytest.mark.parametrize("command", ["plan", "apply", "list", "get training", "explain training", "validate", "lock"])
@pytest.mark.parametrize("variables", LOCALES, ids=lambda variables: " ".join(f"{k}={v}" for k, v in variables.items()))
def test_any_locale_will_do(command: str, variables: dict[str, str], repository: Repository) -> None:
    repository.declare("training", "alpha", extra="description: Übung → 訓練 🚀\n")
    done = subprocess.run(
        [str(PROGRAM), *command.split()],
        cwd=repository.root,
        env={**repository.environ, **variables},
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr


# -- hostile names and values -----------------------------------------------------------------------------------


def _evil_value(field: str) -> Callable[[Repository], object]:
    def change(repository: Repository) -> None:
        path = repository.root / "environments" / "training.yaml"
        path.write_text(path.read_text() + field.format(json.dumps(EVIL)) + "\n")

    return change


EVIL_PLACES: dict[str, Callable[[Repository], object]] = {
    "a description": _evil_value("owner: {}"),
    "a tag": _evil_value("tags: {{a: {}}}"),
    "a tag's name": _evil_value("tags: {{{}: a}}"),
    "a variable": _evil_value("environment_variables: {{A: {}}}"),
    "a field": _evil_value("{}: 1"),
    "an import": _evil_value("checks: {{imports: [{}]}}"),
    "a source": _evil_value("extends: {}"),
    "a platform": _evil_value("platforms: [{}]"),
    "a label": _evil_value("system_packages: [{}]"),
    "an old name": _evil_value("renamed_from: {}"),
    "a requirement": lambda repository: repository.declare("training", json.dumps(EVIL)),
    "a file": lambda repository: repository.declare("training", extra=f"files: {{/a: {json.dumps(EVIL)}}}\n"),
    "a file's name": lambda repository: (
        repository.root / "environments" / (EVIL.replace("/", "") + ".yaml")
    ).write_text("name: a\n"),
    "a folder's name": lambda repository: (repository.root / "environments" / EVIL.replace("/", "")).mkdir(),
    "raw bytes": lambda repository: (repository.root / "environments" / "training.yaml").write_text(
        f"name: training # {EVIL}\n"
    ),
    "a bad name": lambda repository: os.rename(  # noqa: PTH104  # Path refuses what is not UTF-8
        repository.root / "environments" / "serving.yaml",
        os.fsencode(repository.root / "environments") + b"/\xff\xfe.yaml",
    ),
    "a long name": lambda repository: (repository.root / "environments" / f"{'a' * 240}.yaml").write_text(
        f"name: {'a' * 240}\n"
    ),
}


@pytest.mark.parametrize("command", ["validate", "validate -o github", "plan", "plan -v", "apply", "explain training"])
@pytest.mark.parametrize("place", list(EVIL_PLACES))
def test_nothing_of_a_repository_reaches_a_terminal_or_a_log_as_a_command(
    place: str, command: str, repository: Repository
) -> None:
    EVIL_PLACES[place](repository)
    answer = call(repository, Case(arguments=tuple(command.split()), code=0, says=()))
    assert "Traceback" not in answer.err, answer.err
    assert answer.code in {0, 1, 4, 9}
    assert_inert(answer)
    for line in (answer.out + answer.err).splitlines():
        assert "##[error]" not in line
        assert command.endswith("github") or not line.lstrip().startswith("::"), line


@pytest.mark.parametrize(
    "words", [("get",), ("plan",), ("explain",), ("apply",), ("run",), ("--",), ("list", "-o"), ()]
)
def test_nothing_of_a_command_line_is_printed_raw(words: tuple[str, ...], repository: Repository) -> None:
    answer = call(repository, Case(arguments=(*words, EVIL), code=64, says=()))
    assert answer.code in {1, 64}
    assert_inert(answer)
    assert len(answer.err.splitlines()) == 1


# -- clones of every kind ---------------------------------------------------------------------------------------


def test_a_detached_head_plans_and_applies(repository: Repository) -> None:
    repository.git("checkout", "-q", "--detach")
    repository("plan")
    repository("apply")


def test_a_shallow_clone_plans_and_applies(repository: Repository, tmp_path: Path) -> None:
    repository.commit("one more")
    place = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth", "1", repository.root.as_uri(), str(place))
    shallow = Repository(place, wheels=repository.wheels, cache=repository.cache)
    shallow("apply")
    assert "Nothing to do" in shallow("plan").out


def test_a_repository_without_a_commit_and_a_folder_without_git_plan(tmp_path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    empty.declare("training")
    assert "no commit" in empty("plan").out
    plain = Repository(tmp_path / "plain")
    (plain.root / ".git").rename(tmp_path / "away")
    plain.declare("training")
    assert "no commit" in plain("plan").out


def test_a_bare_repository_has_nothing_to_plan(repository: Repository, tmp_path: Path) -> None:
    repository.git("clone", "-q", "--bare", str(repository.root), str(tmp_path / "bare.git"))
    done = subprocess.run(
        [str(PROGRAM), "plan"],
        cwd=tmp_path / "bare.git",
        env=repository.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: environments does not exist .*\n", done.stderr)
