"""What uv and indexes say, read without running them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.clients.http.index import Http
from reconciler.errors import ResolveError, UnavailableError
from reconciler.lock.model import Base, Package
from reconciler.ports import Resolution
from reconciler.resolvers.explanation import failure, source_only
from reconciler.resolvers.notes import notes_on
from reconciler.resolvers.observed import parse_observation
from reconciler.resolvers.pylock import parse_pylock, to_preference
from reconciler.resolvers.question import question_of
from reconciler.resolvers.releases import fetch_releases
from reconciler.resolvers.target import targets_of
from tests.reached import desired
from tests.simple_index import manifest

WANTED = desired(manifest("numpy<2", "frames"))
TARGET = targets_of(Resolution(desired=WANTED))[0]


@pytest.mark.parametrize(
    "said",
    [
        "error: Request failed after 3 retries in 9s\n  cause: dns error",
        "error: Failed to fetch: `https://host.invalid/simple/x/`\n  cause: HTTP status server error (503)",
        "error: error sending request for url (https://host.invalid/)\n  cause: invalid peer certificate",
    ],
)
def test_no_answer_is_no_conflict(said: str) -> None:
    error = failure(
        said,
        desired=WANTED,
        question=question_of(WANTED),
        target=TARGET,
        alias="team",
    )
    assert isinstance(error, UnavailableError)
    assert "team" in error.message
    assert "host.invalid" not in f"{error} {error.detail}"


def test_what_exists_as_source_only_is_read_from_uvs_hints() -> None:
    said = "error: No\n\nhint: Wheels are required for `b-c` because\n\nhint: Wheels are required for `a` because"
    assert source_only(said) == ("a", "b-c")
    error = failure(
        f"error: No solution found\n  cause: Because numpy==1 {said}",
        desired=WANTED,
        question=question_of(WANTED),
        target=TARGET,
        alias="default",
    )
    assert "build_from_source: [a, b-c]" in str(error.hint)
    assert str(error.where) == "environments/training.yaml:10:5"


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        ("frames depends on alpha>=2", "low brings alpha 1.0: ask for what goes with it"),
        ("there is no version\n    of alpha==1.0", "low brings alpha 1.0, which is not on the indexes here"),
        ("alpha was not found in the package registry", "low brings alpha 1.0, which is not on the indexes here"),
        ("frames depends on beta", "loosen numpy<2"),
    ],
)
def test_what_the_base_keeps_is_named_where_it_is_in_the_way(cause: str, hint: str) -> None:
    base = Base(image="environment:low", digest=f"sha256:{'0' * 64}", python="usr/bin/python3")
    target = replace(TARGET, base=base, installed={"alpha": "1.0", "other": "2.0"})
    said = f"error: No solution found when resolving dependencies\n  cause: Because {cause}"
    error = failure(said, desired=WANTED, question=question_of(WANTED), target=target, alias="default")
    assert str(error.hint).startswith(hint)


@pytest.mark.parametrize(
    "text", ["not toml [", "packages = 1", '[[packages]]\nversion = "1"', '[[packages]]\nname="a"']
)
def test_an_answer_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ResolveError):
        parse_pylock(text)


def test_a_preference_is_written_as_uv_writes_locks() -> None:
    assert 'name = "a"\nversion = "1"' in to_preference({"a": "1"})


@pytest.mark.parametrize(("compute", "count"), [("cpu", 1), ("gpu", 0)])
def test_cuda_for_a_cpu_is_said_with_its_size_and_the_remedy(compute: str, count: int) -> None:
    wanted = desired(manifest("torch", compute=compute))
    sizes = {"torch": 500_000_000, "nvidia-cublas": 2_000_000_000, "triton": 500_000_000}
    packages = [Package(name=name, version="1", file="x", size=size, sha256="0" * 64) for name, size in sizes.items()]
    notes = list(notes_on(wanted, packages))
    assert len(notes) == count
    assert all("2.5 of 3.0 GB" in note and "sources: {torch: ALIAS}" in note for note in notes)


@pytest.mark.parametrize(
    ("cuda", "runtime", "count"),
    [("12.4", "12.4.127", 0), ("12.4", "12.1.105", 0), ("12.4", "13.0.1", 1), (None, "13.0", 0)],
)
def test_wheels_of_a_newer_cuda_than_declared_are_said(cuda: str | None, runtime: str, count: int) -> None:
    wanted = desired(replace(manifest("torch", compute="gpu"), cuda=cuda))
    one = Package(name="nvidia-cuda-runtime-cu12", version=runtime, file="x", size=1, sha256="0" * 64)
    notes = list(notes_on(wanted, [one]))
    assert len(notes) == count
    assert all('is of CUDA 13.0: say cuda: "13.0", or name the index' in note for note in notes)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"libc": ["glibc", "2.36"], "packages": {}, "version": "3.11.2"}'])
def test_an_interpreter_that_tells_nothing_is_refused(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        parse_observation(text)


def test_a_release_is_read_from_names_old_and_new(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("index")
    page = root / "my-tool" / "index.html"
    page.parent.mkdir()
    page.write_text(
        '<A HREF="x/my-tool-1.0.tar.gz#sha256=1">x</A> <a href=x/My_Tool-1.1.zip>x</a>'
        "<a href='my_tool-2-1-py3-none-any.whl?x=-' data-requires-python='&gt;=3.12'>x</a>"
        '<a href="my_tool-3.tar.gz" data-yanked="">x</a> <a href="my-tool-extra-4.tar.gz">x</a> <a name="none">x</a>'
    )
    found = fetch_releases("my-tool", root.as_uri(), Http(environ={}))
    assert [(file.version, file.requires_python) for file in found] == [("1.0", ""), ("1.1", ""), ("2", ">=3.12")]
    assert fetch_releases("absent", root.as_uri(), Http(environ={})) == ()
