"""Conda's environment files are read by meaning."""

from __future__ import annotations

import pytest

from reconciler.manifest.conda import CondaFile, parse_conda_file, parse_match

FULL = """\
# comment
name: whatever
channels:
  - conda-forge  # [linux]
  - nodefaults
dependencies:
  - Python =3.11
  - conda-forge::NumPy >=1.2, <2
  - pytorch=2.*=cuda*
  - pip
  - pip:
      - Requests >= 2
      - -r requirements.txt
prefix: /home/me/x
"""


def read(text: str) -> CondaFile:
    return parse_conda_file(text.encode(), "environments/conda.yml")


def test_a_file_gives_channels_in_order_dependencies_and_pips_lines() -> None:
    found = read(FULL)
    assert found.problems == ()
    assert found.channels == ("conda-forge", "nodefaults")
    assert found.dependencies == ("python=3.11", "conda-forge::numpy>=1.2,<2", "pytorch=2.*=cuda*", "pip")
    assert [(line, str(where)) for line, where in found.pip] == [
        ("Requests >= 2", "environments/conda.yml:12:9"),
        ("-r requirements.txt", "environments/conda.yml:13:9"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NumPy", "numpy"),
        (" numpy  >=  1.2 ", "numpy>=1.2"),
        ("numpy >=1.2 , <2", "numpy>=1.2,<2"),
        ("numpy  1.8   py27_0", "numpy 1.8 py27_0"),
        ("conda-forge :: numpy", "conda-forge::numpy"),
        ("numpy = 1.8 = py27_0", "numpy=1.8=py27_0"),
    ],
)
def test_blanks_that_part_nothing_do_not_count(one: str, other: str) -> None:
    assert parse_match(one) == parse_match(other)


@pytest.mark.parametrize(
    ("one", "other"), [("numpy 1.8", "numpy=1.8"), ("numpy=1.8", "numpy==1.8"), ("a::x", "b::x"), ("x=1=A", "x=1=a")]
)
def test_different_match_specifications_stay_different(one: str, other: str) -> None:
    assert parse_match(one) != parse_match(other)


@pytest.mark.parametrize(
    "text",
    [
        "https://host/x.conda",
        "file:///x.tar.bz2",
        "./x.conda",
        "/x",
        "~/x",
        "@explicit",
        "",
        "=1",
        "a\0",
        "$HOME",
        "%X%",
        "https://host/c::x",
        "../c::x",
        "-c",
        "::x",
    ],
)
def test_what_is_no_match_specification_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"match specification|conda package"):
        parse_match(text)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "no mapping"),
        ("- a", 1, "no mapping"),
        ("name: x", 1, "no dependencies"),
        ("dependencies: numpy", 1, "not a list"),
        ("dependencies:\n- {pop: [x]}", 2, "only pip:"),
        ("dependencies:\n- pip: x", 2, "not a list"),
        ("dependencies:\n- [x]", 2, "a dependency is a text"),
        ("dependencies:\n- null", 2, "a dependency is a text"),
        ("dependencies:\n- pip:\n  - {a: b}", 3, "a pip requirement is a text"),
        ("channels:\n- https://host/conda-forge\ndependencies: []", 2, "by alias"),
        ("channels:\n- file:///x\ndependencies: []", 2, "by alias"),
        ("channels:\n- ../x\ndependencies: []", 2, "by alias"),
        ("dependencies: []\nvariables: {A: b}", 2, "variables"),
        ("dependencies: []\nplatforms: [linux-64]", 2, "platforms"),
        ("dependencies: []\nfoo: 1", 2, "no key"),
        ("dependencies: []\ndependencies: []", 2, ""),
        ("dependencies: [", 1, ""),
        ("dependencies:\n- !!python/object:os.system x", 2, ""),
        ("dependencies:\n- https://host/x.conda", 2, "by address"),
    ],
)
def test_a_fault_is_a_problem_with_its_line(text: str, line: int, message: str) -> None:
    problem = read(text).problems[0]
    assert problem.location.path == "environments/conda.yml"
    assert problem.location.line == line
    assert message in problem.message


def test_every_fault_of_a_file_is_found() -> None:
    assert len(read("dependencies:\n- https://h/x\n- [a]\nvariables: {}\nfoo: 1").problems) == 4
