"""What of packages goes into a root, and where (Debian Policy 7.6; Debian bug 978636)."""

from __future__ import annotations

import pytest

from reconciler.debian.places import is_asked_for, place_of, placed, stays
from reconciler.debian.root import Contents, lay, skeleton
from reconciler.errors import BuildError
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of
from reconciler.oci.tar import with_folders, write_tar
from reconciler.oci.untar import read_tar


def package(name: str, *members: Member, version: str = "1", replaces: str = "") -> Contents:
    return Contents(name=name, version=version, replaces=replaces, members=members)


def hard(path: str, target: str) -> Member:
    return Member(path=path, kind=Kind.HARD, target=target)


def laid(*packages: Contents) -> dict[str, bytes]:
    """Write packages into an archive, and give what it has: the bytes of files, the targets of links."""
    members = lay(packages)
    archive = write_tar(with_folders((*members, *skeleton(members, "amd64", lowest=True))))
    return {
        member.path: member.target.encode() if member.target else b"".join(body)
        for member, body in read_tar(archive)
        if member.kind is not Kind.FOLDER
    }


# -- where files go ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("bin/sh", "usr/bin/sh"),
        ("bin", "usr/bin"),
        ("sbin/x", "usr/sbin/x"),
        ("lib/systemd/system/x", "usr/lib/systemd/system/x"),
        ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        ("lib32/x", "usr/lib32/x"),
        ("var/run/x", "run/x"),
        ("var/lock", "run/lock"),
        ("var/runner", "var/runner"),
        ("usr/bin/x", "usr/bin/x"),
        ("binary", "binary"),
        ("var", "var"),
        ("opt/bin/x", "opt/bin/x"),
    ],
)
def test_the_root_is_merged(path: str, place: str) -> None:
    assert place_of(path) == place


def test_the_links_of_the_merge_are_in_the_lowest_layer_whatever_is_in_it() -> None:
    links = {member.path: member.target for member in skeleton((), "amd64", lowest=True) if member.target}
    usual = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "var/run": "/run", "var/lock": "/run/lock"}
    assert links == {**usual, "lib64": "usr/lib64"}
    assert {member.path for member in skeleton((), "arm64", lowest=True) if member.target} == set(usual)


def test_a_folder_for_other_machines_is_a_link_where_something_is_in_it() -> None:
    members = [file_of("usr/lib32/libc.so.6", b"")]
    found = {member.path: member.target for member in skeleton(members, "amd64", lowest=False) if member.target}
    assert found == {"lib32": "usr/lib32"}
    assert [*skeleton([file_of("usr/lib/x", b"")], "amd64", lowest=False)] == []


def test_links_of_a_package_that_are_those_of_the_merge_are_no_members() -> None:
    own = [link_of("bin", "usr/bin"), link_of("lib64", "usr/lib64"), link_of("usr/bin/which", "/bin/which")]
    assert [*placed([*own, link_of("bin/which", "../usr/bin/which")])] == []
    kept = link_of("bin/sh", "dash")
    assert [member.path for member in placed([kept])] == ["usr/bin/sh"]


def test_a_hard_link_goes_where_its_file_goes() -> None:
    (member,) = placed([hard("bin/bunzip2", "bin/bzip2")])
    assert (member.path, member.target) == ("usr/bin/bunzip2", "usr/bin/bzip2")


# -- what stays out ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "is_there"),
    [
        (file_of("usr/share/doc/bash/copyright", b""), True),
        (file_of("usr/share/doc/bash/README.gz", b""), False),
        (file_of("usr/share/doc/bash/examples/copyright", b""), False),
        (folder_of("usr/share/doc/bash"), False),
        (link_of("usr/share/doc/libgcc-s1", "gcc-12-base"), True),
        (link_of("usr/share/doc/a/copyright", "../b/copyright"), True),
        (file_of("usr/share/man/man1/bash.1.gz", b""), False),
        (file_of("usr/share/info/bash.info.gz", b""), False),
        (file_of("usr/share/locale/de/LC_MESSAGES/bash.mo", b""), False),
        (file_of("usr/share/lintian/overrides/bash", b""), False),
        (file_of("usr/share/zoneinfo/UTC", b""), True),
        (file_of("usr/lib/locale/C.utf8/LC_CTYPE", b""), True),
        (file_of("usr/share/manual", b""), True),
    ],
    ids=lambda value: value.path if isinstance(value, Member) else str(value),
)
def test_documentation_and_languages_stay_out_but_for_copyright(member: Member, *, is_there: bool) -> None:
    assert stays(member) is is_there


