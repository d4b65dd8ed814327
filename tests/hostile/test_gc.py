"""`gc` among other processes, killed halfway, on disks that refuse, and with things in its way that are not ours."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.errors import ConflictError, StoreError
from reconciler.plan.garbage import Kind
from reconciler.plan.observed import Present
from reconciler.reconcile.observe import Depth, observe
from reconciler.store.durable import TEMPORARY
from reconciler.store.hosts import MARK
from reconciler.store.usage import use
from reconciler.values.digest import Digest
from tests.base_case import write_base
from tests.conftest import Required
from tests.repository import Repository
from tests.stale_case import KEYS, Stale
from tests.world import World, wanted

Counter = Callable[[str, int], None]
FULL = os.environ.get("RECONCILER_CASES") == "full"
ROUNDS = 100 if FULL else 20
COMMANDS = 20 if FULL else 4
GC = ("gc", "--delete", "--keep-size", "0", "--older-than", "0")
DEAD = 9
CHANGES = frozenset(["os.remove", "os.rmdir", "os.rename"])
"""What the interpreter says of before it is done."""


@pytest.fixture
def stale(tmp_path: Path) -> Stale:
    found = Stale(tmp_path / ".reconciler")
    found.fill()
    return found


def check_live(stale: Stale) -> None:
    """Check that everything a live record needs is there and whole."""
    observation = observe(stale.registry, "alpha", depth=Depth.BLOBS)
    assert isinstance(observation, Present)
    assert not observation.missing
    assert not observation.tampered
    assert not observation.recovered
    assert stale.registry.fetch("alpha", "v1")
    assert stale.hosts.find("alpha", stale.needed)
    assert (stale.hosts.place("alpha", stale.needed) / "lib" / "module.py").read_text() == "x = 1\n"


def check_whole(stale: Stale) -> None:
    """Check that what can be found is whole, whatever is gone."""
    check_live(stale)
    for key in KEYS:
        layer = stale.layers.find(key)
        assert layer is None or b"".join(layer.read())
    for place in (stale.path / "hosts" / "alpha").glob("[0-9a-f]*"):
        assert (place / "lib" / "module.py").exists()


# -- what goes --------------------------------------------------------------------------------------------------


def test_without_delete_nothing_is_written(stale: Stale) -> None:
    before = {path: path.lstat() for path in stale.path.rglob("*")}
    assert stale.collect(delete=False).selection.taken
    after = {path: path.lstat() for path in stale.path.rglob("*")}
    assert before.keys() == after.keys()
    assert all(after[path].st_mtime == found.st_mtime for path, found in before.items() if path.name != MARK)


def test_what_is_listed_is_what_goes_and_nothing_else_is_left(stale: Stale) -> None:
    listed = stale.collect(delete=False).selection
    done = stale.collect()
    assert [entry.place for entry in done.selection.taken] == [entry.place for entry in listed.taken]
    assert (done.failures, done.foreign, done.notes) == ({}, (), ())
    kinds = {entry.kind for entry in done.selection.taken}
    assert kinds == set(Kind)
    check_live(stale)
    assert stale.collect().selection.taken == ()
    left = {path.split("/")[0] for path in stale.files()}
    assert left == {"hosts", "registry", "store"}
    assert not list(stale.path.rglob(f"{TEMPORARY}*"))


def test_what_was_freed_is_what_the_disk_holds_less(stale: Stale) -> None:
    def held() -> int:
        files = {(found.st_dev, found.st_ino): found for found in map(Path.lstat, stale.path.rglob("*"))}
        return sum(found.st_size for found in files.values() if not stat.S_ISDIR(found.st_mode))

    before = held()
    described = sum(path.stat().st_size for path in (stale.path / "layers").glob("*.json"))
    assert before - held() == 0
    freed = stale.collect().selection.freed
    assert before - held() == freed + described


def test_a_layer_that_the_store_has_too_is_one_file_and_goes_under_all_of_its_names(stale: Stale) -> None:
    layer = stale.path / "layers" / f"{KEYS[0].hex}.tar.gz"
    shared = stale.path / "store" / "sha256" / Digest.of(layer.read_bytes()).hex
    os.link(layer, shared)
    frees = dict(zip(*taken(stale), strict=True))
    assert (frees[str(layer)], frees[str(shared)]) in {(0, layer.stat().st_size), (layer.stat().st_size, 0)}
    stale.collect()
    assert not layer.exists()
    assert not shared.exists()


def test_a_layer_whose_bytes_a_record_names_costs_nothing_and_stays(stale: Stale) -> None:
    layer = stale.path / "layers" / f"{KEYS[0].hex}.tar.gz"
    reached = stale.registry.fetch("alpha", "current").digest
    layer.unlink()
    os.link(stale.path / "registry/alpha/blobs/sha256" / reached.hex, layer)
    stale.collect()
    assert layer.exists()
    assert not (stale.path / "layers" / f"{KEYS[1].hex}.tar.gz").exists()
    check_live(stale)


def taken(stale: Stale) -> tuple[list[str], tuple[int, ...]]:
    selection = stale.collect(delete=False).selection
    return [entry.place for entry in selection.taken], selection.frees


def test_a_version_of_long_ago_is_reached_as_the_current_one_is(stale: Stale) -> None:
    before = stale.registry.tags("alpha")
    stale.collect()
    assert stale.registry.tags("alpha") == before
    World(stale.registry).apply([wanted("alpha", ["numpy"])])
    check_reverted = observe(stale.registry, "alpha", depth=Depth.BLOBS)
    assert isinstance(check_reverted, Present)
    assert not check_reverted.missing


def test_an_image_that_another_tool_left_without_a_tag_is_reached(stale: Stale) -> None:
    import json  # noqa: PLC0415  # only here

    index = stale.path / "registry" / "alpha" / "index.json"
    value = json.loads(index.read_bytes())
    digest = value["manifests"][0]["digest"]
    value["manifests"] = [{**one, "annotations": {}} for one in value["manifests"]]
    index.write_text(json.dumps(value))
    stale.collect()
    assert stale.registry.resolve("alpha", Digest.parse(digest))


@pytest.mark.threat("F11")
@pytest.mark.parametrize("damage", [b"", b"{}", b"{", b"null"])
def test_of_a_repository_that_can_t_be_read_nothing_goes(stale: Stale, damage: bytes) -> None:
    lost = stale.push_unnamed(b"who knows")
    stale.age()
    before = {path: data for path, data in stale.files().items() if path.startswith("registry/alpha/blobs")}
    manifest = stale.registry.fetch("alpha", "v1").digest
    for path in (stale.path / "registry/alpha/blobs/sha256" / manifest.hex, stale.path / "registry/alpha/index.json"):
        kept = path.read_bytes()
        path.unlink()
        path.write_bytes(damage)
        done = stale.collect()
        assert any("nothing of alpha goes" in note for note in done.notes)
        path.write_bytes(kept)
    assert {path: data for path, data in stale.files().items() if path.startswith("registry/alpha/blobs")} == before
    assert (stale.path / "store/sha256" / lost.hex).exists()
    assert stale.hosts.find("alpha", stale.needed)


# -- others at work ---------------------------------------------------------------------------------------------


@pytest.mark.threat("F3")
def test_nothing_goes_while_a_process_uses_the_folder(stale: Stale) -> None:
    class Owner:
        pass

    owner = Owner()
    use(stale.path, owner)
    stale.wait_s = 0.2
    with pytest.raises(ConflictError, match="held the lock"):
        stale.collect()
    assert stale.collect(delete=False).selection.taken
    assert stale.layers.find(KEYS[0])
    del owner
    stale.age()
    assert stale.collect().selection.taken


@pytest.mark.threat("F3")
def test_nothing_goes_while_a_process_writes_to_the_registry(stale: Stale) -> None:
    stale.wait_s = 0.2
    with stale.registry.writing("another"), pytest.raises(ConflictError, match="held the lock"):
        stale.collect()


@pytest.mark.threat("F3")
def test_an_environment_that_something_runs_in_stays(stale: Stale) -> None:
    old = next(
        place
        for place in (stale.path / "hosts/alpha").glob("[0-9a-f]*")
        if place != stale.hosts.place("alpha", stale.needed)
    )
    program = f"""
