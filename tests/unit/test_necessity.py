"""Which files packages do not do without, told from sources and from what files say of themselves."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.assembly.necessity import Weight, modules_of, weigh
from reconciler.oci.elf import Elf

SITE = "lib/site-packages"
ENDING = "cpython-311-x86_64-linux-gnu.so"
NOTHING = Weight(needed=frozenset(), optional=frozenset())


def weighed(files: Mapping[str, object]) -> Weight:
    """Weigh the files of a wheel, sources and others, and leave out where they are."""
    paths = {f"{SITE}/{path}": content for path, content in files.items()}
    modules = modules_of(paths, SITE, lambda path: str(paths[path]))
    found = weigh({path: content for path, content in paths.items() if isinstance(content, Elf)}, modules)
    return Weight(
        needed=frozenset(path.removeprefix(f"{SITE}/") for path in found.needed),
        optional=frozenset(path.removeprefix(f"{SITE}/") for path in found.optional),
    )


def file(*libraries: str, **more: object) -> Elf:
    return Elf(machine="amd64", shared=True, libraries=libraries, **more)  # type: ignore[arg-type]  # fields


CORE, OTHER = f"pkg/core.{ENDING}", f"pkg/other.{ENDING}"
BOTH = {CORE: file(), OTHER: file()}


@pytest.mark.parametrize(
    "source",
    [
        "from . import core\n",
        "import pkg.core as c, sys\n",
        "from pkg import (\n    util,  # for all\n    core,\n)\n",
        "from .core import thing\n",
        '"""Text.\n\nimport sys\n"""\nfrom .core import *\n',
        "try:\n    from . import core\nexcept ImportError as error:\n    raise ImportError('broken') from error\n",
        "with quiet():\n    from . import core\n",
        "if __PKG_SETUP__:\n    pass\nelse:\n    from . import core\n",
        "from .middle import name\n",
        "import sys; x = 1\nfrom \\\n    .core import thing\n",
    ],
)
def test_what_is_surely_imported_is_needed(source: str) -> None:
    files = {"pkg/__init__.py": source, "pkg/middle.py": "from . import core\n", "pkg/util.py": "", **BOTH}
    assert weighed(files) == Weight(needed=frozenset({CORE}), optional=frozenset({OTHER}))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    from . import core\nexcept ImportError:\n    core = None\n",
        "def load():\n    from . import core\n",
        "if FAST:\n    from . import core\n",
        "if TYPE_CHECKING:\n    pass\nelse:\n    from . import core\n",
        "try:\n    if FAST:\n        from . import core\nexcept ImportError:\n    raise\n",
        "class Lazy:\n    from . import core\n",
        '"""\nfrom . import core\n"""\n',
        "'''\nfrom . import core\n'''\n",
        "# from . import core\n",
        "from .. import core\n",
        "from core import x\n",
    ],
)
def test_what_is_imported_perhaps_is_not(source: str) -> None:
    assert weighed({"pkg/__init__.py": source, **BOTH}) == Weight(needed=frozenset(), optional=frozenset(BOTH))


def test_a_module_that_only_a_submodule_imports_is_optional() -> None:
    files = {"pkg/__init__.py": "", "pkg/sub.py": "from . import core\n", CORE: file()}
    assert weighed(files) == Weight(needed=frozenset(), optional=frozenset({CORE}))


def test_libraries_of_the_wheel_weigh_what_their_users_do() -> None:
    inner, deeper, stray = "pkg.libs/libinner.so.1", "pkg.libs/libdeeper.so.2", "pkg.libs/libstray.so"
    files = {"pkg/__init__.py": "from . import core\n", CORE: file("libinner.so.1"), inner: file("named")}
    files |= {deeper: file(soname="named"), stray: file(), OTHER: file("libstray.so")}
    assert weighed(files) == Weight(needed=frozenset({CORE, inner, deeper}), optional=frozenset({OTHER, stray}))


def test_a_single_library_that_is_loaded_by_ctypes_is_needed() -> None:
    files = {"pkg/__init__.py": "import ctypes\nctypes.CDLL(path())\n", "pkg/lib/libpkg.so": file("libx.so")}
    assert weighed(files).needed == {"pkg/lib/libpkg.so"}


def test_of_several_such_libraries_none_is() -> None:
    files = {"pkg/__init__.py": "", "pkg/lib/libcuda12.so.1": file(), "pkg/lib/libcuda11.so.1": file()}
    assert weighed(files) == NOTHING


def test_a_module_called_as_its_package_that_is_loaded_by_a_computed_name_is_needed_beside_plug_ins() -> None:
    plugin, second = "cv/qt/plugins/platforms/libq.so", "cv/data/libd.so.1"
    files = {"cv/__init__.py": "def boot():\n    load('cv')\n", "cv/cv.abi3.so": file(), plugin: file(), second: file()}
    assert weighed(files).needed == {"cv/cv.abi3.so"}


def test_what_only_tests_import_may_still_be_what_a_package_loads() -> None:
    files = {"cv/__init__.py": "", "cv/tests/test_cv.py": "from cv.cv import x\n", "cv/cv.abi3.so": file()}
    assert weighed(files).needed == {"cv/cv.abi3.so"}


def test_a_wheel_without_modules_needs_nothing() -> None:
    assert weighed({"vendor/lib/libone.so.1": file("libtwo.so")}) == NOTHING


def test_a_program_is_neither() -> None:
    files = {"pkg/__init__.py": "", "pkg/bin/tool": file("libx.so", loader="/lib64/ld.so")}
    assert weighed(files) == NOTHING


@pytest.mark.parametrize("file_name", [f"single.{ENDING}", "single.so"])
def test_a_module_at_the_top_is_needed(file_name: str) -> None:
    assert weighed({file_name: file(), f"_hidden.{ENDING}": file()}).needed == {file_name}


def test_of_a_package_in_a_shared_namespace_the_first_that_can_be_imported_counts() -> None:
    files = {"google/pkg/__init__.py": "from . import core\n", f"google/pkg/core.{ENDING}": file()}
    assert weighed(files).needed == {f"google/pkg/core.{ENDING}"}


@pytest.mark.threat("T9")
@pytest.mark.parametrize(
    "source", ["from " * 50_000, '"""' * 50_000, "(" * 100_000, "import " + "a," * 100_000, "\0\udcff"]
)
def test_a_source_that_is_none_is_read_without_harm(source: str) -> None:
    assert weighed({"pkg/__init__.py": source, **BOTH}).needed == frozenset()
