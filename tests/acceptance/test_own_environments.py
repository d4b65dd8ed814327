"""The repository's own environments, from the machine's own index and mirror: what README's first command does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Required
from tests.repository import PROGRAM
from tests.services import EngineService

ROOT = Path(__file__).parents[2]
MACHINES, IMAGES = ("reporting", "serving", "training"), ("forecasting", "notebook", "scoring")
NO_ENGINE = "unix:///nowhere/docker.sock"
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
    required.mirror()
    required.python("3.11")
    folder = tmp_path_factory.mktemp("own") / "clone"
    folder.mkdir()
    shutil.copytree(ROOT / "environments", folder / "environments")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    applied = reconciler(folder, "apply", "-o", "json")
    assert {item["name"]: item["status"] for item in json.loads(applied.stdout)["environments"]} == dict.fromkeys(
        [*MACHINES, *IMAGES], "applied"
    )
    return folder


def reconciler(
    folder: Path, *arguments: str, expect: int = 0, engine: str = NO_ENGINE
) -> subprocess.CompletedProcess[str]:
    """Call the command line on a machine without Docker, or with the engine at this address."""
    done = subprocess.run(
        [str(PROGRAM), *arguments],
        cwd=folder,
        env={**os.environ, "DOCKER_HOST": engine},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
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


BOOSTING = """
import lightgbm, numpy
features = numpy.arange(200.0).reshape(100, 2)
model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(features, features[:, 0] > 100), num_boost_round=5)
print(model.predict([[190.0, 191.0]])[0] > model.predict([[0.0, 1.0]])[0])
"""
TRIED = {
    "forecasting": ("python", ["-c", "import statsmodels.api, pyarrow, mlflow; print(pyarrow.scalar(1))"], "1"),
    "notebook": ("bash", ["-c", "git init -q /tmp/x && ps -o comm= 1 && jupyter lab --version | cut -c1"], "bash\n4"),
    "scoring": ("python", ["-c", BOOSTING], "True"),
}


@pytest.mark.parametrize("name", TRIED)
def test_an_image_does_its_work_in_an_engine(
    clone: Path, docker_engine: EngineService, tmp_path: Path, name: str
) -> None:
    program, arguments, said = TRIED[name]
    reconciler(clone, "export", name, "--to", "docker", engine=docker_engine.host)
    command = ["run", "--rm", "--network=none", f"--entrypoint={program}", f"reconciler/{name}:v1", *arguments]
    done = docker_engine.docker(*command, config=tmp_path)
    assert done.stdout.strip() == said, done.stderr


def test_every_record_is_read_by_skopeo(clone: Path, required: Required) -> None:
    skopeo = str(required.program("skopeo"))
    registry = clone / ".reconciler" / "registry"
    names = sorted(path.name for path in registry.iterdir() if (path / "index.json").is_file())
    assert names == sorted(["reconciler-state", *MACHINES, *IMAGES])
    for name in names:
        for item in json.loads((registry / name / "index.json").read_text())["manifests"]:
            tag = item["annotations"]["org.opencontainers.image.ref.name"]
            raw = subprocess.run(
                [skopeo, "inspect", "--raw", f"oci:{registry / name}:{tag}"], check=True, capture_output=True
            )
            assert raw.stdout == (registry / name / "blobs" / item["digest"].replace(":", "/")).read_bytes()
