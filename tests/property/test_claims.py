"""What layers claim: two that can collide always meet, and those that share a namespace do not."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import BuildError
from reconciler.oci.member import Member, file_of
from reconciler.wheel.claims import FEW, claims_of, parse_claims
from reconciler.wheel.collision import merge

PREFIX = "opt/venv"
MODULES = "lib/python3.11/site-packages"
PARTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
TREES = st.dictionaries(PARTS, st.binary(max_size=1), max_size=14)


def members(files: Mapping[str, bytes], below: str = MODULES) -> list[Member]:
    """Give files, without those that stand where another has a folder."""
    folders = {path.rpartition("/")[0] for path in files}
    folders |= {folder[: len(folder) - len(folder.split("/", n)[-1]) - 1] for folder in folders for n in range(1, 5)}
    return [file_of(f"{PREFIX}/{below}/{path}", data) for path, data in files.items() if path not in folders]


def meet(one: list[Member], other: list[Member]) -> bool:
    return parse_claims(claims_of(one, PREFIX)).meet(parse_claims(claims_of(other, PREFIX)))


@given(one=TREES, other=TREES, below=st.sampled_from([MODULES, "bin", "share", "x"]))
def test_layers_that_collide_meet(one: dict[str, bytes], other: dict[str, bytes], below: str) -> None:
    first, second = members(one, below), members(other, below)
    try:
        merge([("one", first), ("other", second)])
    except BuildError:
        assert meet(first, second)
        assert meet(second, first)


@given(files=TREES)
def test_claims_are_a_function_of_the_files(files: dict[str, bytes]) -> None:
    found = members(files)
    assert claims_of(found, PREFIX) == claims_of(reversed(found), PREFIX)


@pytest.mark.parametrize("folder", ["share", "etc", "include", "bin", "lib", "lib/python3.11", MODULES])
def test_a_file_in_place_of_a_folder_that_all_share_meets_what_is_in_it(folder: str) -> None:
    one, other = [file_of(f"{PREFIX}/{folder}", b"x")], [file_of(f"{PREFIX}/{folder}/y", b"y")]
    assert meet(one, other)
    assert meet(other, one)


def test_packages_of_one_namespace_do_not_meet() -> None:
    one = members({"nvidia/__init__.py": b"", **{f"nvidia/cublas/lib/{n}.so": b"1" for n in range(40)}})
    other = members({"nvidia/__init__.py": b"", **{f"nvidia/cudnn/lib/{n}.so": b"2" for n in range(40)}})
    assert not meet(one, other)
    assert meet(one, members({"nvidia/__init__.py": b"other"}))


def test_a_large_package_is_claimed_as_a_whole() -> None:
    few = claims_of(members({f"package/{n}.py": b"" for n in range(FEW)}), PREFIX)
    many = claims_of(members({f"package/{n}.py": b"" for n in range(5000)}), PREFIX)
    assert len(many) < len(few)
    assert meet(members({f"cv2/{n}.py": b"a" for n in range(50)}), members({"cv2/0.py": b"b"}))


@pytest.mark.parametrize("text", ["z123456", "d12345", "f123456", "dabcdefx"])
def test_what_are_no_claims_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no claims"):
        parse_claims(text)
