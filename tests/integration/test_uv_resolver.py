"""Locks made by the real uv, from an index in a folder and, where it answers, from the machine's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

import pytest

from reconciler.errors import ResolveError, UnavailableError
from reconciler.lock.difference import differences
from reconciler.lock.document import parse_lock, to_document
from reconciler.lock.model import Package
from reconciler.ports import Resolution, Resolved
from reconciler.resolvers.uv import UvResolver
from reconciler.values.pep import Wheel
from reconciler.values.platform import Platform
from tests.conftest import Required
from tests.reached import desired
from tests.servers import serving
from tests.simple_index import SimpleIndex, chosen, manifest


@pytest.fixture
def index(tmp_path: Path) -> SimpleIndex:
    return SimpleIndex(tmp_path / "index")


@pytest.fixture
def internal(tmp_path: Path) -> SimpleIndex:
    return SimpleIndex(tmp_path / "internal")


# -- the trap of wheels alone -----------------------------------------------------------------------------------


def test_a_newer_release_that_is_source_only_fails_the_lock(index: SimpleIndex) -> None:
    index.wheel("speedy", "0.3")
    index.sdist("speedy", "0.19")
    index.wheel("other", "1")
    with pytest.raises(ResolveError) as refused:
        index.resolve("other", "speedy")
    error = refused.value
    assert "speedy 0.3 would be taken" in error.message
    assert "0.19" in error.message
    assert str(error.where) == "environments/training.yaml:11:5"
    assert "build_from_source: [speedy]" in str(error.hint)


def test_a_newer_release_that_needs_a_source_only_package_fails_the_lock(index: SimpleIndex) -> None:
    index.wheel("hydra", "0.11")
    index.wheel("hydra", "1.3", ["grammar==4.9.*"])
    index.sdist("grammar", "4.9.3")
    with pytest.raises(
        ResolveError, match=r"hydra 0\.11 .* 1\.3.*needs grammar, which exists as source only"
    ) as refused:
        index.resolve("hydra")
    assert "build_from_source: [grammar]" in str(refused.value.hint)


def test_the_line_to_add_keeps_what_is_allowed_already(index: SimpleIndex) -> None:
    index.wheel("hydra", "0.11")
    index.wheel("hydra", "1.3", ["grammar"])
    index.sdist("grammar", "4.9.3")
    index.wheel("grammar-tools", "1")
    with pytest.raises(ResolveError) as refused:
        index.resolve("hydra", build_from_source=("grammar-tools",))
    assert "build_from_source: [grammar, grammar-tools]" in str(refused.value.hint)


def test_an_old_release_that_another_requirement_asks_for_is_no_trap(index: SimpleIndex) -> None:
    for version in ("1.0", "2.0"):
        index.wheel("numeric", version)
    index.wheel("frames", "1.0", ["numeric<2"])
    assert chosen(index.resolve("numeric", "frames")) == {"frames": "1.0", "numeric": "1.0"}


@pytest.mark.parametrize(
    "requirement", ["speedy<0.19", "speedy==0.3", "speedy~=0.3.0"], ids=["capped", "pinned", "compatible"]
)
def test_an_old_release_that_the_requirement_itself_asks_for_is_no_trap(index: SimpleIndex, requirement: str) -> None:
    index.wheel("speedy", "0.3")
    index.sdist("speedy", "0.19")
    assert chosen(index.resolve(requirement)) == {"speedy": "0.3"}


@pytest.mark.parametrize(
    ("version", "link"),
    [("0.19", {"yanked": "broken"}), ("0.19", {"requires_python": ">=3.12"}), ("0.19rc1", {}), ("0.19.dev2", {})],
    ids=["yanked", "of another Python", "a pre-release", "a development release"],
)
def test_a_newer_release_that_does_not_count_is_no_trap(
    index: SimpleIndex, version: str, link: Mapping[str, str]
) -> None:
    index.wheel("speedy", "0.3")
    index.sdist("speedy", version, **link)
    assert chosen(index.resolve("speedy")) == {"speedy": "0.3"}


def test_a_constraint_that_keeps_a_package_back_is_no_trap(index: SimpleIndex) -> None:
    index.wheel("speedy", "0.3")
    index.sdist("speedy", "0.19")
    assert chosen(index.resolve("speedy", constraints=("speedy<0.4",))) == {"speedy": "0.3"}


def test_what_a_preference_keeps_is_no_trap(index: SimpleIndex) -> None:
    index.wheel("speedy", "0.3")
    before = index.resolve("speedy")
    index.sdist("speedy", "0.19")
    assert again(index, before, "speedy").lock == before.lock


# -- what a lock depends on -------------------------------------------------------------------------------------


def again(index: SimpleIndex, before: Resolved, *pip: str, upgrade: frozenset[str] | None = frozenset()) -> Resolved:
    """Solve anew with a lock as preference."""
    resolution = Resolution(desired=desired(manifest(*pip)), preference=before.lock, upgrade=upgrade)
    return UvResolver(environ=index.environ()).resolve(resolution)


def test_the_order_of_requirements_does_not_change_the_lock(index: SimpleIndex) -> None:
    index.wheel("alpha", "1", ["shared<3"])
    index.wheel("beta", "1", ["shared>1"])
    for version in ("1", "2", "3"):
        index.wheel("shared", version)
    locks = {to_document(index.resolve(*order).lock) for order in permutations(["alpha", "beta", "shared"])}
    assert len(locks) == 1


def test_an_edit_moves_only_what_must_move(index: SimpleIndex) -> None:
    index.wheel("alpha", "1")
    index.wheel("beta", "1")
    before = index.resolve("alpha", "beta")
    for name in ("alpha", "beta", "gamma"):
        index.wheel(name, "2")
    moved = differences(before.lock, again(index, before, "alpha", "beta>=2", "gamma").lock)
    assert [(change.name, change.old, change.new) for change in moved] == [("beta", "1", "2"), ("gamma", None, "2")]


def test_what_several_indexes_list_stays_where_it_was(index: SimpleIndex, internal: SimpleIndex) -> None:
    index.wheel("alpha", "1")
    index.wheel("alpha", "2")
    internal.sdist("alpha", "2")
    environ = index.environ(PIP_EXTRA_INDEX_URL=internal.address)
    before = index.resolve("alpha", environ=environ)
    resolution = Resolution(desired=desired(manifest("alpha")), preference=before.lock)
    assert chosen(before) == {"alpha": "2"}
    assert UvResolver(environ=environ).resolve(resolution).lock == before.lock


def test_an_upgrade_moves_what_it_names(index: SimpleIndex) -> None:
    for name in ("alpha", "beta"):
        index.wheel(name, "1")
    before = index.resolve("alpha", "beta")
    for name in ("alpha", "beta"):
        index.wheel(name, "2")
    assert chosen(again(index, before, "alpha", "beta", upgrade=frozenset(["beta"]))) == {"alpha": "1", "beta": "2"}
    assert chosen(again(index, before, "alpha", "beta", upgrade=None)) == {"alpha": "2", "beta": "2"}


@pytest.mark.parametrize("version", ["3.9", "3.13", "3.12.4"])
def test_what_is_solved_for_is_the_manifests_python_and_not_the_machines(index: SimpleIndex, version: str) -> None:
    index.wheel(
        "alpha", "1", [f'old; python_version < "{version[:4].rstrip(".")}"', f'new; python_full_version >= "{version}"']
    )
    index.wheel("old", "1")
    index.wheel("new", "1")
    resolved = index.resolve("alpha", version=version)
    assert chosen(resolved) == {"alpha": "1", "new": "1"}
    (platform,) = resolved.lock.platforms.values()
    assert platform.interpreter.version == version
    assert platform.interpreter.abi == "cp" + "".join(version.split(".")[:2])


def test_each_platform_gets_its_own_packages(index: SimpleIndex) -> None:
    index.wheel("alpha", "1", ['mac; sys_platform == "darwin"', 'arm; platform_machine == "aarch64"'])
    index.wheel("mac", "1")
    index.wheel("arm", "1")
    platforms = tuple(Platform.parse(name) for name in ("linux/amd64", "linux/arm64", "darwin/arm64"))
    lock = index.resolve("alpha", platforms=platforms).lock
    found = {str(name): [package.name for package in one.packages] for name, one in lock.platforms.items()}
    assert found == {"linux/amd64": ["alpha"], "linux/arm64": ["alpha", "arm"], "darwin/arm64": ["alpha", "mac"]}


def test_a_lock_names_size_and_digest_of_what_was_chosen_and_reads_back(index: SimpleIndex) -> None:
    path = index.wheel("alpha", "1")
    lock = index.resolve("alpha").lock
    (package,) = next(iter(lock.platforms.values())).packages
    assert (package.file, package.size, package.source) == (path.name, path.stat().st_size, "index:default")
    assert parse_lock(to_document(lock), "training.lock.json") == lock


def test_an_environment_without_packages_has_a_lock_too(index: SimpleIndex) -> None:
    assert chosen(index.resolve()) == {}


# -- sources ----------------------------------------------------------------------------------------------------


def test_a_package_of_a_named_index_bears_its_alias(index: SimpleIndex, internal: SimpleIndex) -> None:
    index.wheel("alpha", "1")
    internal.wheel("secret", "1")
    environ = index.environ(RECONCILER_INDEX_TEAM=internal.address)
    lock = index.resolve("alpha", "secret", environ=environ, indexes=("team",)).lock
    sources = {package.name: package.source for package in next(iter(lock.platforms.values())).packages}
    assert sources == {"alpha": "index:default", "secret": "index:team"}


def test_a_package_with_a_source_comes_from_there_alone_even_when_only_others_need_it(
    index: SimpleIndex, internal: SimpleIndex
) -> None:
    index.wheel("model", "1", ["torchy"])
    index.wheel("torchy", "9")
    internal.wheel("torchy", "1+cpu")
    environ = index.environ(RECONCILER_INDEX_CPU=internal.address)
    resolved = index.resolve("model", environ=environ, sources={"torchy": "cpu"})
    assert chosen(resolved) == {"model": "1", "torchy": "1+cpu"}
    torchy = next(iter(resolved.lock.platforms.values())).packages[1]
    assert torchy.source == "index:cpu"


def test_pips_indexes_count_as_one(index: SimpleIndex, internal: SimpleIndex) -> None:
    index.wheel("alpha", "2")
    internal.wheel("alpha", "1")
    environ = index.environ(PIP_EXTRA_INDEX_URL=internal.address)
    assert chosen(index.resolve("alpha", environ=environ)) == {"alpha": "2"}
    assert chosen(index.resolve("alpha<2", environ=environ)) == {"alpha": "1"}


def test_an_alias_without_an_address_names_the_three_places_to_bind_it(index: SimpleIndex) -> None:
    with pytest.raises(ResolveError, match=r"reconciler\.yaml.*RECONCILER_INDEX_TEAM_PYPI.*uv\.toml"):
        index.resolve("alpha", indexes=("team-pypi",))


@pytest.mark.parametrize("python", [{"sources": {"alhpa": "team"}}, {"build_from_source": ("alhpa",)}])
def test_a_name_that_nothing_needs_is_said(index: SimpleIndex, python: Mapping[str, object]) -> None:
    index.wheel("alpha", "1")
    resolved = index.resolve("alpha", environ=index.environ(RECONCILER_INDEX_TEAM=index.address), **python)
    assert [note for note in resolved.notes if "alhpa" in note and next(iter(python)) in note]


# -- what limits a solution --------------------------------------------------------------------------------------


@pytest.fixture
def dated(index: SimpleIndex) -> Iterator[dict[str, str]]:
    """Serve releases of three years, as an index that tells when each was uploaded."""
    for year in ("2020", "2021", "2022"):
        index.wheel("alpha", f"{year}.1", **{"upload-time": f"{year}-06-30T12:00:00Z"})
        index.wheel("beta", f"{year}.1", **{"upload-time": f"{year}-06-30T12:00:00Z"})
    index.sdist("alpha", "2023.1", **{"upload-time": "2023-06-30T12:00:00Z"})
    with serving(index.reply) as server:
        yield index.environ(PIP_INDEX_URL=f"{server.address}/simple")


@pytest.mark.parametrize(
    ("date", "version"),
    [
        ("2022-06-30", "2022.1"),  # a date holds to its end, in UTC
        ("2022-06-29", "2021.1"),
        ("2022-06-30T12:00:01Z", "2022.1"),
        ("2022-06-30T11:59:59Z", "2021.1"),
        ("2020-12-31", "2020.1"),
    ],
)
def test_what_was_uploaded_later_does_not_exist(
    index: SimpleIndex, dated: dict[str, str], date: str, version: str
) -> None:
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Niue"):
        environ = {**dated, "TZ": zone}
        assert chosen(index.resolve("alpha", environ=environ, exclude_newer=date)) == {"alpha": version}


def test_a_source_that_was_uploaded_later_is_no_trap(index: SimpleIndex, dated: dict[str, str]) -> None:
    with pytest.raises(ResolveError, match=r"alpha 2022\.1 would be taken on linux/amd64 instead of 2023\.1"):
        index.resolve("alpha", environ=dated)
    assert chosen(index.resolve("alpha", environ=dated, exclude_newer="2023-06-29")) == {"alpha": "2022.1"}


def test_a_date_before_every_release_is_said(index: SimpleIndex, dated: dict[str, str]) -> None:
    with pytest.raises(ResolveError, match="alpha"):
        index.resolve("alpha", environ=dated, exclude_newer="2019-01-01")


def test_a_constraint_brings_nothing_and_limits_what_others_bring(index: SimpleIndex) -> None:
    index.wheel("model", "1", ["numeric"])
    index.wheel("unused", "1")
    for version in ("1", "2"):
        index.wheel("numeric", version)
    assert chosen(index.resolve("model", constraints=("numeric<2", "unused<2"))) == {"model": "1", "numeric": "1"}


def test_an_override_stands_for_what_everything_else_asks(index: SimpleIndex) -> None:
    index.wheel("model", "1", ["numeric<2"])
    index.wheel("other", "1", ["numeric>=3"])
    for version in ("1", "2", "3"):
        index.wheel("numeric", version)
    with pytest.raises(ResolveError):
        index.resolve("model", "other")
    found = index.resolve("model", "other", overrides=("numeric==2",))
    assert chosen(found) == {"model": "1", "numeric": "2", "other": "1"}


# -- what can't be solved ---------------------------------------------------------------------------------------


def test_a_conflict_gives_uvs_explanation_the_line_and_what_could_help(index: SimpleIndex) -> None:
    index.wheel("numeric", "1")
    index.wheel("numeric", "2")
    index.wheel("frames", "1", ["numeric>=2"])
    with pytest.raises(ResolveError) as refused:
        index.resolve("frames", "numeric<2")
    error = refused.value
    assert str(error.where) in {"environments/training.yaml:10:5", "environments/training.yaml:11:5"}
    assert "frames==1 depends on numeric>=2" in str(error.detail) or "numeric>=2" in str(error.detail)
    assert error.hint == "loosen numeric<2"


def test_a_release_for_a_newer_python_says_which(index: SimpleIndex) -> None:
    index.wheel("alpha", "1", requires_python=">=3.12")
    with pytest.raises(ResolveError) as refused:
        index.resolve("alpha")
    assert "3.12" in str(refused.value.hint)


def test_a_package_that_is_not_there_is_said(index: SimpleIndex) -> None:
    with pytest.raises(ResolveError, match="absent"):
        index.resolve("absent")


def test_an_index_that_does_not_answer_is_named_by_its_alias(index: SimpleIndex) -> None:
    environ = index.environ(RECONCILER_INDEX_TEAM="http://u:hush@127.0.0.1:9/simple", UV_HTTP_RETRIES="0")
    with pytest.raises(UnavailableError, match="the package index team does not answer") as refused:
        index.resolve("alpha", environ=environ, indexes=("team",))
    assert "127.0.0.1" not in f"{refused.value} {refused.value.detail}"
    assert "hush" not in f"{refused.value} {refused.value.detail}"


# -- the machine's own index ------------------------------------------------------------------------------------


PLATFORMS = {"linux/amd64": "x86_64", "linux/arm64": "aarch64", "darwin/arm64": "arm64"}


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.13"])
def test_a_lock_for_machines_that_are_not_this_one_holds_their_files(required: Required, version: str) -> None:
    required.index()
    platforms = tuple(Platform.parse(name) for name in PLATFORMS)
    wanted = desired(manifest("numpy", "pandas", "scikit-learn", version=version, platforms=platforms))
    lock = UvResolver(environ=dict(os.environ)).resolve(Resolution(desired=wanted)).lock
    assert {str(platform) for platform in lock.platforms} == set(PLATFORMS)
    abi = "cp" + version.replace(".", "")
    for platform, one in lock.platforms.items():
        assert {"numpy", "pandas", "scikit-learn", "scipy"} <= {package.name for package in one.packages}
        for package in one.packages:
            check_file(package, abi, str(platform))
    assert parse_lock(to_document(lock), "training.lock.json") == lock
    # One release everywhere, as far as this index has its wheels for all of them.
    assert (
        len({tuple((package.name, package.version) for package in one.packages) for one in lock.platforms.values()})
        == 1
    )


def check_file(package: Package, abi: str, platform: str) -> None:
    """A file is of that Python and of that platform, and no newer C library is asked for than the lock says."""
    tags = Wheel.parse(package.file).tags
    if all(tag.platform == "any" for tag in tags):
        assert {tag.interpreter for tag in tags} & {"py3", "py39", abi}
        return
    assert all(tag.abi in {abi, "abi3"} for tag in tags), package.file
    assert all(tag.platform.endswith((PLATFORMS[platform], "universal2")) for tag in tags), package.file
    assert all(tag.platform.startswith("macosx" if platform.startswith("darwin") else "manylinux") for tag in tags)
    lowest = min(
        tuple(int(part) for part in re.findall(r"_(\d+)_(\d+)_", tag.platform)[0])
        for tag in tags
        if re.search(r"_\d+_\d+_", tag.platform)
    )
    assert lowest <= ((13, 0) if platform.startswith("darwin") else (2, 28))


@pytest.mark.parametrize(
    ("requirement", "version", "unbuilt"),
    [
        ("hydra-core", "3.11", "antlr4-python3-runtime"),
        ("deepspeed", "3.11", "deepspeed"),
        ("azureml-defaults", "3.9", "fusepy"),
    ],
)
def test_the_trap_on_the_real_index(required: Required, requirement: str, version: str, unbuilt: str) -> None:
    required.index()
    resolver = UvResolver(environ=dict(os.environ))
    with pytest.raises(ResolveError) as refused:
        resolver.resolve(Resolution(desired=desired(manifest(requirement, version=version))))
    assert f"build_from_source: [{unbuilt}]" in str(refused.value.hint)


def test_an_allowed_build_is_locked_as_what_it_is_built_from(required: Required) -> None:
    required.index()
    wanted = manifest("hydra-core", build_from_source=("antlr4-python3-runtime",))
    resolved = UvResolver(environ=dict(os.environ)).resolve(Resolution(desired=desired(wanted)))
    sources = {package.name: package.source for package in next(iter(resolved.lock.platforms.values())).packages}
    assert sources["antlr4-python3-runtime"].startswith("built:antlr4-python3-runtime-4.9")
    assert sources["hydra-core"] == "index:default"


def test_a_build_is_refused_where_nothing_may_run(index: SimpleIndex) -> None:
    wanted = desired(manifest("alpha", build_from_source=("alpha",)))
    with pytest.raises(ResolveError, match="only in lock and apply"):
        UvResolver(environ=index.environ()).resolve(Resolution(desired=wanted, build_allowed=False))
