"""Processes that die, race and are interrupted: what must hold in the registry on disk afterwards.

In full (500 random deaths, 50 rounds of eight writers): ``RECONCILER_CASES=full pytest tests/hostile/test_deaths.py``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from reconciler.manifest.desired import Desired
from reconciler.plan.observed import Present
from reconciler.ports import Registry
from reconciler.reconcile.observe import Depth, observe
from reconciler.registries.table import open_registry
from tests.conftest import Required
from tests.repository import Repository
from tests.world import ARM, LINUX, Mortal, World, wanted

Counter = Callable[[str, int], None]
FULL = os.environ.get("RECONCILER_CASES") == "full"
DEATHS = 500 if FULL else 12
RACES = {2: 67, 4: 67, 8: 66} if FULL else {2: 2, 4: 2, 8: 2}
ROUNDS = 50 if FULL else 2
DEAD = 9


class Dying(Mortal):
    """A registry whose process ends at the n-th write, without a word."""

    def _write(self, write: Callable[[], None]) -> None:
        number = self.writes
        self.writes += 1
        if number == self.dies_at and not self.after:
            os._exit(DEAD)
        write()
        if number == self.dies_at:
            os._exit(DEAD)


def whole(registry: Registry, names: Sequence[str]) -> dict[str, str]:
    """Check that what ``current`` names is all there; give the records' digests."""
    found = {}
    for name in names:
        observation = observe(registry, name, depth=Depth.BLOBS)
        if isinstance(observation, Present):
            assert not observation.missing
            assert not observation.tampered
            found[name] = str(observation.digest)
    return found


def die(folder: Path, desired: Sequence[Desired], step: int, *, after: bool) -> None:
    child = os.fork()
    if not child:
        World(Dying(open_registry(".reconciler/registry", folder), dies_at=step, after=after)).apply(desired)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == DEAD


@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.parametrize("after", [False, True])
def test_death_at_every_write_leaves_what_one_more_apply_completes(
    tmp_path: Path, count_cases: Counter, *, after: bool
) -> None:
    desired = [wanted("alpha", ["numpy"], platforms=(LINUX, ARM)), wanted("beta", ["pandas"])]
    edited = [wanted("alpha", ["numpy", "scipy"], platforms=(LINUX, ARM)), wanted("beta", ["pandas"])]
    start, reference = tmp_path / "start", tmp_path / "reference"
    World(open_registry(".reconciler/registry", start)).apply(desired)
    shutil.copytree(start, reference)
    counting = Mortal(open_registry(".reconciler/registry", reference))
    World(counting).apply(edited)
    expected = whole(counting, ["alpha", "beta"])
    assert counting.writes > 10
    for step in range(counting.writes):
        folder = tmp_path / "dying"
        shutil.copytree(start, folder)
        die(folder, edited, step, after=after)
        registry = open_registry(".reconciler/registry", folder)
        assert len(whole(registry, ["alpha", "beta"])) == 2
        World(registry).apply(edited)
        assert whole(registry, ["alpha", "beta"]) == expected, f"death at write {step}"
        shutil.rmtree(folder)
        count_cases("F1", 1)


@pytest.fixture
def repository(tmp_path: Path, required: Required) -> Repository:
    required.python("3.11")
    found = Repository(tmp_path / "clone")
    for name in ("alpha", "beta", "gamma"):
        found.release(name, "1.0")
        found.declare(f"env-{name}", name)
    found.commit()
    return found


NAMES = ("env-alpha", "env-beta", "env-gamma")


def registry_of(repository: Repository) -> Registry:
    return open_registry(".reconciler/registry", repository.root)


def test_killed_at_any_time_one_more_apply_converges(repository: Repository, count_cases: Counter) -> None:
    began = time.monotonic()
    repository("apply")
    took = time.monotonic() - began
    expected = whole(registry_of(repository), NAMES)
    assert set(expected) == set(NAMES)
    moments = random.Random(20261122)  # noqa: S311  # any spread will do, and the same every time
    for _ in range(DEATHS):
        shutil.rmtree(repository.root / ".reconciler")
        process = repository.start("apply")
        time.sleep(moments.uniform(0.1, took))
        process.kill()
        process.communicate()
        whole(registry_of(repository), NAMES)
        repository("apply")
        assert whole(registry_of(repository), NAMES) == expected
        leftovers = [path.name for path in (repository.root / ".reconciler").rglob("*") if path.name.startswith(".tmp")]
        assert leftovers == []
        repository("run", "env-alpha", "--", "python", "-c", "import alpha")
        count_cases("F1", 1)