import os
from pathlib import Path
from reconciler.store.hosts import Hosts
Hosts.inherit(Path({str(old)!r}))
os.execv("/bin/sh", ["sh", "-c", "echo ready; read line"])
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        stale.collect()
        assert (old / "lib" / "module.py").exists()
        process.communicate("\n")
    stale.collect()
    assert not old.exists()


@pytest.mark.threat("F3")
@pytest.mark.filterwarnings("ignore:This process")
def test_makers_and_collectors_that_race_lose_nothing(tmp_path: Path, count_cases: Counter) -> None:
    """Each round two processes apply, make and use what two others delete as soon as they may."""
    for number in range(ROUNDS):
        stale = Stale(tmp_path / str(number))
        stale.fill()
        children = [fork(work, stale, 1), fork(work, stale, 2), fork(sweep_up, stale), fork(sweep_up, stale)]
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
        check_whole(stale)
        for writer in (1, 2):
            found = observe(stale.registry, f"env-{writer}", depth=Depth.BLOBS)
            assert isinstance(found, Present)
            assert not found.missing
        shutil.rmtree(stale.path)
        count_cases("F3", 1)


def fork(task: Callable[..., None], *arguments: object) -> int:
    child = os.fork()
    if child:
        return child
    try:
        task(*arguments)
    except BaseException as error:  # noqa: BLE001  # the parent's tests must not run on in the child
        sys.stderr.write(f"{error!r}\n")
        os._exit(1)
    os._exit(0)


