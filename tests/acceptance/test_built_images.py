"""Images with packages that are built from source, through the command line: when code runs, and how often."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.base_case import write_base
from tests.conftest import Required
from tests.repository import Repository
from tests.wheelhouse import write_buildable

KILLS = 4
MANIFEST = """\
name: {name}
platforms: [{platforms}]
python:
  version: "3.11"
  pip: [gamma{more}]
  build_from_source: [gamma]
  bytecode: false
docker: {{base_image: "oci:bases/small"}}
"""


class Machine(Repository):
    """A clone with a base image, on a machine whose registry is a folder that others may share."""

    registry: Path

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "RECONCILER_REGISTRY": str(self.registry)}

    def image(self, name: str, *, platforms: str = "linux/amd64", more: str = "") -> None:
        path = self.root / "environments" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(MANIFEST.format(name=name, platforms=platforms, more=more))
        self.commit()


def machine_at(root: Path, registry: Path, wheels: Path) -> Machine:
    found = Machine(root, wheels=wheels, cache=root.parent / f"uv-of-{root.name}")
    found.registry = registry
    if not (root / "reconciler.yaml").exists():
        (root / "reconciler.yaml").write_text("manager: team\n")
        (root / ".gitignore").write_text(".reconciler/\nbases/\n")
        write_base(root / "bases/small")
    return found


@pytest.fixture
def machine(tmp_path: Path, required: Required) -> Machine:
    required.python("3.11")
    found = machine_at(tmp_path / "one", tmp_path / "registry", tmp_path / "wheels")
    found.release("pip", "26.0")
    return found


@pytest.fixture
def count(machine: Machine, tmp_path: Path) -> Path:
    """A source distribution on the index that counts how often its code makes a wheel."""
    path = tmp_path / "count"
    setup = f"import os\nif os.environ.get('SOURCE_DATE_EPOCH'): open({str(path)!r}, 'a').write('x')"
    write_buildable(machine.wheels, "gamma", "2", setup=setup)
    return path


def built(count: Path) -> int:
    """Tell how often it was built; each build loads it more than once."""
    return len(count.read_text()) if count.exists() else 0


@pytest.mark.threat("T11")
def test_planning_builds_nothing_and_a_second_apply_does_nothing(machine: Machine, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    write_buildable(machine.wheels, "gamma", "2", setup=f"open({str(canary)!r}, 'a').write('x')")
    machine.image("training")
    assert "packages resolve at apply" in machine("plan").out
    assert not canary.exists()
    machine("lock")
    canary.unlink()
    machine.commit()
    assert "gamma 2" in machine("plan").out
    machine("drift", expect=None)
    assert not canary.exists()
    assert "1 built" in machine("apply").out
    once = canary.read_text()
    assert "Nothing to do" in machine("apply").out
    machine("plan", "--detailed-exitcode")
    assert canary.read_text() == once


def test_a_machine_with_empty_caches_takes_the_wheel_from_the_registry(
    machine: Machine, count: Path, tmp_path: Path
) -> None:
    machine.image("training")
    machine("apply")
    once = built(count)
    assert once
    other = machine_at(tmp_path / "two", machine.registry, machine.wheels)
    other.image("serving")
    other("apply", "serving")
    assert built(count) == once
    layers = [layers_of(machine.registry, name)[-1] for name in ("training", "serving")]
    assert layers[0] == layers[1]


def test_environments_that_need_it_at_once_make_it_once(machine: Machine, count: Path) -> None:
    machine.image("alone")
    machine("apply", "alone")
    once = built(count)
    count.unlink()
    shutil.rmtree(machine.registry)
    shutil.rmtree(machine.root / ".reconciler")
    for name in ("alone", "second", "third"):
        machine.image(name)
    assert "Apply: 3 applied" in machine("apply").out
    assert built(count) == once


def layers_of(registry: Path, name: str) -> list[str]:
    blobs = registry / name / "blobs/sha256"
    tagged = json.loads((registry / name / "index.json").read_bytes())["manifests"]
    named = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in tagged}
    manifest = json.loads((blobs / named["v1-linux-amd64"].partition(":")[2]).read_bytes())
    return [layer["digest"] for layer in manifest["layers"]]


def test_a_registry_with_built_wheels_is_whole_and_lists_environments_alone(machine: Machine, count: Path) -> None:
    del count
    machine.image("training")
    machine("apply")
    assert (machine.registry / "reconciler-wheels").is_dir()
    whole = machine("doctor").out
    assert "reconciler-wheels: 1 wheel, " in whole
    assert "Doctor: no problem" in whole
    assert [item["name"] for item in json.loads(machine("list", "-o", "json").out)["environments"]] == ["training"]


@pytest.mark.threat("F11")
def test_doctor_names_a_wheel_that_is_damaged_and_what_it_says_to_do_mends_it(machine: Machine, count: Path) -> None:
    machine.image("training")
    machine("apply")
    shutil.rmtree(machine.root / ".reconciler")
    (wheel,) = [path for path in (machine.registry / "reconciler-wheels").rglob("*") if is_wheel(path)]
    wheel.chmod(0o644)
    wheel.write_bytes(b"x" * wheel.stat().st_size)
    said = machine("doctor", expect=None).out
    assert f"sha256:{wheel.name}" in said
    assert "builds it again" in said
    once = count.read_text()
    machine.release("small", "1")
    machine.image("serving", more=", small")
    machine("apply", "serving")
    assert len(count.read_text()) > len(once)
    assert "reconciler-wheels: 1 wheel, " in machine("doctor", expect=None).out


def is_wheel(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(b"PK")


@pytest.mark.threat("F16")
def test_a_build_that_fails_stops_no_other_environment(machine: Machine) -> None:
    setup = "import os\nif os.environ.get('SOURCE_DATE_EPOCH'): raise SystemExit('it broke')"
    write_buildable(machine.wheels, "gamma", "2", setup=setup)
    machine.image("training")
    other = MANIFEST.format(name="other", platforms="linux/amd64", more="").replace("[gamma]", "[]")
    (machine.root / "environments/other.yaml").write_text(other)
    machine.commit()
    answer = machine("apply", expect=4)
    assert "gamma-2.tar.gz could not be built" in answer.out + answer.err
    assert "it broke" in answer.out + answer.err
    assert "Apply: 1 applied, 1 failed." in answer.out


@pytest.mark.threat("F1")
def test_an_apply_that_is_killed_at_any_moment_of_building_is_made_good_by_the_next(
    machine: Machine, count: Path
) -> None:
    machine.image("training")
    began = time.monotonic()
    machine("apply")
    whole_s = time.monotonic() - began
    artifact = layers_of(machine.registry, "training")
    del count
    for number in range(KILLS):
        shutil.rmtree(machine.root / ".reconciler")
        shutil.rmtree(machine.registry / "training")
        shutil.rmtree(machine.registry / "reconciler-state")
        if number % 2:
            shutil.rmtree(machine.registry / "reconciler-wheels")
        process = machine.start("apply")
        time.sleep(whole_s * (number + 1) / (KILLS + 1))
        process.kill()
        process.communicate()
        assert "Apply: 1 applied." in machine("apply").out or "Nothing to do" in machine("apply").out
        assert "Doctor: no problem" in machine("doctor").out
        if not number % 2:  # the wheel was there
            assert layers_of(machine.registry, "training") == artifact
        artifact = layers_of(machine.registry, "training")


@pytest.mark.threat("F17")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_build_with_all_that_it_started(
    machine: Machine, tmp_path: Path, number: signal.Signals
) -> None:
    pids = tmp_path / "pids"
    setup = (
        "import os, subprocess, time\n"
        "if os.environ.get('SOURCE_DATE_EPOCH'):\n"
        "    child = subprocess.Popen(['sleep', '600'])\n"
        f"    open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}} end')\n"
        "    time.sleep(600)\n"
    )
    write_buildable(machine.wheels, "gamma", "2", setup=setup)
    machine.image("training")
    process = machine.start("apply")
    until(lambda: pids.exists() and pids.read_text().endswith("end"))
    began = time.monotonic()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert time.monotonic() - began < 10
    until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()[:2]), limit_s=5)
    assert not list((machine.root / ".reconciler").rglob("built-*.json"))


def until(condition: object, *, limit_s: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