@pytest.mark.parametrize("processes", sorted(RACES))
def test_several_appliers_build_once_and_lose_nothing(
    repository: Repository, count_cases: Counter, processes: int
) -> None:
    for _ in range(RACES[processes]):
        shutil.rmtree(repository.root / ".reconciler", ignore_errors=True)
        racing = [repository.start("apply", "-o", "json") for _ in range(processes)]
        answers = [(process, *process.communicate(timeout=120)) for process in racing]
        assert [process.returncode for process, _, _ in answers] == [0] * processes, answers
        built = sum(item["built"] for _, out, _ in answers for item in json.loads(out)["environments"])
        assert built == len(NAMES)
        assert set(whole(registry_of(repository), NAMES)) == set(NAMES)
        for name in NAMES:
            assert repository("get", name, "--format", "{version}").out == "1\n"
        count_cases("F3", 1)


def test_appliers_of_different_environments_share_a_registry(
    tmp_path: Path, required: Required, count_cases: Counter
) -> None:
    required.python("3.11")
    shared = tmp_path / "shared"
    for number in range(ROUNDS):
        clones = [clone_with(tmp_path / f"round{number}", index) for index in range(8)]
        racing = [clone.start("apply", "--registry", str(shared / str(number))) for clone in clones]
        answers = [process.communicate(timeout=240) for process in racing]
        assert [process.returncode for process in racing] == [0] * 8, answers
        listed = json.loads(clones[0]("list", "--registry", str(shared / str(number)), "-o", "json").out)
        assert len(listed["environments"]) == 8 * 25
        count_cases("F4", 8 * 25)


def clone_with(folder: Path, index: int) -> Repository:
    """Make a clone that declares 25 environments that need no package, under a manager of its own."""
    clone = Repository(folder / f"clone{index}", wheels=folder.parent / "wheels", cache=folder.parent / "cache")
    (clone.root / "reconciler.yaml").write_text(f"manager: team-{index}\n")
    (clone.root / "environments").mkdir()
    for number in range(25):
        name = f"env-{index}-{number}"
        (clone.root / "environments" / f"{name}.yaml").write_text(
            f"name: {name}\npython: {{user_managed_dependencies: true, interpreter_path: python3}}\n"
            f"docker: {{enabled: false}}\nenvironment_variables: {{WHO: '{name}'}}\n"
        )
    return clone


def sleeping(repository: Repository) -> subprocess.Popen[str]:
    """Start an apply that hangs in an environment's check, and wait until it does."""
    mark = repository.root / "asleep"
    code = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(600)"
    repository.declare("slow", "alpha", extra=f"checks: {{command: [python, -c, {json.dumps(code)}]}}\n")
    process = repository.start("apply", "slow")
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.threat("F17")
def test_an_interrupt_stops_soon_and_leaves_no_orphan(repository: Repository, number: signal.Signals) -> None:
    process = sleeping(repository)
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 10
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not orphans(repository.root)
    assert not list((repository.root / ".reconciler" / "hosts").glob("slow/[0-9a-f]*"))
    repository.declare("slow", "alpha")
    repository("apply", "slow")


@pytest.mark.threat("F17")
@pytest.mark.threat("F5")
def test_a_killed_applier_leaves_no_lock_behind(repository: Repository) -> None:
    process = sleeping(repository)
    process.kill()
    process.communicate()
    for orphan in orphans(repository.root):
        os.kill(orphan, signal.SIGKILL)
    repository.declare("slow", "alpha")
    repository("apply", "slow")


def orphans(root: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(root).encode() in words:
                found.append(int(entry.name))
    return found


@pytest.mark.threat("F15")
def test_a_full_disk_is_one_line_and_a_rerun_with_space_converges(repository: Repository, required: Required) -> None:
    folder = repository.root / ".reconciler"
    folder.mkdir()
    if os.geteuid():
        required.refuse("a small file system needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)], check=True)
    try:
        answer = repository("apply", expect=None)
        assert answer.code in {1, 4}, answer
        assert "space" in answer.err + answer.out
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        repository("apply")
        assert set(whole(registry_of(repository), NAMES)) == set(NAMES)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_an_index_that_can_t_be_reached_is_one_line_that_names_no_host(repository: Repository) -> None:
    class Offline(Repository):
        @property
        def environ(self) -> dict[str, str]:
            rest = {key: value for key, value in super().environ.items() if not key.startswith("PIP_")}
            return {**rest, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}

    answer = Offline(repository.root, cache=repository.root.parent / "other")("apply", expect=69)
    assert "127.0.0.1" not in answer.out + answer.err
    assert not (repository.root / ".reconciler" / "registry" / "env-alpha").exists()