def work(stale: Stale, writer: int) -> None:
    """Do what an apply does: hold the folder, make and use layers; then push and tag, as from elsewhere."""

    class Owner:
        pass

    for turn in range(3):
        owner = Owner()
        use(stale.path, owner)
        for key in KEYS:
            layer = stale.layers.make(key, lambda: iter([b"layer " * 1000]))
            stale.age()
            assert b"".join(layer.read())
        del owner
        stale.push_unnamed(b"an upload that nothing names")
        stale.age()
        world, name = World(stale.registry), f"env-{writer}"
        desired = [wanted(name, ["numpy", f"package{turn}"])]
        world.apply(desired, world.policy(whole=False, names=frozenset([name])))
        stale.age()


def sweep_up(stale: Stale) -> None:
    stale.wait_s = 60.0
    for _ in range(4):
        assert stale.collect().failures == {}


# -- killed -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:This process")
def test_killed_before_any_deletion_all_is_whole_and_the_next_does_the_rest(
    tmp_path: Path, count_cases: Counter
) -> None:
    start = Stale(tmp_path / "start")
    start.fill()
    start.world.registry.tags("alpha")
    expected = copied(start, tmp_path / "expected")
    expected.collect()
    wanted_files = expected.files()
    step = 0
    while True:
        stale = copied(start, tmp_path / "dying")
        if os.waitstatus_to_exitcode(os.waitpid(dying(stale, step), 0)[1]) == 0:
            break
        check_whole(stale)
        stale.age()
        stale.collect()
        check_live(stale)
        assert stale.files() == wanted_files, f"killed before change {step}"
        shutil.rmtree(stale.path)
        count_cases("F1", 1)
        step += 1
    assert step > 30


def copied(stale: Stale, path: Path) -> Stale:
    subprocess.run(["cp", "-a", str(stale.path), str(path)], check=True)
    return Stale(path)


def dying(stale: Stale, step: int) -> int:
    child = os.fork()
    if child:
        return child
    left = step

    def die(event: str, _arguments: object) -> None:
        nonlocal left
        if event in CHANGES:
            left -= 1
            if left < 0:
                os._exit(DEAD)

    sys.addaudithook(die)
    stale.collect()
    os._exit(0)


# -- disks and strangers ----------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path, required: Required) -> Iterator[Path]:
    if os.geteuid():
        required.refuse("mounting a disk needs root")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.mark.threat("F15")
def test_a_read_only_disk_is_listed_and_refuses_in_one_line(disk: Path) -> None:
    stale = Stale(disk / ".reconciler")
    stale.fill()
    stale.collect(keep=1 << 30, older_than_s=1e9)  # its lock is there
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    before = stale.files()
    assert stale.collect(delete=False).selection.taken
    with pytest.raises(StoreError, match="Read-only") as refused:
        stale.collect()
    assert "\n" not in str(refused.value)
    assert stale.files() == before
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert stale.collect().selection.taken