@pytest.mark.parametrize("name", ["manpages", "manpages-de", "python3-doc", "locales", "locales-all"])
def test_a_package_that_is_documentation_was_asked_for(name: str) -> None:
    assert is_asked_for(name)


@pytest.mark.parametrize("name", ["bash", "docbook", "libdoc", "man-db", "git-man", "locale-tools", "libmanpages1"])
def test_another_package_was_not_asked_for_its_documentation(name: str) -> None:
    assert not is_asked_for(name)


# -- one path in several packages -------------------------------------------------------------------------------


def test_packages_share_their_folders() -> None:
    packages = [package("a", folder_of("etc"), file_of("etc/a", b"1")), package("b", folder_of("etc"))]
    assert laid(*packages)["etc/a"] == b"1"


def test_a_folder_with_permissions_of_its_own_keeps_them_whoever_has_it_too() -> None:
    own = folder_of("var/mail", mode=0o2775, gid=8)
    for packages in (
        (package("a", own), package("b", folder_of("var/mail"))),
        (package("b", own), package("a", folder_of("var/mail"))),
    ):
        assert lay(packages) == (own,)


def test_two_packages_with_one_file_are_refused_by_name() -> None:
    with pytest.raises(BuildError, match="/etc/x is in the Debian packages a and b, and neither replaces") as refused:
        lay([package("b", file_of("etc/x", b"")), package("a", file_of("etc/x", b""))])
    assert refused.value.hint


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_the_package_that_replaces_another_has_the_file(first: str, second: str) -> None:
    new = package(first, file_of("etc/x", b"new"), replaces=f"other, {second} (<< 2)")
    old = package(second, file_of("etc/x", b"old"), file_of("etc/y", b"old"), version="1.5")
    assert laid(new, old) | {"bin": b""} == laid(old, new) | {"bin": b""}
    assert (laid(new, old)["etc/x"], laid(new, old)["etc/y"]) == (b"new", b"old")


def test_a_package_replaces_those_versions_alone_that_it_names() -> None:
    new = package("a", file_of("etc/x", b"new"), replaces="b (<< 2)")
    with pytest.raises(BuildError, match="neither replaces"):
        lay([new, package("b", file_of("etc/x", b"old"), version="2")])


def test_a_file_in_place_of_a_folder_is_refused() -> None:
    with pytest.raises(BuildError, match="etc/x"):
        laid(package("a", folder_of("etc/x"), file_of("etc/x/y", b"")), package("b", file_of("etc/x", b"")))


# -- hard links -------------------------------------------------------------------------------------------------


def test_of_hard_links_the_first_name_is_the_file() -> None:
    found = laid(package("perl", file_of("usr/bin/perl5", b"text"), hard("usr/bin/perl", "usr/bin/perl5")))
    assert (found["usr/bin/perl"], found["usr/bin/perl5"]) == (b"text", b"usr/bin/perl")


def test_a_second_name_of_a_file_that_another_package_replaces_is_the_file() -> None:
    old = package("old", file_of("usr/a", b"old"), hard("usr/b", "usr/a"), hard("usr/c", "usr/a"))
    found = laid(old, package("new", file_of("usr/a", b"new"), replaces="old"))
    assert (found["usr/a"], found["usr/b"], found["usr/c"]) == (b"new", b"old", b"usr/b")


def test_a_second_name_of_a_file_that_stays_out_is_the_file() -> None:
    hidden = file_of("usr/share/doc/a/long", b"text")
    one = Contents(name="a", version="1", replaces="", members=(hard("usr/lib/a", hidden.path),), hidden=(hidden,))
    assert laid(one)["usr/lib/a"] == b"text"
