"""Requirement files are read by meaning."""

from __future__ import annotations

import pytest

from reconciler.errors import SourceError
from reconciler.manifest.requirements import Collected, Reader, split_lines
from reconciler.values.location import Location
from reconciler.values.pep import Requirement, canonical_requirement

SHA = "a" * 64
COMMIT = "b" * 40


def collect(files: dict[str, str], start: str = "requirements.txt") -> Collected:
    def read(path: str) -> bytes:
        if path not in files:
            raise SourceError(f"{path} does not exist")
        return files[path].encode()

    reader = Reader(read)
    reader.read_file(start, where=Location("environments/x.yaml", 3))
    return reader.collected


def only(text: str) -> Collected:
    found = collect({"requirements.txt": text})
    assert found.problems == []
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Numpy >= 2.0", "numpy>=2.0"),
        ("scikit_learn", "Scikit.Learn"),
        ("a<3,>=2", "a >=2, <3"),
        ("a[Y_z,x]", "a[x,y-z,x]"),
        ("a ; python_version<'3.12'", 'a; python_version < "3.12"'),
        ("a (>=1)", "a>=1"),
        ("a>=1 # why", "a>=1"),
        ("a>=1 \\\n  ,<2", "a>=1,<2"),
        ("a\r\nb\r\n", "a\nb"),
        ("a\nb", "b\na\na"),
        ("\ufeffa", "a"),
        (f"a @ git+https://host/x.git@{COMMIT}#egg=a", f"git+https://host/x.git@{COMMIT}#egg=A"),
        (f"https://host/a-1-py3-none-any.whl#sha256={SHA}", f"a @ https://host/a-1-py3-none-any.whl#sha256={SHA}"),
        ("./wheels/a-1-py3-none-any.whl", "A @ ./wheels/../wheels/a-1-py3-none-any.whl"),
    ],
)
def test_two_spellings_of_a_requirement_are_one(one: str, other: str) -> None:
    assert only(one).requirements == only(other).requirements


@pytest.mark.parametrize("text", ["numpy", "numpy==1.0", "numpy<2,>=1,!=1.5", "a-b~=1.2", "a>=1,<2,<2"])
def test_a_plain_requirement_is_read_as_packaging_reads_it(text: str) -> None:
    assert canonical_requirement(text) == str(Requirement.parse(text))


@pytest.mark.parametrize("text", ["a~=1", "a==", ">=1", "a b", "", "a==1.*.2", "a@", "ä"])
def test_what_is_no_requirement_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a requirement"):
        canonical_requirement(text)


def test_versions_stay_as_written() -> None:
    assert only("a==1.0").requirements != only("a==1.0.0").requirements


def test_a_comment_needs_a_blank_before_it() -> None:
    assert list(split_lines("a#b # c\n# d \\\ne\\\n # f\n")) == [(1, "a#b"), (3, "e")]


def test_a_file_is_followed_relative_to_the_one_that_names_it() -> None:
    found = collect({"requirements.txt": "-r a/one.txt", "a/one.txt": "-r ../two.txt\nx", "two.txt": "y"})
    assert (found.requirements, found.problems) == ({"x", "y"}, [])


def test_a_split_file_means_the_same() -> None:
    whole = only("a\nb==1\n-c c.txt".replace("-c c.txt", ""))
    split = collect({"requirements.txt": "a\n--requirement=more.txt", "more.txt": "b==1"})
    assert split.requirements == whole.requirements


def test_a_constraint_file_asks_for_nothing() -> None:
    found = collect({"requirements.txt": "a\n-cc.txt", "c.txt": "b<2\n-r d.txt", "d.txt": "e<1"})
    assert (found.requirements, found.constraints) == ({"a"}, {"b<2", "e<1"})


def test_a_file_that_is_named_twice_counts_once() -> None:
    found = collect({"requirements.txt": "-r a.txt\n-r b.txt", "a.txt": "-r c.txt", "b.txt": "-r c.txt", "c.txt": "x"})
    assert (found.requirements, found.problems) == ({"x"}, [])


def test_files_that_name_one_another_are_a_problem_with_its_line() -> None:
    (problem,) = collect({"requirements.txt": "\n-r a.txt", "a.txt": "x\n-r requirements.txt"}).problems
    assert str(problem.location) == "a.txt:2"
    assert "names itself" in problem.message


def test_a_chain_that_never_ends_is_stopped() -> None:
    files = {f"{n}.txt": f"-r {n + 1}.txt" for n in range(40)}
    (problem,) = collect(files, "0.txt").problems
    assert "levels" in problem.message


def test_a_missing_file_is_a_problem_where_it_is_named() -> None:
    (problem,) = collect({"requirements.txt": "a\n\n-r no.txt"}).problems
    assert str(problem) == "requirements.txt:3: no.txt does not exist"


def test_every_problem_of_every_file_is_found() -> None:
    found = collect({"requirements.txt": "-e .\na=1\n-r b.txt\nx", "b.txt": "--pre\ny"})
    assert [str(problem.location) for problem in found.problems] == [
        "requirements.txt:1",
        "requirements.txt:2",
        "b.txt:1",
    ]
    assert found.requirements == {"x", "y"}


def test_hashes_are_kept_with_their_requirement() -> None:
    found = only(f"a==1 \\\n  --hash=sha256:{SHA} \\\n  --hash sha256:{'b' * 64}\nb")
    assert found.hashes == {"a==1": {f"sha256:{SHA}", "sha256:" + "b" * 64}}


def test_options_that_say_what_holds_anyhow_are_taken() -> None:
    found = only("--require-hashes\n--only-binary :all:\n--only-binary=:all:\n--prefer-binary\na")
    assert found.requirements == {"a"}


def test_a_wheel_is_relative_to_the_file_that_names_it() -> None:
    found = collect(
        {"r/requirements.txt": "./w/A_b-1.0-py3-none-any.whl[z] ; os_name == 'posix'"}, "r/requirements.txt"
    )
    assert found.wheels == {"./r/w/A_b-1.0-py3-none-any.whl": "r/w/A_b-1.0-py3-none-any.whl"}
    assert found.requirements == {'a-b[z] @ ./r/w/A_b-1.0-py3-none-any.whl ; os_name == "posix"'}


def test_a_file_that_is_not_utf8_is_a_problem() -> None:
    reader = Reader(lambda _: b"\xff\xfe")
    reader.read_file("r.txt", where=Location("x.yaml"))
    assert [problem.message for problem in reader.collected.problems] == ["the file is not UTF-8"]


def test_a_requirement_tells_which_versions_meet_it() -> None:
    requirement = Requirement.parse("a>=1,<2; python_version < '3.12'")
    assert [requirement.allows(version) for version in ("0.9", "1.5", "2", "1.9rc1", "x")] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert requirement.applies({"python_version": "3.11"})
    assert not requirement.applies({"python_version": "3.12"})