@pytest.mark.threat("F15")
def test_what_can_t_be_removed_stops_nothing_else(stale: Stale, required: Required) -> None:
    if os.geteuid():
        required.refuse("a file that can't be removed needs root")
    fast = stale.path / "wheels" / f"{Digest.of(str(KEYS[0]).encode()).hex}.whl"
    done = subprocess.run(["chattr", "+i", str(fast)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this file system knows no such files")
    try:
        collected = stale.collect()
        assert list(collected.failures) == [str(fast)]
        assert len(collected.selection.taken) > 10
        check_live(stale)
        assert stale.collect().failures
    finally:
        subprocess.run(["chattr", "-i", str(fast)], check=True)
    assert stale.collect().failures == {}
    assert not fast.exists()


@pytest.mark.threat("T2")
def test_links_and_files_of_others_are_named_and_left_alone(stale: Stale, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "bin").mkdir(parents=True)
    (outside / MARK).write_text("{}")
    (outside / "precious").write_text("mine")
    hex_ = Digest.of(b"planted").hex
    planted = [
        f"wheels/{hex_}.whl",
        f"debs/{hex_}.deb",
        f"pythons/{hex_}.tar.gz",
        f"layers/{hex_}.tar.gz",
        f"interpreters/{hex_}",
        f"hosts/alpha/{hex_}",
        "hosts/beta",
        "cache",
        f"registry/alpha/blobs/sha256/{hex_}",
        f"store/sha256/{hex_}",
        "registry/linked",
        "registry/.old-alpha",
        "hosts/alpha/.making-link",
        "wheels/.tmp-link",
    ]
    for place in planted:
        (stale.path / place).symlink_to(outside)
    files = [
        "wheels/notes.txt",
        "debs/notes.deb",
        "pythons/README",
        "layers/README",
        "hosts/notes",
        "registry/alpha/notes",
        "store/sha256/x",
        f"hosts/alpha/{'0' * 64}",
    ]
    for place in files:
        (stale.path / place).write_text("mine")
    stale.age()
    done = stale.collect()
    told = {str(Path(path).relative_to(stale.path)) for path in done.foreign}
    assert told == {*planted, *files} - {"cache"}
    assert all((stale.path / place).is_symlink() for place in planted)
    assert all((stale.path / place).read_text() == "mine" for place in files)
    assert (outside / "precious").read_text() == "mine"
    assert (outside / MARK).exists()


def test_a_folder_that_is_a_link_is_not_looked_into(stale: Stale, tmp_path: Path) -> None:
    for name in ("wheels", "debs", "pythons", "layers", "hosts", "interpreters"):
        (stale.path / name).rename(tmp_path / name)
        (stale.path / name).symlink_to(tmp_path / name)
    stale.collect()
    assert len(list((tmp_path / "wheels").glob("*.whl"))) == len(KEYS)
    assert len(list((tmp_path / "layers").glob("*.json"))) == len(KEYS)


def test_a_file_that_somebody_writes_is_no_leftover(stale: Stale) -> None:
    path = stale.path / "wheels" / f"{TEMPORARY}live"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        stale.age()
        stale.collect()
        assert path.exists()
    stale.collect()
    assert not path.exists()


@pytest.mark.threat("F7")
@pytest.mark.parametrize("hours", [-1.0, -1e4, -1e6])
def test_what_comes_from_the_future_is_in_use(stale: Stale, hours: float) -> None:
    stale.age(hours)
    before = stale.files()
    assert stale.collect().selection.taken == ()
    assert stale.files() == before


@pytest.mark.threat("F7")
def test_a_clock_that_is_years_ahead_costs_caches_and_nothing_else(stale: Stale) -> None:
    stale.age(24 * 365 * 50)
    stale.collect(keep=1 << 40, older_than_s=30 * 86_400.0)
    check_live(stale)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert Stale(tmp_path / "none").collect().selection.taken == ()
    assert not (tmp_path / "none").exists()


@pytest.fixture
def repository(tmp_path: Path, required: Required) -> Repository:
    """A clone that declares an environment on this machine and an image."""
    required.python("3.11")
    found = Repository(tmp_path / "clone")
    for name in ("alpha", "beta", "pip"):
        found.release(name, "1.0")
    write_base(found.root / "bases" / "small")
    declare(found, "alpha")
    found.commit()
    return found


def declare(repository: Repository, package: str) -> None:
    repository.declare("env", package)
    (repository.root / "environments" / "image.yaml").write_text(
        f"name: image\npython: {{version: '3.11', pip: [{package}], bytecode: false}}\n"
        "docker: {base_image: 'oci:bases/small'}\n"
    )


@pytest.mark.threat("F1")
def test_a_command_that_deletes_dies_and_the_next_apply_goes_on(repository: Repository) -> None:
    repository("apply")
    Stale(repository.root / ".reconciler").age()
    for _ in range(3):
        process = repository.start("gc", "--delete", "--keep-size", "0")
        time.sleep(0.15)
        process.kill()
        process.communicate()
        repository("apply")
        assert "2 environments unchanged" in repository("apply").out
        repository("run", "env", "--", "python", "-c", "import alpha")


def test_commands_that_apply_and_delete_at_once_disturb_nobody(repository: Repository, count_cases: Counter) -> None:
    stale, stop = Stale(repository.root / ".reconciler"), threading.Event()

    def age() -> None:
        while not stop.wait(0.05):
            stale.age()

    ageing = threading.Thread(target=age)
    ageing.start()
    try:
        for number in range(COMMANDS):
            package = ("alpha", "beta")[number % 2]
            declare(repository, package)
            words = [("apply", "--refresh", "image"), GC, ("apply",), GC]
            racing = [repository.start(*one) for one in words]
            answers = [process.communicate(timeout=120) for process in racing]
            assert [process.returncode for process in racing] == [0] * len(words), answers
            assert "2 environments unchanged" in repository("apply").out
            repository("run", "env", "--", "python", "-c", f"import {package}")
            count_cases("F3", 1)
    finally:
        stop.set()
        ageing.join()
    assert "No drift." in repository("drift", "--deep").out
    assert "no problem" in repository("doctor").out
