"""The root file system that layers make: as an overlay would show it, and never left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import CorruptError
from reconciler.oci.member import Kind, Member, file_of, folder_of, link_of
from reconciler.oci.rootfs import Rootfs
from reconciler.oci.tar import with_folders, write_tar
from reconciler.oci.untar import read_tar


def entries(*members: Member) -> Iterator[tuple[Member, Iterator[bytes]]]:
    return ((member, member.read() if member.read is not None else iter(())) for member in members)


def made(*layers: tuple[Member, ...]) -> Rootfs:
    root = Rootfs(lambda _, size: size)
    for layer in layers:
        root.apply(entries(*layer))
    return root


def text(root: Rootfs, path: str) -> bytes | None:
    node = root.lookup(path)
    return None if node is None else node.data


def paths(root: Rootfs) -> set[str]:
    return {path for path, _ in root.files()}


def gone(path: str) -> Member:
    folder, _, name = path.rpartition("/")
    return file_of(f"{folder}/.wh.{name}".lstrip("/"), b"")


# -- layers -----------------------------------------------------------------------------------------------------


def test_a_later_layer_takes_the_place_of_an_earlier_one() -> None:
    root = made((file_of("a", b"1"), file_of("b", b"1")), (file_of("a", b"2"),))
    assert (text(root, "a"), text(root, "b")) == (b"2", b"1")


def test_folders_are_one_and_the_later_mode_counts() -> None:
    root = made((folder_of("d"), file_of("d/a", b"1")), (folder_of("d", mode=0o700), file_of("d/b", b"2")))
    node = root.lookup("d")
    assert node is not None
    assert (node.mode, root.children("d")) == (0o700, ("a", "b"))


@pytest.mark.parametrize("over", [file_of("d", b"x"), link_of("d", "elsewhere")])
def test_what_is_no_folder_takes_the_place_of_one_with_all_in_it(over: Member) -> None:
    assert paths(made((file_of("d/a", b"1"),), (over,))) == ({"d"} if over.kind is Kind.FILE else set())


def test_a_folder_takes_the_place_of_a_file() -> None:
    assert paths(made((file_of("d", b"1"),), (file_of("d/a", b"1"),))) == {"d/a"}


def test_a_folder_laid_over_a_link_hides_what_was_behind_it() -> None:
    root = made((file_of("usr/lib/libc", b"1"), link_of("lib", "usr/lib")), (file_of("lib/new", b"2"),))
    assert text(root, "lib/libc") is None
    assert text(root, "lib/new") == b"2"


def test_what_is_deleted_is_gone() -> None:
    root = made(
        (file_of("d/a", b"1"), file_of("d/b", b"1"), file_of("e/c", b"1")), (gone("d/a"), gone("e"), gone("no"))
    )
    assert paths(root) == {"d/b"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_layer_does_not_delete_what_it_brings(order: int) -> None:
    layer = (file_of("d/a", b"2"), file_of("d/.wh..wh..opq", b""), gone("d/a"))[::order]
    assert paths(made((file_of("d/a", b"1"), file_of("d/b", b"1"), file_of("d/s/t", b"1")), layer)) == {"d/a"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_folder_that_is_deleted_and_brought_again_holds_the_new_alone(order: int) -> None:
    layer = (gone("d"), file_of("d/new", b"2"))[::order]
    assert paths(made((file_of("d/old", b"1"),), layer)) == {"d/new"}


def test_hard_links_are_the_same_file() -> None:
    root = made((file_of("a", b"1"),), (Member(path="d/b", kind=Kind.HARD, target="a"), file_of("a", b"2")))
    assert (text(root, "a"), text(root, "d/b")) == (b"2", b"1")


@pytest.mark.threat("T9")
@pytest.mark.parametrize("target", ["no", "d", "l", "d/no/x"])
def test_a_second_name_for_what_is_no_file_is_refused(target: str) -> None:
    with pytest.raises(CorruptError, match="second name"):
        made((folder_of("d"), link_of("l", "d"), Member(path="b", kind=Kind.HARD, target=target)))


def test_only_what_is_wanted_is_kept() -> None:
    root = Rootfs(lambda path, size: min(size, 4) if path == "etc/passwd" else 0)
    root.apply(read_tar(write_tar(with_folders([file_of("etc/passwd", b"root:x"), file_of("big", b"x" * 4000)]))))
    assert (text(root, "etc/passwd"), text(root, "big")) == (b"root", b"")
    node = root.lookup("big")
    assert node is not None
    assert node.size == len(b"x" * 4000)


# -- looking ----------------------------------------------------------------------------------------------------

LINKED = (
    file_of("usr/bin/python3.11", b"elf"),
    link_of("usr/bin/python3", "python3.11"),
    link_of("bin", "usr/bin"),
    link_of("absolute", "/usr/bin/../bin"),
    link_of("out", "../../../../usr/bin"),
    link_of("loop", "loop2"),
    link_of("loop2", "/loop"),
    link_of("nowhere", "no/such"),
    link_of("usr/up", ".."),
)


@pytest.mark.parametrize(
    "path", ["bin/python3", "/bin/python3", "absolute/python3", "out/python3", "usr/up/bin/./python3"]
)
def test_links_are_followed_within_the_root(path: str) -> None:
    root = made(LINKED)
    assert (text(root, path), root.resolve(path)) == (b"elf", "usr/bin/python3.11")


@pytest.mark.threat("T9")
@pytest.mark.parametrize("path", ["loop", "nowhere", "loop/x", "no", "bin/python3/x", "usr/bin/python3.11/../x"])
def test_what_leads_nowhere_is_nothing(path: str) -> None:
    root = made(LINKED)
    assert (root.lookup(path), root.resolve(path), root.children(path)) == (None, None, ())


def test_links_to_folders_are_told() -> None:
    assert made(LINKED).folder_links == {"absolute": "usr/bin", "bin": "usr/bin", "out": "usr/bin", "usr/up": ""}


PARTS = st.sampled_from(["a", "b", "..", ".", "l", ""])


@pytest.mark.threat("T9")
@given(st.lists(st.tuples(PARTS, st.lists(PARTS, max_size=5).map("/".join)), max_size=6), st.lists(PARTS, max_size=8))
def test_no_link_leads_out_of_the_root(links: list[tuple[str, str]], parts: list[str]) -> None:
    named = [(name, target) for name, target in links if name not in ("", ".", "..")]
    root = made((file_of("a/b", b"1"), *(link_of(name, target) for name, target in named)))
    found = root.resolve("/".join(parts))
    assert found is None or (".." not in found.split("/") and root.lookup(found) is root.lookup("/".join(parts)))
