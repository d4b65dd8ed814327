"""Which shared libraries are needed, offered and found, by the loader's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.assembly.libraries import (
    Libraries,
    Need,
    Shelf,
    lacking,
    libraries_of,
    libraries_of_root,
    missing,
    parse_libraries,
    shelf_of,
)
from reconciler.debian.ldcache import wanted
from reconciler.oci.elf import Elf
from reconciler.oci.member import file_of, link_of
from reconciler.oci.rootfs import Rootfs
from tests.elf_case import NEEDED, SONAME, program

SITE = "opt/venv/lib/python3.11/site-packages"
MODULE = f"{SITE}/thing/core.cpython-311-x86_64-linux-gnu.so"
EMPTY = Shelf(folders={}, searched=())


def file(*libraries: str, machine: str = "amd64", **more: object) -> Elf:
    return Elf(machine=machine, shared=True, libraries=libraries, **more)  # type: ignore[arg-type]  # fields


def absent(
    files: Mapping[str, Elf], shelf: Shelf = EMPTY, path: str = "", links: Mapping[str, str] | None = None
) -> list[str]:
    """Name what the files of one layer miss."""
    (found,) = missing([libraries_of(files, "amd64")], shelf, links or {}, path)
    return sorted(found)


def shelf(**folders: Sequence[str]) -> Shelf:
    """Give a base whose loader looks in ``lib`` alone."""
    return Shelf(folders={name.replace("_", "/"): tuple(names) for name, names in folders.items()}, searched=("lib",))


def test_a_library_that_nobody_has_is_missing() -> None:
    assert absent({MODULE: file("libgomp.so.1", "libc.so.6")}) == ["libgomp.so.1"]


def test_the_c_library_is_there_and_the_driver_may_be_missing() -> None:
    core = file("libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "libresolv.so.2")
    assert absent({MODULE: core, f"{SITE}/gpu.so": file("libcuda.so.1", "libnvidia-ml.so.1")}) == []


def test_what_a_base_has_where_its_loader_looks_is_found_and_elsewhere_it_is_not() -> None:
    files = {MODULE: file("libz.so.1", "libhidden.so.2")}
    assert absent(files, shelf(lib=["libz.so.1"], opt_x=["libhidden.so.2"])) == ["libhidden.so.2"]


@pytest.mark.parametrize("folder", ["/opt/x", "/opt/y/../x", "$ORIGIN/../../../../../x", "${ORIGIN}/../../../../../x"])
@pytest.mark.parametrize("field", ["rpath", "runpath"])
def test_a_folder_that_a_file_names_is_looked_in(folder: str, field: str) -> None:
    base, folders = shelf(opt_x=["libhidden.so.2"]), ("/none", folder)
    one = file("libhidden.so.2", rpath=folders) if field == "rpath" else file("libhidden.so.2", runpath=folders)
    assert absent({MODULE: one}, base) == []


@pytest.mark.parametrize(
    ("folder", "real"), [("/opt/$LIB", "opt/lib/x86_64-linux-gnu"), ("/opt/${PLATFORM}/x", "opt/x86_64/x")]
)
def test_what_stands_for_the_machine_is_filled_in(folder: str, real: str) -> None:
    base = Shelf(folders={real: ("libhidden.so.2",)}, searched=())
    assert absent({MODULE: file("libhidden.so.2", runpath=(folder,))}, base) == []
    assert absent({MODULE: file("libhidden.so.2", runpath=(f"{folder}X",))}, base) == ["libhidden.so.2"]


def test_a_folder_is_found_through_the_links_of_the_base() -> None:
    files = {MODULE: file("libhidden.so.2", runpath=("/usr/local/cuda/lib64",))}
    base = Shelf(folders={"usr/local/cuda-12/lib64": ("libhidden.so.2",)}, searched=())
    assert absent(files, base, links={"usr/local/cuda": "usr/local/cuda-12"}) == []


def test_a_relative_folder_is_none() -> None:
    assert absent({MODULE: file("libhidden.so.2", runpath=("opt/x",))}, shelf(opt_x=["libhidden.so.2"])) != []


def test_variables_of_the_image_say_where_to_look() -> None:
    files, base = {MODULE: file("libhidden.so.2")}, shelf(opt_x=["libhidden.so.2"])
    assert absent(files, base, path="/none:/opt/x") == []
    assert absent(files, base, path="opt/x") == ["libhidden.so.2"]


def test_an_rpath_serves_what_is_loaded_by_it_and_a_runpath_does_not() -> None:
    inner = {f"{SITE}/thing.libs/libinner.so.1": file("libhidden.so.2", soname="libinner.so.1")}
    base = shelf(opt_x=["libhidden.so.2"])
    assert absent({MODULE: file("libinner.so.1", rpath=("/opt/x",)), **inner}, base) == []
    assert absent({MODULE: file("libinner.so.1", runpath=("/opt/x",)), **inner}, base) == ["libhidden.so.2"]


def test_a_runpath_makes_its_files_rpath_void() -> None:
    one = file("libhidden.so.2", rpath=("/opt/x",), runpath=("/none",))
    assert absent({MODULE: one}, shelf(opt_x=["libhidden.so.2"])) == ["libhidden.so.2"]


def test_a_library_of_another_package_counts_by_its_own_name_and_by_its_files() -> None:
    one = libraries_of({MODULE: file("libcublas.so.12", "libnamed.so")}, "amd64")
    other = {f"{SITE}/nvidia/libcublas.so.12": file(), f"{SITE}/nvidia/libfile.so.9": file(soname="libnamed.so")}
    assert missing([one, libraries_of(other, "amd64")], EMPTY, {}, "") == (frozenset(), frozenset())
    assert missing([one], EMPTY, {}, "") == (frozenset({"libcublas.so.12", "libnamed.so"}),)


def test_a_library_that_the_interpreter_has_loaded_is_there() -> None:
    base = Shelf(folders={}, searched=(), loaded=("libpython3.11.so.1.0",))
    assert absent({MODULE: file("libpython3.11.so.1.0")}, base) == []


def test_files_for_another_machine_need_and_offer_nothing() -> None:
    assert libraries_of({MODULE: file("libz.so.1", machine="arm64")}, "amd64") == Libraries()


def test_what_is_found_in_the_layer_itself_is_not_written_down() -> None:
    files = {
        MODULE: file("libz-1.so", "libgcc_s.so.1"),
        f"{SITE}/thing.libs/libz-1.so": file(rpath=("/opt/x", "$ORIGIN")),
    }
    assert libraries_of(files, "amd64") == Libraries(
        needs=(Need(library="libgcc_s.so.1", module=MODULE),), offers=("libz-1.so",)
    )


def test_nothing_is_lacking_where_packages_have_it_all() -> None:
    need = Libraries(needs=(Need(library="liba.so", module="x"), Need(library="libcuda.so.1", module="x")))
    assert lacking([need])
    assert not lacking([need, Libraries(offers=("liba.so",))])


names = st.text(max_size=12)
needs = st.builds(Need, library=names, module=names, folders=st.lists(names, max_size=3).map(tuple))


@given(libraries=st.builds(Libraries, needs=st.lists(needs, max_size=4).map(tuple), offers=st.lists(names).map(tuple)))
def test_what_was_written_is_read_again(libraries: Libraries) -> None:
    assert parse_libraries(libraries.to_text()) == libraries


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"needs":[]}', '{"needs":[["x"]],"offers":[]}', '{"needs":[],"offers":[1]}', "[" * 100_000],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_libraries(text)


# -- bases ------------------------------------------------------------------------------------------------------


def test_a_base_has_what_its_loader_looks_for_and_what_stands_elsewhere() -> None:
    library = program("", [(SONAME, "libz.so.1")])
    files = {
        "etc/ld.so.conf": b"/opt/conf\n",
        "usr/lib/x86_64-linux-gnu/libz.so.1.3": library,
        "opt/conf/libconf.so": program("", [(NEEDED, "libc.so.6")]),
        "opt/else/libelse.so": program("", [(NEEDED, "libc.so.6")]),
        "usr/lib64/libred.so": program("", [(NEEDED, "libc.so.6")]),
        "usr/lib/libother.so": program("", [(NEEDED, "libc.so.6")], machine="arm64"),
        "usr/bin/python3": program("/lib/ld.so", [(NEEDED, "libpython3.11.so.1.0")]),
    }
    members = [*(file_of(path, data, mode=0o755) for path, data in files.items()), link_of("lib", "usr/lib")]
    members += [link_of("usr/lib/x86_64-linux-gnu/libz.so", "libz.so.1.3")]
    root = Rootfs(wanted)
    root.apply((member, iter(member.read() if member.read else ())) for member in members)
    found = shelf_of(root, "amd64", "usr/bin/python3")
    assert found.searched == ("opt/conf", "usr/lib/x86_64-linux-gnu", "usr/lib", "usr/lib64")
    assert found.folders["usr/lib/x86_64-linux-gnu"] == ("libz.so", "libz.so.1", "libz.so.1.3")
    assert found.loaded == ("libpython3.11.so.1.0",)
    assert [found.has(name, ()) for name in ("libz.so.1", "libconf.so", "libred.so")] == [True] * 3
    assert not found.has("libelse.so", ())
    assert not found.has("libother.so", ())
    assert found.has("libelse.so", ("opt/else",))


def test_a_root_of_packages_says_what_its_loader_finds_and_what_its_programs_lack() -> None:
    lacking_one, plain = program("", [(NEEDED, "libnone.so.1")]), program("", [(NEEDED, "libc.so.6")])
    files = {
        "usr/lib/x86_64-linux-gnu/libz.so.1": program("", [(SONAME, "libz.so.1"), (NEEDED, "libprivate.so")]),
        "usr/lib/x86_64-linux-gnu/plugins/gl.so": program("", [(NEEDED, "libGLU.so.1")]),
        "usr/lib/jvm/lib/libprivate.so": plain,
        "usr/bin/tool": lacking_one,
    }
    root = Rootfs(wanted)
    root.apply((file_of(path, data, mode=0o755), iter((data,))) for path, data in files.items())
    found = libraries_of_root(root, "amd64")
    assert found == Libraries(needs=(Need(library="libnone.so.1", module="usr/bin/tool"),), offers=("libz.so.1",))
