"""Commands in a registered environment: as if they had been started by hand."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.clients.uv import Uv
from reconciler.errors import BuildError, CommandMissingError, CommandRefusedError, SourceError, UsageError
from reconciler.runners.host import HostRunner
from reconciler.store.hosts import Hosts
from tests import host_case
from tests.conftest import Required

ASKED = host_case.task()
START = """
import json, os, sys
from pathlib import Path
from reconciler.clients.uv import Uv
from reconciler.errors import ReconcilerError
from reconciler.runners.host import HostRunner
from reconciler.store.hosts import Hosts
from tests import host_case
root, folder, variables, *command = sys.argv[1:]
runner = HostRunner(hosts=Hosts(Path(root)), uv=Uv(environ=dict(os.environ)))
asked = host_case.run(host_case.task(), *command, folder=Path(folder), variables=json.loads(variables))
try:
    sys.exit(runner.run(asked))
except ReconcilerError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""
"""What the command line does: one runner, one command."""


@pytest.fixture(scope="module")
def root(required: Required, tmp_path_factory: pytest.TempPathFactory) -> Path:
    required.python("3.11")
    required.index()
    return tmp_path_factory.mktemp("hosts")


def argv(root: Path, folder: Path, command: Sequence[str], variables: dict[str, str] | None = None) -> list[str]:
    return [sys.executable, "-c", START, str(root), str(folder), json.dumps(variables or {}), *command]


def environ(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path.cwd()), **more}


def ran(
    root: Path, folder: Path, *command: str, variables: dict[str, str] | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(root, folder, command, variables), capture_output=True, text=True, check=False, env=environ(**more)
    )


def script(folder: Path, text: str, name: str = "script.py") -> str:
    (folder / name).write_text(text)
    return name


# -- what is run ------------------------------------------------------------------------------------------------


def test_the_first_run_makes_the_environment_and_the_second_finds_it(root: Path, tmp_path: Path) -> None:
    name = script(tmp_path, "import six, sys; print(six.__version__, sys.prefix)")
    first = ran(root, tmp_path, name)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.split() == ["1.16.0", str(Hosts(root).place("tiny", ASKED.key))]
    assert ran(root, tmp_path, name).stdout == first.stdout


@pytest.mark.threat("T10")
@pytest.mark.parametrize(
    "arguments",
    [["-c", "--help"], ["$(touch canary)", "a b", "'", '"', "\n", "", "é", "*", "~", "${HOME}"], ["--", "-"]],
)
def test_a_script_gets_its_arguments_as_they_are(arguments: list[str], root: Path, tmp_path: Path) -> None:
    name = script(tmp_path, "import json, sys; print(json.dumps(sys.argv[1:]))")
    assert json.loads(ran(root, tmp_path, name, *arguments).stdout) == arguments
    assert not (tmp_path / "canary").exists()


def test_a_script_whose_name_begins_with_a_dash_is_a_script(root: Path, tmp_path: Path) -> None:
    assert ran(root, tmp_path, script(tmp_path, "print(1)", "-c.py")).stdout == "1\n"


@pytest.mark.parametrize(
    "command",
    [
        ["python", "-c", "import sys; print(sys.prefix)"],
        ["python3", "-c", "import sys; print(sys.prefix)"],
        ["sh", "-c", 'python -c "import sys; print(sys.prefix)"'],
        ["sh", "-c", 'echo "$VIRTUAL_ENV"'],
    ],
)
def test_a_command_is_found_in_the_environment_first(command: list[str], root: Path, tmp_path: Path) -> None:
    assert ran(root, tmp_path, *command).stdout.strip() == str(Hosts(root).place("tiny", ASKED.key))


