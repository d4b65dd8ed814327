"""What doctor says of a folder on a real repository, and that doing what it says mends what it found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Required
from tests.repository import Repository

Json = dict[str, Any]
ROUNDS = 3
"""How often doctor is asked: what is mended may uncover what it hid, as a damaged copy in the store."""


@dataclass(frozen=True)
class Site:
    """A clone with two environments; ``second`` has two versions and a change of metadata."""

    repository: Repository

    @property
    def folder(self) -> Path:
        return self.repository.root / ".reconciler" / "registry"

    def reset(self) -> None:
        target = self.repository.root / ".reconciler"
        for name in ("registry", "store"):
            shutil.rmtree(target / name)
        subprocess.run(["cp", "-a", self.saved / "registry", self.saved / "store", target], check=True)

    @property
    def saved(self) -> Path:
        return self.repository.root.parent / "saved"

    def doctor(self, *arguments: str, expect: int | None) -> list[Json]:
        """Run doctor, and hold it to writing nothing; give the problems."""
        before = snapshot(self.folder)
        answer = json.loads(self.repository("doctor", *arguments, "-o", "json", expect=expect).out)
        assert snapshot(self.folder) == before
        problems = [one for group in answer["groups"] for one in group["remarks"] if one["mark"] == "problem"]
        assert len(problems) == answer["problems"]
        return problems

    def index(self, name: str) -> Path:
        return self.folder / name / "index.json"

    def tags(self, name: str) -> dict[str, str]:
        entries = json.loads(self.index(name).read_bytes())["manifests"]
        return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in entries}

    def blob(self, name: str, digest: str) -> Path:
        return self.folder / name / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def layer(self, name: str, tag: str) -> Path:
        """Find the first layer of what a tag names."""
        manifest = json.loads(self.blob(name, self.tags(name)[tag]).read_bytes())
        return self.blob(name, manifest["layers"][0]["digest"])

    def untag(self, name: str, *tags: str) -> None:
        path = self.index(name)
        index = json.loads(path.read_bytes())
        index["manifests"] = [
            entry
            for entry in index["manifests"]
            if entry["annotations"]["org.opencontainers.image.ref.name"] not in tags
        ]
        path.write_text(json.dumps(index))

    def change(self, name: str, tag: str, **fields: object) -> None:
        path = self.index(name)
        index = json.loads(path.read_bytes())
        for entry in index["manifests"]:
            if entry["annotations"]["org.opencontainers.image.ref.name"] == tag:
                entry.update(fields)
        path.write_text(json.dumps(index))

    def follow(self, hint: str) -> None:
        """Do what a hint says, literally: its commands, and what it says to remove, restore or move away."""
        for path in re.findall(r"remove (\S+), then", hint):
            target = self.repository.root / path
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
        for tag, path in re.findall(r"remove the entry of (\S+) from (\S+/index\.json)", hint):
            self.untag(Path(path).parent.name, tag)
        for path in re.findall(r"remove (\S+); nothing needs it", hint):
            (self.repository.root / path).unlink()
        if "move it away" in hint:
            (folder,) = re.findall(r"restore (\S+) from a copy", hint)
            shutil.rmtree(self.repository.root.parent / "away", ignore_errors=True)
            shutil.move(folder, self.repository.root.parent / "away")
            self.repository("apply")
            return
        if not (commands := re.findall(r"`([^`]+)`", hint)):
            for path in re.findall(r"restore (\S+) from a copy", hint):
                relative = (self.repository.root / path).relative_to(self.folder)
                (self.repository.root / path).unlink(missing_ok=True)
                shutil.copy(self.saved / "registry" / relative, self.repository.root / path)
        for command in commands:
            program, *arguments = command.split()
            if program == "reconciler":
                self.repository(*arguments)
            else:
                subprocess.run([program, *arguments], cwd=self.repository.root, check=True)


def snapshot(folder: Path) -> dict[str, object]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in sorted(folder.rglob("*"))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Site:
    required.python("3.11")
    root = tmp_path_factory.mktemp("doctor")
    repository = Repository(root / "clone")
    for package in ("alpha", "beta"):
        repository.release(package, "1.0")
    repository.declare("first", "alpha")
    repository.declare("second", "beta")
    repository.commit()
    repository("apply")
    repository.declare("second", "beta", "alpha")
    repository.commit()
    repository("apply")
    repository.declare("second", "beta", "alpha", extra="description: words\n")
    repository.commit()
    repository("apply")
    site = Site(repository)
    site.saved.mkdir()
    subprocess.run(["cp", "-a", "registry", "store", site.saved], cwd=repository.root / ".reconciler", check=True)
    return site


@pytest.fixture
def site(made: Site, home: None) -> Site:  # noqa: ARG001  # the environment of the test is set before it runs
    made.reset()
    return made


def test_a_registry_that_is_in_order_has_no_problem(site: Site) -> None:
    assert site.doctor(expect=0) == []
    assert site.doctor("first", expect=0) == []
    text = site.repository("doctor").out
    assert "registry  " not in text
    assert "2 whole of 2" in text


def test_the_text_says_what_the_document_says(site: Site) -> None:
    flip(site.layer("first", "v1-lock"))
    site.untag("second", "v1-lock", "current")
    problems = site.doctor(expect=1)
    text = site.repository("doctor", expect=1).out
    for problem in problems:
        said = f"    !!   {problem['subject']}  {problem['part']}: {problem['text']}\n         → {problem['hint']}\n"
        assert said in text
    assert text.splitlines()[-1] == f"Doctor: {len(problems)} problems, 2 notes."


def test_a_registry_that_is_not_there_yet_is_in_order(site: Site) -> None:
    assert site.doctor("--registry", "./nowhere", expect=0) == []
    assert not (site.repository.root / "nowhere").exists()


def test_outside_a_clone_the_contents_are_read_too(site: Site, tmp_path: Path) -> None:
    elsewhere = Repository(tmp_path / "elsewhere")
    shutil.rmtree(elsewhere.root / ".git")
    site.layer("first", "v1-lock").write_bytes(b"x")
    answer = elsewhere("doctor", "--registry", str(site.folder), "first", expect=1)
    assert "`reconciler apply first`" in answer.out
    assert "v1: lock, layer" in answer.out


def test_a_name_that_is_not_registered_is_a_wrong_command_line(site: Site) -> None:
    answer = site.repository("doctor", "frist", expect=64)
    assert "did you mean `first`?" in answer.err
    assert answer.out == ""


def test_what_is_no_registry_is_one_problem(site: Site) -> None:
    (site.repository.root / "file").write_text("")
    (problem,) = site.doctor("--registry", "./file", expect=1)
    assert "is no folder" in problem["text"]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def instead(path: Path, kind: str) -> None:
    aside = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        other = path.parents[4] / "elsewhere"
        other.write_bytes(aside)
        path.symlink_to(other)


def double(path: Path) -> None:
    index = json.loads(path.read_bytes())
    index["manifests"].append(index["manifests"][0])
    path.write_text(json.dumps(index))


def foreign(path: Path) -> None:
    (path / ("0" * 64)).write_bytes(b"x")


DAMAGE: dict[str, tuple[Callable[[Site], object], str, str]] = {
    "a bit of a lock": (lambda s: flip(s.layer("first", "v1-lock")), "first", "v1: lock, layer"),
    "a bit of a request": (lambda s: flip(s.layer("second", "v2-request")), "second", "v2: request, layer"),
    "a bit of an artifact": (lambda s: flip(s.layer("first", "v1-linux-amd64")), "first", "v1: linux/amd64, layer"),
    "an artifact that is gone": (
        lambda s: s.blob("first", s.tags("first")["v1-linux-amd64"]).unlink(),
        "first",
        "v1: linux/amd64",
    ),
    "a lock that is a folder": (lambda s: instead(s.layer("first", "v1-lock"), "folder"), "first", "v1: lock, layer"),
    "a lock that is a link": (lambda s: instead(s.layer("first", "v1-lock"), "link"), "first", "v1: lock, layer"),
    "no current": (lambda s: s.untag("second", "current"), "second", "current"),
    "a current that went back": (
        lambda s: s.change("second", "current", digest=s.tags("second")["v1"]),
        "second",
        "current",
    ),
    "a version that is moved": (lambda s: s.change("second", "v1", digest=s.tags("second")["v2"]), "second", "v1"),
    "a version that is gone": (lambda s: s.untag("second", "v1"), "second", "v1"),
    "the newest version's tag": (lambda s: s.untag("second", "v2"), "second", "v2"),
    "a record": (lambda s: flip(s.blob("first", s.tags("first")["current"])), "first", "current, v1: record"),
    "the record that current alone names": (
        lambda s: s.blob("second", s.tags("second")["current"]).unlink(),
        "second",
        "current: record",
    ),
    "an older record": (lambda s: flip(s.blob("second", s.tags("second")["v1"])), "second", "v1: record"),
    "an older lock that the store has": (lambda s: s.layer("second", "v1-lock").unlink(), "second", "v1: lock, layer"),
    "an older lock": (lambda s: flip(s.layer("second", "v1-lock")), "second", "v1: lock, layer"),
    "an older version's tag of its lock": (lambda s: s.untag("second", "v1-lock"), "second", "v1-lock"),
    "a tag of a lock": (lambda s: s.untag("second", "v2-lock"), "second", "v2-lock"),
    "a tag with a wrong size": (lambda s: s.change("second", "v2-lock", size=7), "second", "v2-lock"),
    "an index that is cut": (lambda s: s.index("first").write_text("{"), "first", ""),
    "a tag that stands twice": (lambda s: double(s.index("first")), "first", ""),
    "no folder": (lambda s: shutil.rmtree(s.folder / "first"), "first", "current"),
    "a file that nothing names": (
        lambda s: foreign(s.folder / "first" / "blobs" / "sha256"),
        "first",
        f".reconciler/registry/first/blobs/sha256/{'0' * 64}",
    ),
    "a state": (
        lambda s: flip(s.layer("reconciler-state", next(iter(s.tags("reconciler-state"))))),
        "reconciler-state",
        "m-",
    ),
    "a state's index": (lambda s: s.index("reconciler-state").write_text("{"), "reconciler-state", ""),
}


@pytest.mark.threat("F11")
@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_named_and_doing_what_is_said_mends_it(site: Site, what: str) -> None:
    damage, name, part = DAMAGE[what]
    damage(site)
    problems = site.doctor(expect=1)
    assert {problem["subject"] for problem in problems} == {name}, problems
    assert any(problem["part"].startswith(part) for problem in problems), problems
    for _ in range(ROUNDS):
        for problem in problems:
            assert problem["hint"]
            site.follow(problem["hint"])
        if not (problems := site.doctor(expect=None)):
            return
    raise AssertionError(problems)
