"""Registries that someone or something changed: drift names it, apply mends that environment and no other.

In full (every tag and every kind of content of three environments), with ``RECONCILER_CASES=full`` in the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Required
from tests.repository import Repository

FULL = os.environ.get("RECONCILER_CASES") == "full"
FOREIGN = "sha256:" + "0123456789abcdef" * 4
NAMES = ("first", "second", "third")
"""One version; two; two and a change of metadata, which ``current`` alone names."""
VERSION = {"first": 1, "second": 2, "third": 2}
TAGS = ("build", "v{n}", "v{n}-linux-amd64", "v{n}-request", "v{n}-lock")
Layout = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A repository whose three environments are registered; each case starts from the same registry."""

    repository: Repository

    @property
    def folder(self) -> Path:
        return self.repository.root / ".reconciler" / "registry"

    def reset(self) -> None:
        for name in ("registry", "store"):
            shutil.rmtree(self.repository.root / ".reconciler" / name, ignore_errors=True)
            # With their hard links, so that content is damaged in the store too.
        saved, target = self.repository.root.parent / "saved", self.repository.root / ".reconciler"
        subprocess.run(["cp", "-a", saved / "registry", saved / "store", target], check=True)

    def path(self, name: str, digest: str) -> Path:
        return self.folder / name / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def read(self, name: str, digest: str) -> Layout:
        value: Layout = json.loads(self.path(name, digest).read_bytes())
        return value

    def tags(self, name: str) -> dict[str, str]:
        index = json.loads((self.folder / name / "index.json").read_bytes())
        return {
            entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in index["manifests"]
        }

    def tag(self, name: str, form: str) -> str:
        if form == "build":
            plain = self.tags(name)[f"v{VERSION[name]}-linux-amd64"]
            return next(tag for tag, digest in self.tags(name).items() if tag.startswith("build-") and digest == plain)
        return form.format(n=VERSION[name])

    def edit(self, name: str, change: Callable[[Layout], None]) -> None:
        path = self.folder / name / "index.json"
        index = json.loads(path.read_bytes())
        change(index)
        path.write_text(json.dumps(index))

    def move(self, name: str, tag: str, digest: str) -> None:
        def change(index: Layout) -> None:
            for entry in index["manifests"]:
                if entry["annotations"]["org.opencontainers.image.ref.name"] == tag:
                    target = self.path(name, digest)
                    entry["digest"] = digest
                    if target.exists():
                        entry["size"] = target.stat().st_size
                        entry["mediaType"] = json.loads(target.read_bytes())["mediaType"]

        self.edit(name, change)

    def untag(self, name: str, *digests_or_tags: str) -> None:
        def kept(entry: Layout) -> bool:
            return not {entry["digest"], entry["annotations"]["org.opencontainers.image.ref.name"]} & {*digests_or_tags}

        def change(index: Layout) -> None:
            index["manifests"] = [entry for entry in index["manifests"] if kept(entry)]

        self.edit(name, change)

    def content(self, name: str) -> dict[str, str]:
        """Give what ``current`` reaches, by what it is."""
        record = self.read(name, self.tags(name)["current"])
        found = {"record": self.tags(name)["current"]}
        for kind, entry in zip(("artifact", "request", "lock"), record["manifests"], strict=True):
            manifest = self.read(name, entry["digest"])
            found |= {kind: entry["digest"], f"{kind}'s config": manifest["config"]["digest"]}
            found[f"{kind}'s layer"] = manifest["layers"][0]["digest"]
        return found

    def delete(self, name: str, *kinds: str) -> None:
        content = self.content(name)
        for kind in kinds:
            self.path(name, content[kind]).unlink()

    def drift(self, *arguments: str, expect: int) -> Layout:
        """Run drift, and hold it to changing nothing."""
        before = snapshot(self.folder)
        answer: Layout = json.loads(self.repository("drift", "-o", "json", *arguments, expect=expect).out)
        assert snapshot(self.folder) == before
        return answer

    def check_mended(self, name: str) -> None:
        """Apply, and check that this environment is whole and that no other was touched."""
        others = {other: snapshot(self.folder / other) for other in NAMES if other != name}
        answer = self.repository("apply", "-o", "json")
        outcomes = {item["name"]: item["status"] for item in json.loads(answer.out)["environments"]}
        assert outcomes == {other: "applied" if other == name else "unchanged" for other in NAMES}
        assert {other: snapshot(self.folder / other) for other in others} == others
        assert self.drift("--deep", expect=0)["findings"] == []
        self.verify(name)
        after = snapshot(self.folder)
        assert "Nothing to do" in self.repository("apply").out
        assert snapshot(self.folder) == after

    def verify(self, name: str) -> None:
        """Hash all that ``current`` and the tags of its version reach."""
        tags = self.tags(name)
        number = self.read(name, tags["current"])["annotations"]["org.opencontainers.image.version"]
        for tag in ("current", f"v{number}", f"v{number}-linux-amd64", f"v{number}-request", f"v{number}-lock"):
            for digest in self.reached(name, tags[tag]):
                data = self.path(name, digest).read_bytes()
                assert f"sha256:{hashlib.sha256(data).hexdigest()}" == digest, (tag, digest)

    def reached(self, name: str, digest: str) -> Iterator[str]:
        yield digest
        value = self.read(name, digest)
        for entry in value.get("manifests", ()):
            yield from self.reached(name, entry["digest"])
        if "config" in value:
            yield value["config"]["digest"]
            yield from (layer["digest"] for layer in value["layers"])


