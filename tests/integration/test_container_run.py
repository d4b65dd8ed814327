"""Images in a real engine through the command line: run in them, checked before they are registered, exported."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.container_case import Machine
from tests.debian import Debian
from tests.repository import PROGRAM, Answer
from tests.services import EngineService

SETTINGS = """\
docker:
  base_image: "oci:debian"
  entrypoint: [/bin/false]
  shm_size: 48m
  arguments: [--network=none, "--ulimit=nofile=77:77", --hostname, inside, -e, PASSED]
environment_variables: {PLAIN: "a b", TOKEN: "${CALLERS_TOKEN}"}
"""


@dataclass
class World:
    """A clone with one registered image, and an engine."""

    machine: Machine
    engine: EngineService

    def environ(self, **more: str) -> dict[str, str]:
        given = {"DOCKER_HOST": self.engine.host, "CALLERS_TOKEN": "s3cret-value", "PASSED": "on"}
        return {**self.machine.environ, **given, **more}

    def __call__(self, *arguments: str, given: str = "", **more: str) -> Answer:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=self.machine.root, env=self.environ(**more), input=given, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def python(self, code: str, *arguments: str, **more: str) -> Answer:
        return self("run", "tool", "--", "python", "-c", code, *arguments, **more)

    def docker(self, *arguments: str) -> str:
        done = self.engine.docker(*arguments, config=self.machine.root.parent)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def declare(self, name: str, text: str) -> None:
        manifest = f"name: {name}\npython: {{bytecode: false}}\n{text}"
        (self.machine.root / "environments").mkdir(exist_ok=True)
        (self.machine.root / "environments" / f"{name}.yaml").write_text(manifest)
        self.machine.commit()


@pytest.fixture(scope="module")
def world(
    required: Required, debian: Debian, docker_engine: EngineService, tmp_path_factory: pytest.TempPathFactory
) -> World:
    required.index()
    made = World(Machine(tmp_path_factory.mktemp("run") / "clone", debian), docker_engine)
    made.declare("tool", SETTINGS)
    assert made("apply").code == 0
    return made


# -- run --------------------------------------------------------------------------------------------------------


def test_a_script_of_the_callers_folder_runs_under_the_callers_ids(world: World) -> None:
    folder = world.machine.root / "source"
    folder.mkdir()
    (folder / "script.py").write_text(
        "import os, sys\n"
        "print(os.getcwd(), os.getuid(), os.getgid(), sys.argv[1:], sys.prefix)\n"
        "print('apart', file=sys.stderr)\n"
        "open('written', 'w').write('x')\nsys.exit(7)\n"
    )
    done = world("run", "tool", "--source", "source", "--", "script.py", "$(id)", "; ls", "--flag")
    expected = f"/workspace {os.getuid()} {os.getgid()} ['$(id)', '; ls', '--flag'] /opt/venv\n"
    assert (done.code, done.out) == (7, expected)
    assert done.err.endswith("apart\n")
    assert (folder / "written").stat().st_uid == os.getuid()


def test_what_comes_in_goes_to_the_command(world: World) -> None:
    assert world.python("import sys; print(sys.stdin.read().upper())", given="some\nlines\n").out == "SOME\nLINES\n\n"


def test_every_byte_comes_out_as_it_was_written(world: World) -> None:
    done = subprocess.run(
        [str(PROGRAM), "run", "tool", "--", "python", "-c", "import os; os.write(1, bytes(range(256)) * 4096)"],
        cwd=world.machine.root, env=world.environ(), stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == bytes(range(256)) * 4096


def test_what_the_manifest_says_for_running_holds(world: World) -> None:
    code = (
        "import json, os, resource, socket\n"
        "print(json.dumps({'shm': os.statvfs('/dev/shm').f_blocks * os.statvfs('/dev/shm').f_frsize,"
        " 'files': resource.getrlimit(resource.RLIMIT_NOFILE), 'host': socket.gethostname(),"
        " **{name: os.environ.get(name) for name in ('PLAIN', 'TOKEN', 'PASSED')}}))"
    )
    assert json.loads(world.python(code).out) == {
        "shm": 48 << 20, "files": [77, 77], "host": "inside", "PLAIN": "a b", "TOKEN": "s3cret-value", "PASSED": "on",
    }  # fmt: skip


@pytest.mark.threat("T13")
def test_a_secret_is_in_no_image_and_in_no_argument(world: World) -> None:
    assert world.python("pass").code == 0
    assert "s3cret-value" not in world.docker("image", "inspect", "reconciler/tool:v1")
    process = started(world, "import time; print('up', flush=True); time.sleep(60)")
    try:
        shown = subprocess.run(["ps", "axww", "-o", "args"], check=True, capture_output=True, text=True).stdout
        assert "time.sleep(60)" in shown
        assert "s3cret-value" not in shown
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    end = time.monotonic() + 20
    while world.docker("ps", "-q") and time.monotonic() < end:
        for name in world.docker("ps", "-q").split():  # its runner was killed
            world.docker("kill", name)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["absent"], 127, "no command absent in the image"),
        (["/etc/passwd"], 126, "cannot run /etc/passwd"),
        (["absent.py"], 127, "no script absent.py"),
    ],
)
def test_a_command_that_can_not_run_ends_as_in_a_shell(world: World, command: list[str], code: int, said: str) -> None:
    done = world("run", "tool", "--", *command)
    assert done.code == code
    assert said in done.err


def started(world: World, code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [str(PROGRAM), "run", "tool", "--", "python", "-c", code],
        cwd=world.machine.root, env=world.environ(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.threat("F17")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command_and_no_container_is_left(world: World, number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        "print('up', flush=True)\ntime.sleep(60)\n"
    )
    process = started(world, code)
    process.send_signal(number)
    assert process.wait(10) == 42
    process.communicate()
    assert world.docker("ps", "-aq") == ""


@pytest.mark.threat("F17")
def test_who_does_not_listen_is_killed_when_asked_again(world: World) -> None:
    code = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)\n"
    process = started(world, code)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 137
    process.communicate()
    assert world.docker("ps", "-aq") == ""


def test_on_a_terminal_the_command_has_one(world: World) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(PROGRAM), "run", "tool", "--", "python", "-c", "import os, sys; print(sys.stdin.isatty(), os.isatty(2))"],
        cwd=world.machine.root, env=world.environ(), stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while not seen.endswith(b"\n"):
        seen += os.read(ours, 1000)
    assert (process.wait(30), seen.splitlines()[-1]) == (0, b"True True")
    os.close(ours)


@pytest.mark.parametrize("address", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "nonsense"])
def test_where_no_engine_answers_one_line_says_so(world: World, address: str) -> None:
    done = world("run", "tool", "--", "python", "-V", DOCKER_HOST=address)
    assert done.code == 69
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"error: no Docker Engine answers at {address}: ")


# -- checks -----------------------------------------------------------------------------------------------------


def images(world: World) -> set[str]:
    return set(world.docker("images", "-aq", "--no-trunc").split())


def checked(world: World, name: str, checks: str, **more: str) -> Answer:
    own = f"environment_variables: {{OWN: {len(checks)}-{name}}}"  # what is like another environment is not built
    world.declare(name, f'docker: {{base_image: "oci:debian"}}\nchecks: {checks}\n{own}\n')
    return world("apply", name, **more)


def test_checks_that_pass_leave_nothing_in_the_engine(world: World) -> None:
    before = images(world)
    done = checked(world, "passing", "{imports: [ssl, sqlite3], command: [python, -c, 'import pip']}")
    assert (done.code, "not run" in done.out + done.err) == (0, False)
    assert images(world) == before
    assert world.docker("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ("{imports: [absent_module]}", ["checks.imports failed: ended with status 1", "No module named"]),
        ("{command: [python, -c, 'import sys; print(1); sys.exit(5)']}", ["checks.command failed", "status 5"]),
        ("{command: [absent]}", ["checks.command failed: no command absent"]),
        ("{command: [python, -c, \"open('/dev/tcp')\"]}", ["FileNotFoundError"]),
    ],
)
def test_an_image_whose_check_fails_is_not_registered(world: World, checks: str, said: list[str]) -> None:
    before = images(world)
    done = checked(world, "failing", checks)
    assert done.code == 1
    assert all(text in done.out + done.err for text in said), done.out + done.err
    assert world("get", "failing").code == 1
    assert images(world) == before


def test_checks_that_no_engine_runs_are_said(world: World) -> None:
    done = checked(world, "unseen", "{imports: [ssl]}", DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.code == 0
    assert "the checks were not run: no Docker Engine answers at unix:///nowhere/docker.sock" in done.out + done.err


# -- export -----------------------------------------------------------------------------------------------------


def skopeo(required: Required, place: str) -> Mapping[str, object]:
    done = subprocess.run([required.program("skopeo"), "inspect", place], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("form", "transport"), [("oci-archive", "oci-archive"), ("dir", "oci")])
def test_an_oci_form_holds_what_is_registered(
    world: World, required: Required, tmp_path: Path, form: str, transport: str
) -> None:
    place = tmp_path / "exported"
    for _ in range(2):  # the second takes the place of the first
        assert world("export", "tool", "--to", form, "--output", str(place)).code == 0
    registered = json.loads(world("get", "tool", "-o", "json").out)["artifacts"]["linux/amd64"]["digest"]
    assert registered == skopeo(required, f"{transport}:{place}:v1")["Digest"]
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]


def test_what_docker_loads_is_what_it_runs(world: World, tmp_path: Path) -> None:
    file = tmp_path / "tool.tar"
    assert world("export", "tool", "--to", "docker-archive", "--output", str(file)).code == 0
    assert "Loaded image: reconciler/tool:v1" in world.docker("load", "-i", str(file))
    printed = world.docker(
        "run", "--rm", "--network=none", "-u", "1234", "--entrypoint=", "reconciler/tool:v1", "python", "-c",
        "import getpass, os; print(getpass.getuser(), os.access(os.environ['HOME'], os.W_OK))",
    )  # fmt: skip
    assert printed == "user True\n"


def test_an_export_is_the_same_bytes_twice_and_goes_through_a_pipe(world: World, tmp_path: Path) -> None:
    file = tmp_path / "tool.tar"
    world("export", "tool", "--to", "docker-archive", "--output", str(file))
    command = [str(PROGRAM), "export", "tool", "--to", "docker-archive", "--output", "-"]
    piped = subprocess.run(command, cwd=world.machine.root, env=world.environ(), check=True, capture_output=True)
    assert piped.stdout == file.read_bytes()


def test_an_engine_is_given_the_image_under_its_name(world: World) -> None:
    done = world("export", "tool", "--to", "docker")
    assert (done.code, done.out) == (0, "tool v1 is in the Docker Engine as reconciler/tool:v1\n")
    assert world.docker("images", "-q", "reconciler/tool:v1") != ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--to", "docker", "--output", "x"], 64, "an engine takes no file"),
        (["--to", "dir"], 64, "nothing says where to write"),
        (["--to", "dir", "--output", "-"], 64, "--output - is for a pipe"),
        (["--to", "dir", "--output", "environments"], 64, "is no image layout"),
        (["--to", "oci-archive", "--output", "environments"], 64, "is a folder"),
        (["--to", "oci-archive", "--output", "no/such/file"], 1, "no folder no/such"),
        (["--to", "oci-archive", "--output", "x", "--platform", "linux/arm64"], 64, "is for linux/amd64"),
    ],
)
def test_what_can_not_be_exported_is_one_line(world: World, arguments: list[str], code: int, said: str) -> None:
    done = world("export", "tool", *arguments)
    assert done.code == code
    assert said in done.err
    assert (world.machine.root / "environments" / "tool.yaml").is_file()
    assert not (world.machine.root / "x").exists()


def test_what_has_no_image_is_refused(world: World) -> None:
    (world.machine.root / "environments" / "plain.yaml").write_text("name: plain\ndocker: {enabled: false}\n")
    world.machine.commit()
    assert world("apply", "plain").code == 0
    done = world("export", "plain", "--to", "docker")
    assert (done.code, "has no image" in done.err) == (1, True)
