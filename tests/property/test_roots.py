"""Roots of packages: the order in which packages come changes nothing, and what is in its place stays there."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from reconciler.debian.places import place_of
from reconciler.debian.root import Contents, lay, skeleton
from reconciler.errors import BuildError
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of
from reconciler.oci.tar import with_folders, write_tar
from reconciler.oci.untar import read_tar

NAMES = ("aa", "bb", "cc")
PARTS = st.sampled_from(["bin", "sbin", "lib", "lib64", "usr", "var", "run", "lock", "etc", "x"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
FEW = st.sampled_from(["etc/x", "etc/y", "usr/x", "usr/lib32/x"])
REPLACES = st.sets(st.sampled_from(NAMES)).map(lambda names: ", ".join(sorted(names)))


@st.composite
def contents(draw: st.DrawFn, name: str) -> Contents:
    members: dict[str, Member] = {}
    for path in draw(st.lists(FEW, max_size=4, unique=True)):
        kind = draw(st.sampled_from(["file", "link", "folder", "hard"]))
        files = [member.path for member in members.values() if member.kind is Kind.FILE]
        if kind == "hard" and files:
            members[path] = Member(path=path, kind=Kind.HARD, target=draw(st.sampled_from(files)))
        elif kind == "link":
            members[path] = link_of(path, "target")
        elif kind == "folder":
            members[path] = folder_of(path, mode=draw(st.sampled_from([0o755, 0o700, 0o1777])))
        else:
            members[path] = file_of(path, f"{name}{path}".encode())
    return Contents(name=name, version="1", replaces=draw(REPLACES), members=tuple(members.values()))


def written(packages: Sequence[Contents]) -> bytes | str:
    try:
        members = lay(packages)
        return b"".join(write_tar(with_folders((*members, *skeleton(members, "amd64", lowest=True)))))
    except BuildError as error:
        return error.message


@given(PATHS)
def test_what_is_in_its_place_stays_there(path: str) -> None:
    assert place_of(place_of(path)) == place_of(path)


@given(st.tuples(*map(contents, NAMES)), st.permutations(range(len(NAMES))))
def test_the_order_of_packages_changes_nothing(packages: tuple[Contents, ...], order: list[int]) -> None:
    assert written([packages[place] for place in order]) == written(packages)


@given(st.tuples(*map(contents, NAMES)))
def test_every_name_of_a_file_has_the_bytes_of_a_package_that_has_it(packages: tuple[Contents, ...]) -> None:
    archive = written(packages)
    if isinstance(archive, str):
        return
    read = {member.path: (member, b"".join(body)) for member, body in read_tar([archive])}
    for member, data in read.values():
        if member.kind is Kind.HARD:
            assert read[member.target][0].kind is Kind.FILE
        elif member.kind is Kind.FILE:
            names = [one for package in packages for one in package.members if one.path == member.path]
            origins = {one.target or one.path for one in names}
            assert any(data.decode() == f"{package.name}{origin}" for package in packages for origin in origins)
