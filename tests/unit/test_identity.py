"""A request covers what a manifest declares and what it reaches, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.errors import ManifestError
from reconciler.manifest.model import Build, Conda, Docker, Manifest, Python
from reconciler.values.canonical import Json
from reconciler.values.platform import Platform
from tests.reached import Files, desired

PATH = "environments/a.yaml"


def manifest(path: str = PATH, **fields: object) -> Manifest:
    return Manifest(name="a", path=path, **fields)  # type: ignore[arg-type]  # as the caller wrote them


def component(name: str, found: Manifest, files: Mapping[str, bytes] | None = None) -> dict[str, Json]:
    value = desired(found, Files(files or {})).components[name]
    assert isinstance(value, dict)
    return value


def test_the_components_are_these_and_no_others() -> None:
    assert list(desired(manifest()).components) == [
        "base",
        "python",
        "packages",
        "system",
        "image",
        "variables",
        "files",
        "dockerfile",
        "builder",
    ]


def test_the_request_of_an_empty_manifest_never_changes() -> None:
    """A new default or another spelling would rebuild every environment of every user."""
    assert str(desired(manifest()).request) == "sha256:a991964a7ceb7837494ba0c1b3d636340b83399f8d7999453f5820caff1ce338"


def test_the_request_of_a_full_manifest_never_changes() -> None:
    full = manifest(
        python=Python(
            version="3.12",
            pip=("Numpy >= 2.0", "./w/x_y-1-py3-none-any.whl[z]", "a; python_version<'3.13'"),
            pip_file=("r.txt",),
            local=("../lib",),
            constraints=("a<2",),
            indexes=("one",),
            sources={"NumPy": "one"},
            build_from_source=("Fuse_Py",),
            conda=Conda(channels=("c", "d"), dependencies=("Git >= 2",), pip=("p",)),
        ),
        docker=Docker(user="me", base_dockerfile="FROM x\nRUN y", build=Build(context="../lib", args={"A": "b"})),
        system_packages=("git",),
        files={"/etc/x/": "../lib"},
        environment_variables={"A": "ü"},
    )
    files = Files(
        {
            "environments/w/x_y-1-py3-none-any.whl": b"wheel",
            "environments/r.txt": b"b==1 --hash=sha256:" + b"a" * 64,
            "lib/run": b"x",
            "lib/pkg/__init__.py": b"",
        },
        frozenset(["lib/run"]),
    )
    assert (
        str(desired(full, files).request) == "sha256:6254825919558bfea87c7f0ccf9245a687425d3092cdeec86b7772a01f9dde7d"
    )


def test_metadata_platforms_and_run_time_settings_are_no_part_of_it() -> None:
    other = manifest(
        description="x",
        tags={"a": "b"},
        owner="me",
        protected=True,
        renamed_from="b",
        extends="c",
        platforms=(Platform("linux", "arm64"),),
        docker=Docker(shm_size="1g", arguments=("--x",)),
    )
    assert desired(other).request == desired(manifest()).request


def test_the_name_and_the_place_of_a_manifest_are_no_part_of_it() -> None:
    here = manifest(python=Python(pip_file=("r.txt",), pip=("./x-1-py3-none-any.whl",), local=("lib",)))
    there = Manifest(name="b", path="environments/b/environment.yaml", python=here.python)
    files = {"r.txt": b"numpy", "x-1-py3-none-any.whl": b"x", "lib/setup.py": b"x"}
    one = Files({f"environments/{name}": data for name, data in files.items()})
    two = Files({f"environments/b/{name}": data for name, data in files.items()})
    assert desired(here, one).request == desired(there, two).request


def test_a_catalog_entry_counts_only_where_it_is_the_base() -> None:
    assert component("base", manifest())["catalog"] == "images/cpu"
    assert component("base", manifest(docker=Docker(enabled=False)))["catalog"] is None
    assert component("base", manifest(docker=Docker(base_image="debian")))["catalog"] is None
    assert component("base", manifest(docker=Docker(base_environment="b")))["catalog"] is None


def test_requirements_from_everywhere_come_together() -> None:
    found = manifest(
        python=Python(pip=("A", "b"), pip_file=("one.txt", "two.txt"), conda=Conda(dependencies=("c",), pip=("d", "a")))
    )
    packages = component("packages", found, {"environments/one.txt": b"E", "environments/two.txt": b"-r one.txt\nb\n"})
    assert packages["requirements"] == ["a", "b", "d", "e"]
    assert packages["conda"] == {"channels": [], "dependencies": ["c"]}


def test_the_form_of_a_conda_file_does_not_count() -> None:
    text = b"name: x\nchannels: [c]\ndependencies:\n- a\n- B >=1\n- pip: [x, '-r r.txt']\n"
    form = b"# c\r\ndependencies: ['b>=1', \"A\", {pip: [-r r.txt, X]}]\r\nname: y\r\nchannels:\r\n- c\r\n"
    found = manifest(python=Python(conda_file="c.yml"))
    one = {"environments/c.yml": text, "environments/r.txt": b"q"}
    two = {**one, "environments/c.yml": form}
    assert desired(found, Files(one)).request == desired(found, Files(two)).request
    assert component("packages", found, two)["requirements"] == ["q", "x"]


def test_an_inline_conda_set_and_a_file_that_says_the_same_are_one() -> None:
    inline = manifest(python=Python(conda=Conda(channels=("c",), dependencies=("a",), pip=("x",))))
    file = manifest(python=Python(conda_file="c.yml"))
    files = Files({"environments/c.yml": b"channels: [c]\ndependencies: [a, {pip: [x]}]"})
    assert desired(inline).request == desired(file, files).request


def test_an_inline_dockerfile_and_a_file_that_says_the_same_are_one() -> None:
    inline = manifest(docker=Docker(base_dockerfile="FROM x\nRUN y\n"))
    file = manifest(docker=Docker(base_dockerfile="Dockerfile"))
    assert desired(inline).request == desired(file, Files({"environments/Dockerfile": b"FROM x\nRUN y\n"})).request


def test_copied_files_count_by_relative_name_mode_and_bytes() -> None:
    found = manifest(files={"/etc/x": "conf", "/etc/y/": "one.ini"})
    files = Files(
        {"environments/conf/a": b"1", "environments/conf/d/b": b"2", "environments/one.ini": b"3"},
        frozenset(["environments/conf/a"]),
    )
    copied = desired(found, files).components["files"]
    assert isinstance(copied, dict)
    assert [(item["name"], item["mode"]) for item in copied["/etc/x"]] == [("a", "100755"), ("d/b", "100644")]  # type: ignore[index,union-attr,call-overload]  # JSON
    assert [item["name"] for item in copied["/etc/y/"]] == ["one.ini"]  # type: ignore[index,union-attr,call-overload]  # JSON


def test_every_problem_of_every_reached_file_is_in_one_error() -> None:
    found = manifest(
        python=Python(pip=("a b", "-e ."), pip_file=("no.txt", "r.txt"), conda_file="c.yml", constraints="../../x"),
        files={"/x": "gone"},
        lines={"python.pip": (3, 3), "python.pip[1]": (5, 5), "python.constraints": (9, 3), "files./x": (11, 3)},
    )
    files = Files({"environments/r.txt": b"ok\n--pre\n", "environments/c.yml": b"dependencies:\n- https://h/x\n"})
    with pytest.raises(ManifestError) as caught:
        desired(found, files)
    assert [str(problem).split(": ")[0] for problem in caught.value.problems] == [
        "environments/a.yaml:1:1",
        "environments/a.yaml:3:3",
        "environments/a.yaml:5:5",
        "environments/a.yaml:9:3",
        "environments/a.yaml:11:3",
        "environments/c.yml:2:3",
        "environments/r.txt:2",
    ]


def test_defaults_that_were_filled_in_are_told_and_what_is_written_is_not() -> None:
    filled = desired(manifest(lines={"python": (1, 1), "python.version": (2, 3)})).filled
    assert filled["python.provider"] == "auto"
    assert filled["docker.base"] == "standard"
    assert filled["platforms"] == ["linux/amd64"]
    assert "python.version" not in filled


BROKEN = [b"\xff", b"[", b"a = ", b"x = 1\nx = 2", b"x = " + b"[" * 5000]
PROJECTS = [b"[project]\ndependencies = 1", b"[project]\ndependencies = ['a b']", b"project = 1"]


@pytest.mark.parametrize(
    ("file", "data"),
    [("uv.lock", data) for data in BROKEN] + [("pyproject.toml", data) for data in (*BROKEN, *PROJECTS)],
)
def test_a_project_that_cannot_be_read_is_a_problem(file: str, data: bytes) -> None:
    good = {"p/pyproject.toml": b"[project]\nname = 'x'", "p/uv.lock": b"version = 1"}
    files = Files({**good, f"p/{file}": data})
    with pytest.raises(ManifestError):
        desired(manifest(python=Python(project="../p")), files)