def snapshot(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (path.stat().st_mtime_ns, content)
    return found


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Site:
    required.python("3.11")
    root = tmp_path_factory.mktemp("drift")
    repository = Repository(root / "clone")
    for package in ("alpha", "beta", "gamma"):
        repository.release(package, "1.0")
    declared = {"first": "alpha", "second": "beta", "third": "gamma"}
    for name, package in declared.items():
        repository.declare(name, package)
    repository.commit()
    repository("apply")
    for name in ("second", "third"):
        repository.declare(name, declared[name], "alpha")
    repository.commit()
    repository("apply")
    repository.declare("third", "gamma", "alpha", extra="description: more words\n")
    repository.commit()
    repository("apply")
    # Whoever solves again would see it: what is mended keeps its packages.
    repository.release("alpha", "2.0")
    (root / "saved").mkdir()
    subprocess.run(["cp", "-a", "registry", "store", root / "saved"], cwd=repository.root / ".reconciler", check=True)
    return Site(repository)


@pytest.fixture
def site(applied: Site, home: None) -> Site:  # noqa: ARG001  # the environment of the test is set before it runs
    applied.reset()
    return applied


def only(answer: Layout, name: str) -> list[Layout]:
    """Check that drift is of this environment alone; give its findings."""
    assert answer["drifted"]
    assert {finding["name"] for finding in answer["findings"]} == {name}
    found: list[Layout] = answer["findings"]
    return found


def sampled(cases: list[tuple[str, str]], every: int) -> list[tuple[str, str]]:
    return cases if FULL else cases[::every]


# -- F13: tags --------------------------------------------------------------------------------------------------

CURRENT_MOVES = [
    (name, tag)
    for name in NAMES
    for number in range(1, VERSION[name] + 1)
    for tag in (f"v{number}", f"v{number}-linux-amd64", f"v{number}-request", f"v{number}-lock", "build", "foreign")
    if (tag not in {"build", "foreign"} or number == VERSION[name]) and (name == "third" or tag != f"v{VERSION[name]}")
]


@pytest.mark.threat("F13")
@pytest.mark.parametrize(("name", "tag"), sampled(CURRENT_MOVES, 5))
def test_a_current_that_names_something_else_is_named_with_both_digests_and_mended(
    site: Site, name: str, tag: str
) -> None:
    applied = site.tags(name)["current"]
    found = FOREIGN if tag == "foreign" else site.tags(name)[site.tag(name, tag)]
    site.move(name, "current", found)
    answer = site.drift(expect=3)
    (finding,) = only(answer, name)
    assert (finding["kind"], finding["path"]) == ("moved", "current")
    assert (finding["expected"], finding["found"]) == (applied, found)
    text = site.repository("drift", expect=3).out
    assert applied in text
    assert found in text
    site.check_mended(name)
    assert site.tags(name)["current"] == applied


@pytest.mark.threat("F13")
@pytest.mark.parametrize(("name", "form"), sampled([(name, form) for name in NAMES for form in TAGS], 4))
def test_any_other_tag_that_was_moved_is_named_with_both_digests_and_put_back(site: Site, name: str, form: str) -> None:
    tag = site.tag(name, form)
    applied = site.tags(name)[tag]
    other = next(digest for digest in site.tags(name).values() if digest not in {applied, site.tags(name)["current"]})
    site.move(name, tag, other)
    (finding,) = only(site.drift(expect=3), name)
    assert finding["path"] == tag
    if form == "v{n}" and name == "third":  # what it named is known from nowhere else; `current` says the same
        applied = site.tags(name)["current"]
    assert (finding["kind"], finding["expected"], finding["found"]) == ("moved", applied, other)
    site.check_mended(name)
    assert site.tags(name)[tag] == applied


@pytest.mark.threat("F13")
@pytest.mark.parametrize(("name", "form"), sampled([(name, form) for name in NAMES for form in ("current", *TAGS)], 4))
def test_a_tag_that_was_deleted_is_named_and_put_back(site: Site, name: str, form: str) -> None:
    tag = site.tag(name, form)
    applied = site.tags(name)[tag]
    site.untag(name, tag)
    (finding,) = only(site.drift(expect=3), name)
    if form == "current":
        assert finding["kind"] == "recovered"
    else:
        assert (finding["kind"], finding["path"]) == ("missing", tag)
    site.check_mended(name)
    if (name, form) != ("third", "v{n}"):
        assert site.tags(name)[tag] == applied


# -- F13: content -----------------------------------------------------------------------------------------------

CONTENT = (
    "record",
    *(f"{kind}{part}" for kind in ("artifact", "request", "lock") for part in ("", "'s config", "'s layer")),
)


@pytest.mark.threat("F13")
@pytest.mark.parametrize(("name", "kind"), sampled([(name, kind) for name in NAMES for kind in CONTENT], 4))
def test_content_that_was_deleted_is_named_and_made_again(site: Site, name: str, kind: str) -> None:
    applied = site.tags(name)["current"]
    wanted = site.content(name)[kind]
    site.delete(name, kind)
    findings = only(site.drift(expect=3), name)
    assert {finding["kind"] for finding in findings} == {"missing"}
    if kind in {"record", "artifact", "request", "lock"}:
        assert wanted in {finding["expected"] for finding in findings}
    site.check_mended(name)
    if kind in {"lock", "lock's layer"}:  # nothing else says which versions there were
        assert "alpha 2.0" in lock_of(site, name)
        return
    assert "alpha 1.0" in lock_of(site, name)
    if kind != "record":
        assert site.tags(name)["current"] == applied


def lock_of(site: Site, name: str) -> str:
    lock = site.read(name, site.content(name)["lock's layer"])
    (platform,) = lock["platforms"].values()
    return ", ".join(f"{package['name']} {package['version']}" for package in platform["packages"])


def clear(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def unregister(site: Site, name: str) -> None:
    """Delete an image as registries do: the manifest, and every tag that names it."""
    digest = site.tags(name)["current"]
    site.path(name, digest).unlink()
    site.untag(name, digest)


HALVES: dict[str, Callable[[Site, str], None]] = {
    "the record and its lock": lambda site, name: site.delete(name, "record", "lock"),
    "the record and its artifact": lambda site, name: site.delete(name, "record", "artifact", "artifact's layer"),
    "both side entries": lambda site, name: site.delete(name, "request", "lock"),
    "everything but the record": lambda site, name: site.delete(name, *CONTENT[1:]),
    "all content": lambda site, name: clear(site.folder / name / "blobs" / "sha256"),
    "the record with every tag of it": unregister,
    "all of it": lambda site, name: shutil.rmtree(site.folder / name),
}


@pytest.mark.threat("F13")
@pytest.mark.parametrize(("name", "what"), sampled([(name, what) for name in NAMES for what in HALVES], 3))
def test_what_was_half_deleted_is_named_and_made_again(site: Site, name: str, what: str) -> None:
    HALVES[what](site, name)
    only(site.drift(expect=3), name)
    site.check_mended(name)


# -- F11 --------------------------------------------------------------------------------------------------------


@pytest.mark.threat("F11")
@pytest.mark.parametrize(("name", "kind"), sampled([(name, kind) for name in NAMES for kind in CONTENT], 4))
def test_a_flipped_bit_is_found_and_what_it_is_in_is_made_again(site: Site, name: str, kind: str) -> None:
    path = site.path(name, site.content(name)[kind])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    findings = only(site.drift("--deep", expect=3), name)
    assert {finding["kind"] for finding in findings} <= {"tampered"}
    site.check_mended(name)


@pytest.mark.threat("F11")
def test_flipped_bits_everywhere_are_all_found_and_no_tag_is_given_to_them(site: Site) -> None:
    for name in NAMES:
        for kind, digest in site.content(name).items():
            if kind != "record":
                path = site.path(name, digest)
                data = bytearray(path.read_bytes())
                data[-2] ^= 4
                path.write_bytes(data)
    found = {(finding["name"], finding["path"]) for finding in site.drift("--deep", expect=3)["findings"]}
    assert found == {(name, path) for name in NAMES for path in ("linux/amd64", "lock", "request")}
    site.repository("apply")
    for name in NAMES:
        site.verify(name)
    assert site.drift("--deep", expect=0)["findings"] == []


@pytest.mark.threat("F11")
def test_a_change_of_metadata_gives_no_tag_to_what_is_damaged(site: Site) -> None:
    path = site.path("first", site.content("first")["artifact's layer"])
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    manifest = site.repository.root / "environments" / "first.yaml"
    before = manifest.read_text()
    try:
        manifest.write_text(before + "description: words\n")
        site.repository("apply")
    finally:
        manifest.write_text(before)
    site.verify("first")
