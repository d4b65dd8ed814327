"""The repository's own environments, from the machine's own package index: what README's first command does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import PROGRAM

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

features, labels = load_iris(return_X_y=True)
seen, unseen, known, hidden = train_test_split(features, labels, random_state=0)
model = LogisticRegression(max_iter=1000).fit(seen, known)
print(f"score {model.score(unseen, hidden):.2f}")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Path:
    """Reconcile the repository's environments in a clone."""
    required.index()
    required.python("3.11")
    folder = tmp_path_factory.mktemp("own") / "clone"
    folder.mkdir()
    shutil.copytree(ROOT / "environments", folder / "environments")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    applied = reconciler(folder, "apply", "-o", "json")
    assert {item["status"] for item in json.loads(applied.stdout)["environments"]} == {"applied"}
    return folder


def reconciler(folder: Path, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECONCILER_")}
    done = subprocess.run(
        [str(PROGRAM), *arguments], cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def test_a_second_plan_has_nothing_to_do(clone: Path) -> None:
    reconciler(clone, "plan", "--detailed-exitcode")
    assert "No drift" in reconciler(clone, "drift", "--deep").stdout


def test_a_script_trains_a_model_in_training_and_its_score_and_status_come_through(clone: Path) -> None:
    script = clone.parent / "train.py"
    script.write_text(SCRIPT)
    done = reconciler(clone, "run", "training", "--", str(script), "7", expect=7)
    assert done.stdout.startswith("score 0.9")


def test_a_machine_that_lacks_the_environment_makes_the_same_one_from_the_record(clone: Path) -> None:
    versions = "import numpy, pandas, sklearn; print(numpy.__version__, pandas.__version__, sklearn.__version__)"
    before = reconciler(clone, "run", "training", "--", "python", "-c", versions).stdout
    shutil.rmtree(clone / ".reconciler" / "hosts")
    assert reconciler(clone, "run", "training@latest", "--", "python", "-c", versions).stdout == before
    lock = json.loads(skopeo_lock(clone))
    locked = {item["name"]: item["version"] for item in lock["platforms"]["linux/amd64"]["packages"]}
    assert before.split() == [locked["numpy"], locked["pandas"], locked["scikit-learn"]]


def skopeo_lock(clone: Path) -> str:
    """Read the lock of the record as any OCI tool would: from the layer of ``v1-lock``."""
    layout = clone / ".reconciler" / "registry" / "training"
    index = json.loads((layout / "index.json").read_text())["manifests"]
    (entry,) = [
        item["digest"] for item in index if item["annotations"]["org.opencontainers.image.ref.name"] == "v1-lock"
    ]
    manifest: dict[str, list[dict[str, str]]] = json.loads((layout / "blobs" / entry.replace(":", "/")).read_text())
    return (layout / "blobs" / manifest["layers"][0]["digest"].replace(":", "/")).read_text()


def test_every_record_is_read_by_skopeo(clone: Path, required: Required) -> None:
    skopeo = str(required.program("skopeo"))
    registry = clone / ".reconciler" / "registry"
    names = sorted(path.name for path in registry.iterdir() if (path / "index.json").is_file())
    assert names == ["reconciler-state", "reporting", "serving", "training"]
    for name in names:
        for item in json.loads((registry / name / "index.json").read_text())["manifests"]:
            tag = item["annotations"]["org.opencontainers.image.ref.name"]
            raw = subprocess.run(
                [skopeo, "inspect", "--raw", f"oci:{registry / name}:{tag}"], check=True, capture_output=True
            )
            assert raw.stdout == (registry / name / "blobs" / item["digest"].replace(":", "/")).read_bytes()