def test_a_command_at_a_path_is_below_the_folder(root: Path, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\npwd\n")
    tool.chmod(0o755)
    assert ran(root, tmp_path, "./tool").stdout == f"{tmp_path}\n"


def test_an_environment_of_a_relative_folder_is_found_from_the_folder_of_the_run(root: Path, tmp_path: Path) -> None:
    name = script(tmp_path, "import six; print(1)")
    relative = os.path.relpath(root)
    assert ran(Path(relative), tmp_path, name).stdout == "1\n"


def test_input_and_output_are_the_callers(root: Path, tmp_path: Path) -> None:
    name = script(tmp_path, "import sys; print(sys.stdin.read().upper()); print('e', file=sys.stderr)")
    done = subprocess.run(
        argv(root, tmp_path, [name]), input="hello", capture_output=True, text=True, check=True, env=environ()
    )
    assert (done.stdout, done.stderr) == ("HELLO\n", "e\n")


# -- variables --------------------------------------------------------------------------------------------------


def variables_of(root: Path, folder: Path, variables: dict[str, str], **more: str) -> dict[str, str]:
    name = script(folder, "import json, os; print(json.dumps(dict(os.environ)))")
    found = json.loads(ran(root, folder, name, variables=variables, **more).stdout)
    assert isinstance(found, dict)
    return found


def test_variables_are_set_over_the_callers_own(root: Path, tmp_path: Path) -> None:
    odd = {"A": "new", "B": "a b\n'\"$(x)`y`", "C": ""}
    found = variables_of(root, tmp_path, odd, A="old", KEPT="yes")
    assert {name: found[name] for name in (*odd, "KEPT")} == {**odd, "KEPT": "yes"}


def test_the_callers_python_and_environment_stay_out(root: Path, tmp_path: Path) -> None:
    # PYTHONHOME would break the interpreter that starts the runner, so the runner is asked here.
    seen: dict[str, str] = {}

    def become(_program: str, _argv: list[str], given: dict[str, str]) -> None:
        seen.update(given)
        raise Reached

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHOME", "/nonexistent")
        patch.setenv("VIRTUAL_ENV", "/other")
        patch.chdir(tmp_path)
        runner = HostRunner(hosts=Hosts(root), uv=Uv(environ=dict(os.environ)), execute=become)  # type: ignore[arg-type]  # it raises
        with pytest.raises(Reached):
            runner.run(host_case.run(ASKED, "python", folder=tmp_path))
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN, "who is not replaced keeps its own ways"
    assert "PYTHONHOME" not in seen
    assert seen["VIRTUAL_ENV"] == str(Hosts(root).place("tiny", ASKED.key))
    assert seen["PYTHONNOUSERSITE"] == "1"


class Reached(Exception):  # noqa: N818  # it is none
    """The command would have been started."""


def test_a_path_that_the_manifest_sets_comes_after_the_environments(root: Path, tmp_path: Path) -> None:
    found = variables_of(root, tmp_path, {"PATH": "/declared"})
    assert found["PATH"] == f"{Hosts(root).place('tiny', ASKED.key) / 'bin'}:/declared"


@pytest.mark.threat("T13")
def test_a_secret_stands_neither_on_the_disk_nor_in_an_argument(root: Path, tmp_path: Path) -> None:
    secret = "hunter2-the-secret"  # noqa: S105  # it is none
    look = (
        "import os, pathlib\nassert os.environ['KEY'].startswith('hunter2')\n"
        "for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    try: print(path, path.read_bytes())\n"
        "    except OSError: pass\n"
    )
    name = script(tmp_path, look)
    start = START.replace("json.loads(variables)", "{'KEY': os.environ['TOKEN']}")
    line = [sys.executable, "-c", start, str(root), str(tmp_path), "{}", name]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=environ(TOKEN=secret))
    assert "/cmdline" in done.stdout
    assert secret not in done.stdout
    for folder in (root, tmp_path):
        assert not [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


# -- how it ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 2, 7, 42, 126, 127, 128, 255])
def test_the_exit_status_is_the_commands(status: int, root: Path, tmp_path: Path) -> None:
    assert ran(root, tmp_path, "sh", "-c", f"exit {status}").returncode == status


SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGABRT", "SIGPIPE", "SIGXFSZ"]


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.threat("F17")
def test_a_signal_that_ends_the_command_ends_the_run_by_the_same_signal(name: str, root: Path, tmp_path: Path) -> None:
    number = getattr(signal, name)
    assert ran(root, tmp_path, "sh", "-c", f"ulimit -c 0; kill -{int(number)} $$").returncode == -number


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH"])
@pytest.mark.threat("F17")
def test_a_signal_reaches_the_command_once(name: str, root: Path, tmp_path: Path) -> None:
    handler = script(
        tmp_path,
        "import signal, sys, time\nseen = []\n"
        f"signal.signal(signal.{name}, lambda *_: seen.append(1))\n"
        "print('ready', flush=True)\nend = time.monotonic() + 20\n"
        "while not seen and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.2)\nsys.exit(40 + len(seen))\n",
    )
    process = subprocess.Popen(argv(root, tmp_path, [handler]), stdout=subprocess.PIPE, text=True, env=environ())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    process.stdout.close()
    assert process.wait(20) == 41


def test_a_run_is_stopped_and_goes_on(root: Path, tmp_path: Path) -> None:
    name = script(tmp_path, "print('ready', flush=True); input(); print('on')")
    # A group of its own: an orphaned one, as that of a test run without a terminal may be, can't be stopped.
    process = subprocess.Popen(
        argv(root, tmp_path, [name]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ(),
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    assert process.communicate("\n", timeout=20)[0] == "on\n"
    assert process.returncode == 0


@pytest.mark.threat("F17")
def test_a_control_c_at_a_terminal_reaches_the_command_once(root: Path, tmp_path: Path) -> None:
    name = script(
        tmp_path,
        "import os, signal, sys, time\nseen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "assert os.tcgetpgrp(0) == os.getpgrp()\nprint('ready', flush=True)\n"
        "end = time.monotonic() + 20\nwhile not seen and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.2)\nsys.exit(40 + len(seen))\n",
    )
    child, terminal = pty.fork()
    if not child:
        os.execve(sys.executable, argv(root, tmp_path, [name]), environ())  # noqa: S606  # no shell is wanted
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 41


def test_nothing_stands_between_the_caller_and_the_command(root: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        argv(root, tmp_path, ["sh", "-c", "echo $$"]), stdout=subprocess.PIPE, text=True, env=environ()
    )
    assert process.communicate()[0] == f"{process.pid}\n"


# -- what can't be run ------------------------------------------------------------------------------------------


def refused(root: Path, asked: object) -> object:
    runner = HostRunner(hosts=Hosts(root), uv=Uv(environ=dict(os.environ)))
    return runner.run(asked)  # type: ignore[arg-type]  # as the caller made it


@pytest.mark.parametrize("command", ["missing.py", "no-such-command", "./missing", "/nonexistent/x", "", "folder.py"])
def test_a_missing_command_ends_with_127_and_one_line(command: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    done = ran(root, tmp_path, command)
    assert (done.returncode, len(done.stderr.splitlines())) == (127, 1)


@pytest.mark.parametrize(("content", "mode"), [("#!/bin/sh\n", 0o644), ("no program\n", 0o755)])
def test_what_can_not_be_executed_ends_with_126_and_one_line(
    content: str, mode: int, root: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "tool"
    tool.write_text(content)
    tool.chmod(mode)
    done = ran(root, tmp_path, "./tool")
    assert (done.returncode, len(done.stderr.splitlines())) == (126, 1)


def test_a_missing_interpreter_of_a_script_ends_with_127(root: Path, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/nonexistent/interpreter\n")
    tool.chmod(0o755)
    assert ran(root, tmp_path, "./tool").returncode == 127


def test_a_folder_is_not_executable(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandRefusedError):
        refused(root, host_case.run(ASKED, "./", folder=tmp_path))


def test_a_missing_script_says_what_to_do(root: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandMissingError, match=r"missing\.py") as caught:
        refused(root, host_case.run(ASKED, "missing.py", folder=tmp_path))
    assert "--source" in (caught.value.hint or "")


def test_another_platform_is_refused(root: Path, tmp_path: Path) -> None:
    asked = replace(host_case.run(ASKED, "python", folder=tmp_path), platform=host_case.ELSEWHERE)
    with pytest.raises(BuildError, match=str(host_case.ELSEWHERE)):
        refused(root, asked)


def test_a_missing_folder_and_a_missing_command_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        refused(root, host_case.run(ASKED, "python", folder=tmp_path / "missing"))
    with pytest.raises(UsageError):
        refused(root, host_case.run(ASKED, folder=tmp_path))


# -- an interpreter that somebody else keeps --------------------------------------------------------------------


def test_a_user_managed_interpreter_runs_the_script(tmp_path: Path, required: Required) -> None:
    python = required.python("3.11")
    name = script(tmp_path, "import sys; print(sys.prefix)")
    start = START.replace(
        "runner.run(asked)",
        "runner.run(__import__('dataclasses').replace("
        f"asked, lock=host_case.lock(provider='user'), interpreter_path={str(python)!r}))",
    )
    line = [sys.executable, "-c", start, str(tmp_path / "hosts"), str(tmp_path), "{}", name]
    done = subprocess.run(line, capture_output=True, text=True, check=True, env=environ())
    prefix = subprocess.run([python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True)
    assert done.stdout == prefix.stdout
    assert not (tmp_path / "hosts").exists()


def test_a_run_costs_little(root: Path, tmp_path: Path) -> None:
    begun = time.monotonic()
    ran(root, tmp_path, "true")
    assert time.monotonic() - begun < 10
