"""The manager's state damaged, lost or left behind: it informs, and nothing depends on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from reconciler.manifest.desired import Desired
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.image import side_entry
from reconciler.plan.drift import DriftReport, drift
from reconciler.plan.observed import Observed
from reconciler.ports import Registry
from reconciler.reconcile.images import push_image
from reconciler.reconcile.ledger import REPOSITORY, begin, read_state, state_tag
from reconciler.reconcile.observe import Depth, observe
from reconciler.reconcile.survey import known_names, witness_of
from reconciler.registries.memory import MemoryRegistry
from reconciler.registries.table import open_registry
from tests.conftest import Required
from tests.repository import Repository
from tests.world import ARM, LINUX, MANAGER, Killed, Mortal, World, wanted

Counter = Callable[[str, int], None]
FIRST, SECOND = "a" * 40, "b" * 40
LOCAL = "local#environments"

# -- damaged ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    required.python("3.11")
    repository = Repository(tmp_path_factory.mktemp("state") / "clone")
    repository.declare("plain")
    repository.commit()
    repository("apply")
    shutil.copytree(repository.root / ".reconciler" / "registry" / REPOSITORY, repository.root.parent / "saved")
    return repository


@pytest.fixture
def repository(applied: Repository, home: None) -> Repository:  # noqa: ARG001  # the environment, set before
    folder = state_folder(applied)
    if folder.is_dir():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)
    shutil.copytree(applied.root.parent / "saved", folder)
    return applied


def state_folder(repository: Repository) -> Path:
    return repository.root / ".reconciler" / "registry" / REPOSITORY


def blob(folder: Path, kind: str) -> Path:
    """Give the state's manifest, its configuration or its content."""
    (entry,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    blobs = folder / "blobs" / "sha256"
    manifest = Path(blobs / entry["digest"].removeprefix("sha256:"))
    if kind == "manifest":
        return manifest
    value = json.loads(manifest.read_bytes())
    found = value["config"] if kind == "config" else value["layers"][0]
    return Path(blobs / str(found["digest"]).removeprefix("sha256:"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.unlink()  # so that the store keeps its own
    path.write_bytes(data)


def replace_content(folder: Path, data: bytes) -> None:
    registry = open_registry(".reconciler/registry", folder.parent.parent.parent)
    push_image(registry, REPOSITORY, side_entry(media.STATE, data), state_tag(LOCAL))


def put_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "content cut": lambda folder: blob(folder, "content").write_bytes(blob(folder, "content").read_bytes()[:20]),
    "content flipped": lambda folder: flip(blob(folder, "content")),
    "content gone": lambda folder: blob(folder, "content").unlink(),
    "content empty": lambda folder: blob(folder, "content").write_bytes(b""),
    "manifest flipped": lambda folder: flip(blob(folder, "manifest")),
    "manifest gone": lambda folder: blob(folder, "manifest").unlink(),
    "another JSON": lambda folder: replace_content(folder, b"[]"),
    "no JSON": lambda folder: replace_content(folder, b"{"),
    "another manager's": lambda folder: replace_content(
        folder, b'{"began":null,"finished":null,"format_version":1,"manager":"x","records":{}}'
    ),
    "index cut": lambda folder: (folder / "index.json").write_bytes((folder / "index.json").read_bytes()[:30]),
    "index gone": lambda folder: (folder / "index.json").unlink(),
    "blobs gone": lambda folder: shutil.rmtree(folder / "blobs"),
    "a file": put_file,
}


@pytest.mark.threat("F12")
@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_state_is_said_in_one_line_stops_nothing_and_is_made_anew(repository: Repository, what: str) -> None:
    registry = open_registry(".reconciler/registry", repository.root)
    before = read_state(registry, LOCAL)
    DAMAGES[what](state_folder(repository))
    for command in ("plan", "drift", "apply"):
        answer = repository(command)
        (line,) = [line for line in answer.err.splitlines() if line.startswith("note: ")]
        assert "state" in line
        assert "apply writes it anew" in line
    assert "Nothing to do" in answer.out
    assert read_state(registry, LOCAL) == before
    for command in ("plan", "drift", "apply", "list"):
        assert "note: " not in repository(command).err


def test_a_lost_state_is_written_again_by_an_apply_that_does_nothing(repository: Repository) -> None:
    registry = open_registry(".reconciler/registry", repository.root)
    before = read_state(registry, LOCAL)
    shutil.rmtree(state_folder(repository))
    repository("drift")
    assert not state_folder(repository).exists()
    assert "Nothing to do" in repository("apply").out
    assert read_state(registry, LOCAL) == before


def test_the_state_of_no_other_name_is_ever_made_anew(repository: Repository) -> None:
    index = repository.root / ".reconciler" / "registry" / "plain" / "index.json"
    whole = index.read_bytes()
    try:
        index.write_bytes(whole[:40])
        for command, code in (("plan", None), ("drift", 3), ("apply", None)):
            answer = repository(command, expect=code)
            assert answer.code
            assert "index.json" in answer.out + answer.err
        assert index.read_bytes() == whole[:40]
    finally:
        index.write_bytes(whole)


# -- how often it is written ------------------------------------------------------------------------------------


class Counting(Mortal):
    """A registry that counts what is written to the state, and elsewhere."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self.states = 0
        self.others = 0

    def push(self, repository: str, content: Content, *, tags: Sequence[str] = ()) -> None:
        if repository == REPOSITORY:
            self.states += 1
        else:
            self.others += 1
        super().push(repository, content, tags=tags)


@pytest.mark.threat("F19")
def test_an_apply_that_changes_nothing_writes_the_state_once_for_each_commit() -> None:
    counting = Counting(MemoryRegistry())
    world, desired = World(counting), [wanted("alpha"), wanted("beta", ["scipy"])]
    world.apply(desired, commit=FIRST)
    assert counting.states == 2  # it began, it finished
    for commit, expected in ((FIRST, 0), (FIRST, 0), (SECOND, 1), (SECOND, 0), (FIRST, 1)):
        counting.states = counting.others = 0
        world.apply(desired, commit=commit)
        assert (counting.states, counting.others) == (expected, 0), commit


# -- left behind by an interrupted apply ------------------------------------------------------------------------

START = [wanted("alpha", platforms=(LINUX, ARM)), wanted("beta", ["scipy"])]
EDITS: dict[str, list[Desired]] = {
    "a new version": [wanted("alpha", ["pandas"], platforms=(LINUX, ARM)), START[1]],
    "metadata": [wanted("alpha", platforms=(LINUX, ARM), description="words"), START[1]],
    "a new environment": [*START, wanted("gamma", ["pandas"])],
    "a removal": [START[0]],
    "all at once": [wanted("alpha", ["pandas"], platforms=(LINUX, ARM)), wanted("gamma", ["scipy"])],
}


def look(registry: Registry, desired: Sequence[Desired]) -> DriftReport:
    world, state = World(registry), read_state(registry, MANAGER)
    names = {*known_names(registry, state.records), *(one.name for one in desired)}
    seen = {name: observe(registry, name, depth=Depth.BLOBS, witness=witness_of(state, name)) for name in sorted(names)}
    return drift(state, Observed(registry="r", environments=seen), world.plan(desired))


@pytest.mark.parametrize("commit", [FIRST, SECOND])
@pytest.mark.parametrize("what", EDITS)
def test_what_an_interrupted_apply_leaves_is_no_drift(what: str, commit: str, count_cases: Counter) -> None:
    for start in ([], START):
        step = 0
        while True:
            registry = MemoryRegistry()
            if start:
                World(registry).apply(start, commit=FIRST)
            mortal = Mortal(registry, dies_at=step, after=True)
            try:
                World(mortal).apply(EDITS[what], commit=commit)
            except Killed:
                report = look(registry, EDITS[what])
                assert report.findings == (), f"write {step}"
                World(registry).apply(EDITS[what], commit=commit)
                assert look(registry, EDITS[what]).findings == ()
                count_cases("F1", 1)
                step += 1
                continue
            break
        assert step > (2 if start else 10)


def test_what_someone_else_moved_is_drift_also_after_an_interrupted_apply() -> None:
    registry = MemoryRegistry()
    world = World(registry)
    world.apply(START, commit=FIRST)
    world.apply(EDITS["a new version"], commit=SECOND)
    begin(registry, MANAGER, SECOND)
    registry.push("alpha", registry.fetch("alpha", "v1"), tags=("current",))
    (finding,) = look(registry, EDITS["a new version"]).findings
    assert (finding.name, finding.path) == ("alpha", "current")
    assert finding.found == registry.resolve("alpha", "v1")
    assert finding.expected == registry.resolve("alpha", "v2")
