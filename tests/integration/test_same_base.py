"""The same lock on another day, when the mirror has moved on: the same bytes, or an error that says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.lock.system import SystemPackage
from reconciler.values.platform import Platform
from tests.based_case import MODERN, BasedMachine, images_of
from tests.conftest import Required
from tests.debian_mirror import serving_mirror
from tests.repository import PROGRAM, Answer

NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, kw_only=True)
class LaterMachine:
    """A clone of the repository, with no base, no layer and no Debian package, but the wheels; no index answers."""

    root: Path
    first: BasedMachine
    prefix: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    umask: int = 0o022

    def clone(self, archives: str) -> None:
        """Clone at the newest commit, with these archives in reconciler.yaml."""
        subprocess.run(["git", "clone", "-q", "--", self.first.root, self.root], check=True, umask=self.umask)
        for folder in ("wheels", "interpreters"):
            if (self.first.root / ".reconciler" / folder).exists():
                shutil.copytree(self.first.root / ".reconciler" / folder, self.root / ".reconciler" / folder)
        (self.root / "reconciler.yaml").write_text(archives)

    def __call__(self, *arguments: str) -> Answer:
        environ = {**self.first.environ, "PIP_INDEX_URL": NOWHERE, **self.variables}
        done = subprocess.run(
            [*self.prefix, PROGRAM, *arguments],
            cwd=self.root, env=environ, umask=self.umask, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def images(self) -> Mapping[str, str]:
        return images_of(self("get", MODERN, "-o", "json"))


def packages(machine: BasedMachine) -> Mapping[str, SystemPackage]:
    """Give what the lock needs, by its path in an archive."""
    return {
        package.file: package
        for architecture in ("amd64", "arm64")
        for package in machine.system(MODERN, architecture).packages
    }


def files(machine: BasedMachine) -> dict[str, Path]:
    """Find them on the machine that locked."""
    folder = machine.root / ".reconciler/debs"
    return {path: folder / f"{package.sha256}.deb" for path, package in packages(machine).items()}


@pytest.mark.threat("F7")
@pytest.mark.threat("F21")
def test_years_later_from_a_mirror_that_has_no_release_any_more(
    bases: BasedMachine, required: Required, tmp_path: Path
) -> None:
    with serving_mirror(files(bases)) as mirror:
        later = LaterMachine(
            root=tmp_path / "with space/ünïcode",
            first=bases,
            prefix=(str(required.program("faketime")), "-f", "+10y"),
            variables={
                "LC_ALL": "tr_TR.UTF-8",
                "TZ": "Asia/Kathmandu",
                "PYTHONHASHSEED": "4711",
                "HOME": str(tmp_path),
            },
            umask=0o077,
        )
        later.clone(mirror.config)
        done = later("apply", MODERN)
    assert done.code == 0, done.out + done.err
    assert later.images() == bases.images(MODERN)
    assert {path for path in mirror.asked if path.startswith("dists/")} == set()
    assert set(mirror.asked) == set(packages(bases))


@pytest.mark.threat("F16")
def test_a_package_that_is_nowhere_is_named_with_what_to_do(bases: BasedMachine, tmp_path: Path) -> None:
    kept = files(bases)
    path, package = next((path, package) for path, package in packages(bases).items() if package.name == "libexpat1")
    del kept[path]
    with serving_mirror(kept) as mirror:
        later = LaterMachine(root=tmp_path / "clone", first=bases)
        later.clone(mirror.config)
        done = later("apply", MODERN)
    assert done.code != 0
    said = done.out + done.err
    assert f"libexpat1 {package.version}" in said
    assert "--upgrade-base" in said
    assert later("list").out.count(MODERN) == 0


def test_layers_of_the_record_serve_where_every_mirror_is_gone(bases: BasedMachine, tmp_path: Path) -> None:
    later = LaterMachine(root=tmp_path / "clone", first=bases)
    later.clone(f"archives:\n  debian: {{mirror: {NOWHERE}}}\n  debian-security: {{mirror: {NOWHERE}}}\n")
    shutil.copytree(bases.root / ".reconciler/registry", later.root / ".reconciler/registry", copy_function=os.link)
    with (later.root / "environments" / f"{MODERN}.yaml").open("a") as manifest:
        manifest.write("environment_variables: {ADDED: later}\n")
    (later.root / "environments" / f"{MODERN}.lock.json").unlink()
    done = later("apply", MODERN)
    assert done.code == 0, done.out + done.err
    assert later.images().keys() == {str(Platform("linux", "amd64")), str(Platform("linux", "arm64"))}
